// SPDX-License-Identifier: Apache-2.0
// The options of a read, from string keys and values, each checked before anything is sent.

import ArrowColumns
import RedcolBase
import RedisConnection

/// How a stream is read; the defaults are those of the C header.
public struct ReadOptions {
    public var startID = "-"
    public var endID = "+"
    public var count: Int?
    public var batchRows = 65_536
    public var pageRows = 0
    public var includeID = true
    public var includeTimestamp = true
    /// nil: if the schema has its column.
    public var includeSequence: Bool?
    public var idColumn = "_id"
    public var timestampColumn = "_ts"
    public var sequenceColumn = "_seq"
    public var onError = RefusalPolicy.raise
    public var columnsMax = 10_000
    /// What a column is that is found without a schema.
    public var discover: DiscoveredType?
    /// How the texts of columns are laid out that are not in a schema; nil: as those in the schema.
    public var stringLayout: TextLayout?
    /// The place of a dictionary column among those of the schema, then in each column around it.
    public var categories: [(column: [Int], values: [[UInt8]])] = []
    public var streamColumn: String?
    /// The fields that a read without a schema has found before; nil: other fields are no error.
    public var discovered: [[UInt8]]?
    /// Fields of columns of the schema that have other names.
    public var fields: [(column: Int, name: [UInt8])] = []
    /// Names of columns that the caller adds.
    public var reserved: [[UInt8]] = []

    // Ranges of many streams
    public var countPerStream: Int?
    public var scanCount = KeyScan.countUsual
    public var countsWrongTypes = false
    public var streamsAtOnce = 0

    // Waiting and following
    public var follows = false
    public var blockMs: Int64?
    public var connectsLater = false
    public var onIdle = IdleAction.wait
    /// For how long a connection is made again; 0 for ever, nil for the default.
    public var reconnectTimeoutMs: Int64?

    // Limits
    public var entryBytesMax = ProtocolLimits.entryBytes
    public var entryFieldsMax = ProtocolLimits.entryElements / 2

    // Consumer groups
    public var group: [UInt8] = []
    public var consumer: [UInt8] = []
    public var autoAck = false
    public var createGroup = true
    public var groupStartID = "0"
    public var claimIdleMs: Int64?
    public var deliveriesMax: Int64?
    public var deadLetter: [UInt8] = []

    public init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        for (key, value) in pairs {
            try set(key, value)
            if OptionValue.needsGroup(key) { groupOption = key }
            if OptionValue.needsFollowing(key) { followOption = key }
            if OptionValue.needsManyStreams(key) { manyStreamsOption = key }
        }
        try checkGroup()
        if !follows, let followOption {
            throw RedcolError(
                .invalidArgument,
                "\(followOption) is about reads that follow a stream: give follow too")
        }
    }

    /// An option that was given and says nothing without a group, or about one stream; nil if there
    /// is none.
    private var groupOption: String?
    private var followOption: String?
    private(set) var manyStreamsOption: String?

    /// How long a read that follows tries to get a connection or an answer; nil for ever.
    var reconnectLimitMs: Int64? {
        let limit = reconnectTimeoutMs ?? (onIdle == .wait ? 0 : 10_000)
        return limit == 0 ? nil : limit
    }

    /// Whether entries are read by waiting for them, rather than a range of those that are there.
    public var waits: Bool { follows || blockMs != nil }

    private func checkGroup() throws(RedcolError) {
        if group.isEmpty != consumer.isEmpty {
            throw RedcolError(
                .invalidArgument,
                group.isEmpty
                    ? "a consumer without a group: give group too"
                    : "a group without a consumer: give consumer, a name that this reader keeps "
                        + "over restarts, so that it finds its pending entries again")
        }
        if group.isEmpty, let groupOption {
            throw RedcolError(
                .invalidArgument,
                "\(groupOption) is about a consumer group: give group and consumer too")
        }
        if groupStartID != "$", EntryID(groupStartID.utf8, sequenceIfMissing: 0) == nil {
            throw OptionValue.wrong(
                "group_start_id", groupStartID, "\"0\", \"$\" or an entry id")
        }
        try checkDeadLetters()
        if !group.isEmpty, startID != "-" || endID != "+" {
            throw RedcolError(
                .invalidArgument,
                "a group remembers where it reads: start_id and end_id have no meaning there; "
                    + "group_start_id says where a new group begins")
        }
    }

    private func checkDeadLetters() throws(RedcolError) {
        if onError == .deadLetter, group.isEmpty || deadLetter.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "on_error \"dead_letter\" moves entries of a consumer group to another stream: "
                    + "give group, consumer and dead_letter, the key of that stream")
        }
        if deliveriesMax != nil, deadLetter.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "max_deliveries needs dead_letter: an entry that was delivered too often is kept "
                    + "in that stream")
        }
        if !deadLetter.isEmpty, deliveriesMax == nil, onError != .deadLetter {
            throw RedcolError(
                .invalidArgument,
                "dead_letter keeps entries that were delivered too often, or that cannot be read: "
                    + "give max_deliveries or on_error \"dead_letter\"")
        }
    }

    private mutating func set(_ key: String, _ value: String) throws(RedcolError) {
        switch key {
        case "start_id": startID = value
        case "end_id": endID = value
        case "count": count = try OptionValue.integer(key, value, 0...Int.max)
        case "batch_rows":
            let rows = try OptionValue.integer(key, value, 0...Int.max)
            batchRows = rows == 0 ? Int.max : rows
        case "page_rows": pageRows = try OptionValue.integer(key, value, 0...1_000_000)
        case "include_id": includeID = try OptionValue.boolean(key, value)
        case "include_timestamp": includeTimestamp = try OptionValue.boolean(key, value)
        case "include_sequence": includeSequence = try OptionValue.boolean(key, value)
        case "id_column": idColumn = value
        case "timestamp_column": timestampColumn = value
        case "sequence_column": sequenceColumn = value
        case "on_error":
            guard let policy = RefusalPolicy(rawValue: value) else {
                throw OptionValue.wrong(
                    key, value, "\"raise\", \"null\", \"skip\" or \"dead_letter\"")
            }
            onError = policy
        case "stream_column": streamColumn = value
        case "count_per_stream": countPerStream = try OptionValue.integer(key, value, 0...Int.max)
        case "scan_count": scanCount = try OptionValue.integer(key, value, 1...100_000)
        case "count_wrong_types": countsWrongTypes = try OptionValue.boolean(key, value)
        case "streams_at_once": streamsAtOnce = try OptionValue.integer(key, value, 0...Int.max)
        case "discovered": discovered = try OptionValue.netstrings(key, value)
        case "follow": follows = try OptionValue.boolean(key, value)
        case "block_ms": blockMs = try OptionValue.milliseconds(key, value)
        case "connect": connectsLater = try OptionValue.later(key, value)
        case "on_idle":
            switch value {
            case "wait": onIdle = .wait
            case "stop": onIdle = .stop
            case "empty": onIdle = .empty
            default: throw OptionValue.wrong(key, value, "\"wait\", \"stop\" or \"empty\"")
            }
        case "reconnect_timeout_ms":
            reconnectTimeoutMs = try OptionValue.milliseconds(key, value)
        case "entry_bytes_max":
            entryBytesMax = try OptionValue.integer(key, value, 1...Int(Int32.max))
        case "entry_fields_max":
            entryFieldsMax = try OptionValue.integer(key, value, 1...Int(Int32.max))
        case "group": group = try OptionValue.name(key, value)
        case "consumer": consumer = try OptionValue.name(key, value)
        case "auto_ack": autoAck = try OptionValue.boolean(key, value)
        case "create_group": createGroup = try OptionValue.boolean(key, value)
        case "group_start_id": groupStartID = value
        case "claim_idle_ms": claimIdleMs = try OptionValue.milliseconds(key, value)
        case "max_deliveries":
            deliveriesMax = Int64(try OptionValue.integer(key, value, 1...Int(Int32.max)))
        case "dead_letter": deadLetter = try OptionValue.name(key, value)
        case "discover":
            switch value {
            case "string": discover = .string
            case "binary": discover = .binary
            case "auto": discover = .auto
            default: throw OptionValue.wrong(key, value, "\"string\", \"binary\" or \"auto\"")
            }
        case "string_layout":
            switch value {
            case "view": stringLayout = .view
            case "large": stringLayout = .large
            case "string": stringLayout = .small
            default: throw OptionValue.wrong(key, value, "\"view\", \"large\" or \"string\"")
            }
        case "columns_max": columnsMax = try OptionValue.integer(key, value, 1...1_000_000)
        case "reserved": reserved = try OptionValue.netstrings(key, value)
        default:
            if key.hasPrefix("field:"), let column = Int(key.dropFirst(6)), column >= 0 {
                fields.append((column, Array(value.utf8)))
                return
            }
            guard key.hasPrefix("categories:"),
                let column = OptionValue.place(key.utf8.dropFirst(11))
            else {
                throw OptionValue.unknown(key, "a read", known: ReadOptions.names)
            }
            categories.append((column, try OptionValue.netstrings(key, value)))
        }
    }
}

/// What a column is that is found without a schema.
public enum DiscoveredType: Sendable {
    case string, binary
    /// A string, and binary from the first value on that is not UTF-8.
    case auto
}
