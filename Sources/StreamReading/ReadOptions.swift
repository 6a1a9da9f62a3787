// SPDX-License-Identifier: Apache-2.0
// The options of a read, from string keys and values, each checked before anything is sent.

import ArrowColumns
import RedcolBase
import RedisConnection
import RedisTopology

/// How a stream is read; the defaults are those of the table.
public struct ReadOptions {
    public var startID = "-"
    public var endID = "+"
    public var count: Int?
    /// Only the newest so many entries of the range.
    public var last: Int?
    /// A stream that is missing is an error.
    public var raisesMissingStreams = false
    public var batchRows = 65_536
    public var pageRows = 0
    /// The whole stream is asked for in one piece, as it is stored.
    public var dumps = false
    /// How many entries a stream may have for that; nil for the default.
    public var dumpEntriesMax: Int?
    public var includeID = true
    public var includeTimestamp = true
    /// nil: if the schema has its column.
    public var includeSequence: Bool?
    public var idColumn = "_id"
    public var timestampColumn = "_ts"
    public var sequenceColumn = "_seq"
    /// What the column of milliseconds is, unless the schema has it.
    var timestampType = ColumnType.int64
    public var onError = RefusalPolicy.raise
    /// An entry without one of the schema's fields is like one with a value that does not fit.
    public var raisesMissingFields = false
    public var columnsMax = 10_000
    /// What a column is that is found without a schema.
    public var discover = DiscoveredType.string
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
    public var raisesGaps = false
    public var onIdle = IdleAction.wait
    /// Following begins with the newest so many entries.
    public var startLast: Int?
    /// Following ends with the entries that are there when it begins.
    public var endsNow = false
    /// A subscription ends so long after it began.
    public var windowMs: Int64?
    /// For how long a connection is made again; 0 forever, nil for the default.
    public var reconnectTimeoutMs: Int64?

    // Limits
    public var entryBytesMax = ProtocolLimits.entryBytes
    public var entryFieldsMax = ProtocolLimits.entryElements / 2

    // Consumer groups
    public var group: [UInt8] = []
    public var consumer: [UInt8] = []
    public var autoAck = false
    public var afterAcknowledging = AfterAcknowledging.keep
    public var createGroup = true
    public var groupStartID = "0"
    public var claimIdleMs: Int64?
    public var heartbeatMs: Int64?
    public var deliveriesMax: Int64?
    public var deadLetter: [UInt8] = []

    public init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        for (key, text) in pairs {
            let (name, value) = try ReadOption.given(key, text)
            try set(name, value)
            switch value.option.need {
            case .group: groupOption = value.key
            case .follow: followOption = value.key
            case .manyStreams: manyStreamsOption = value.key
            case .schema: schemaOption = value.key
            case .noSchema: noSchemaOption = value.key
            case .groupList, .pendingList, nil: break
            }
        }
        try checkGroup()
        try checkNewest()
        if let rangeOption, waits || !group.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "\(rangeOption) is about reading a range of entries, without follow, block_ms or "
                    + "group: leave it out")
        }
        if !follows, let followOption {
            throw RedcolError(
                .invalidArgument,
                "\(followOption) is about reads that follow a stream: give follow too")
        }
    }

    /// Options that were given and have no effect without a group, without following, for one
    /// stream, without a schema or with one; nil if there are none.
    private var groupOption: String?
    /// The same for one that is only for a range, and one that is only for a group's creation.
    private var rangeOption: String?
    private var creationOption: String?
    private var followOption: String?
    private(set) var manyStreamsOption: String?
    private(set) var schemaOption: String?
    private(set) var noSchemaOption: String?

    /// How long a read that follows tries to get a connection or an answer; nil forever.
    var reconnectLimitMs: Int64? {
        let limit = reconnectTimeoutMs ?? (onIdle == .wait && windowMs == nil ? 0 : 10_000)
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
        if let creationOption, !createGroup {
            throw RedcolError(
                .invalidArgument,
                "\(creationOption) says where a group begins that is created, and create_group is "
                    + "false: leave one of them out")
        }
        try checkDeadLetters()
        if !group.isEmpty, startID != "-" || endID != "+" {
            throw RedcolError(
                .invalidArgument,
                "a group remembers where it reads: start_id and end_id have no meaning there; "
                    + "group_start_id says where a new group begins")
        }
    }

    private mutating func checkNewest() throws(RedcolError) {
        if dumps, last != nil {
            throw RedcolError(
                .invalidArgument,
                "last asks for the newest entries alone, and transfer \"dump\" for the whole "
                    + "stream: give one of the two")
        }
        if !dumps, dumpEntriesMax != nil {
            throw RedcolError(
                .invalidArgument,
                "dump_entries_max is about transfer \"dump\": give that too, or leave it out")
        }
        if last != nil, count != nil {
            throw RedcolError(
                .invalidArgument,
                "count is the first entries of a range, and last its newest: give one of the two")
        }
        if startLast != nil, startID != "-" {
            throw RedcolError(
                .invalidArgument,
                "start_id and start_last both say where to begin: give one of the two")
        }
        if !group.isEmpty, startLast != nil || endsNow {
            throw RedcolError(
                .invalidArgument,
                "a group remembers where it reads: "
                    + (endsNow
                        ? "it is delivered what is added meanwhile, too, so until cannot hold; "
                            + "on_idle \"stop\" ends when there is nothing left to deliver"
                        : "start_last has no meaning there; group_start_id says where a new group "
                            + "begins, and seek_group moves one that is there"))
        }
        if startLast == 0 { (startLast, startID) = (nil, "$") }
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

    private mutating func set(
        _ name: ReadOption, _ value: GivenOption
    ) throws(RedcolError) {
        switch name {
        case .startID: startID = try ReadOptions.idOrTime(value)
        case .endID: endID = try ReadOptions.idOrTime(value)
        case .count: count = try value.integer()
        case .last:
            last = try value.integer()
            rangeOption = value.key
        case .ifMissing: raisesMissingStreams = try ReadOptions.raises(value, or: "empty")
        case .batchRows:
            let rows = try value.integer()
            batchRows = rows == 0 ? Int.max : rows
        case .pageRows:
            pageRows = try value.integer()
            rangeOption = value.key
        case .transfer:
            dumps = try value.word(as: Transfer.self) == .dump
            rangeOption = value.key
        case .dumpEntriesMax:
            dumpEntriesMax = try value.integer()
            rangeOption = value.key

        case .includeID: includeID = try value.boolean()
        case .includeTimestamp: includeTimestamp = try value.boolean()
        case .includeSequence: includeSequence = try value.boolean()
        case .idColumn: idColumn = value.text
        case .timestampColumn: timestampColumn = value.text
        case .sequenceColumn: sequenceColumn = value.text
        case .timestampFormat:
            guard let type = IDPart.timestampType(value.text) else {
                throw value.wrong("\"l\", or \"tsm:\" and a time zone or nothing")
            }
            timestampType = type
        case .streamColumn: streamColumn = value.text
        case .stringLayout: stringLayout = try value.word(as: LayoutName.self).layout
        case .categories: categories.append((value.place, try value.netstrings()))
        case .field:
            // The children of nested columns are no fields.
            guard value.place.count == 1 else { throw ReadOption.unknown(value.key) }
            fields.append((value.place[0], value.bytes))
        case .reserved: reserved = try value.netstrings()

        case .missingField: raisesMissingFields = try ReadOptions.raises(value, or: "null")
        case .discover: discover = try value.word(as: DiscoveredType.self)
        case .discovered: discovered = try value.netstrings()
        case .columnsMax: columnsMax = try value.integer()

        case .onError: onError = try value.word(as: RefusalPolicy.self)
        case .entryBytesMax: entryBytesMax = try value.integer()
        case .entryFieldsMax: entryFieldsMax = try value.integer()

        case .countPerStream: countPerStream = try value.integer()
        case .scanCount: scanCount = try value.integer()
        case .streamsAtOnce: streamsAtOnce = try value.integer()
        case .countWrongTypes: countsWrongTypes = try value.boolean()

        case .follow: follows = try value.boolean()
        case .blockMs: blockMs = Int64(try value.integer())
        case .onIdle: onIdle = try value.word(as: IdleAction.self)
        case .onGap: raisesGaps = try ReadOptions.raises(value, or: "log")
        case .reconnectTimeoutMs: reconnectTimeoutMs = Int64(try value.integer())
        case .startLast: startLast = try value.integer()
        case .until:
            guard value.text == "now" else { throw value.wrong }
            endsNow = true
        case .connect: connectsLater = try value.word(as: ConnectMoment.self) == .later

        case .group: group = try value.name()
        case .consumer: consumer = try value.name()
        case .createGroup: createGroup = try value.boolean()
        case .groupStartID:
            groupStartID = value.text
            creationOption = value.key
            if groupStartID != "$", EntryID(groupStartID.utf8, sequenceIfMissing: 0) == nil {
                throw value.wrong("\"0\", \"$\" or an entry id")
            }
        case .autoAck: autoAck = try value.boolean()
        case .afterAck: afterAcknowledging = try value.word(as: AfterAcknowledging.self)
        case .claimIdleMs: claimIdleMs = Int64(try value.integer())
        case .heartbeatMs: heartbeatMs = Int64(try value.integer())
        case .maxDeliveries: deliveriesMax = Int64(try value.integer())
        case .deadLetter: deadLetter = try value.name()
        }
    }
}

extension ReadOptions {
    /// The first and the last id of a range; nil: nothing is in it.
    typealias Range = (first: EntryID?, last: EntryID?)

    /// Whether the range is one of times before now, by the server's clock.
    var needsServerTime: Bool {
        RangeBound.millisecondsBack(startID) != nil || RangeBound.millisecondsBack(endID) != nil
    }

    /// `now`: the server's clock; 0 to check the range before that is known.
    func range(now: UInt64) throws(RedcolError) -> Range {
        (
            try RangeBound.lower(startID, name: "start_id", now: now),
            try RangeBound.upper(endID, name: "end_id", now: now)
        )
    }

    /// Whether something is an error; the other word says what else happens.
    private static func raises(
        _ value: GivenOption, or other: String
    ) throws(RedcolError) -> Bool {
        guard value.text == "raise" || value.text == other else { throw value.wrong }
        return value.text == "raise"
    }

    /// An ISO date or time becomes its milliseconds; other texts stay as they are.
    private static func idOrTime(_ value: GivenOption) throws(RedcolError) -> String {
        guard let milliseconds = parseInstant(value.text) else { return value.text }
        guard milliseconds >= 0 else { throw value.wrong("a time from 1970 on") }
        return String(milliseconds)
    }
}

/// What a column is that is found without a schema.
public enum DiscoveredType: String, CaseIterable, Sendable {
    case string, binary
    /// A string, and binary from the first value on that is not UTF-8.
    case auto
}

/// The values of the option "transfer".
private enum Transfer: String, CaseIterable {
    case entries, dump
}

/// The values of the option "string_layout".
private enum LayoutName: String, CaseIterable {
    case view, large, string

    var layout: TextLayout {
        switch self {
        case .view: .view
        case .large: .large
        case .string: .small
        }
    }
}
