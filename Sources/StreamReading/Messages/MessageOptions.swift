// SPDX-License-Identifier: Apache-2.0
// The options of a subscription, and the columns of its messages.

import ArrowColumns
import RedcolBase
import RedisConnection

/// How channels are listened to; the defaults are those of the table.
struct MessageOptions {
    enum Format: String, CaseIterable {
        /// A message is one value.
        case raw
        /// A message is a JSON object, whose keys are columns.
        case json
    }

    var isSharded = false
    var batchMs: Int64 = 0
    var format: Format?
    var includesChannel = true
    var includesTimestamp = true
    var channelColumn = "_channel"
    var patternColumn: String?
    var messageColumn = "message"
    var timestampColumn = "_received_at"
    var timestampType: ColumnType
    var messageBytesMax = ProtocolLimits.bulkBytes
    /// What all reads have.
    var read: ReadOptions

    init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        read = try ReadOptions([("follow", "true")])
        timestampType = .float64
        for (key, text) in pairs {
            let (name, value) = try SubscribeOption.given(key, text)
            try set(name, value)
        }
        guard read.onIdle == .wait || read.blockMs != nil else {
            throw RedcolError(
                .invalidArgument,
                "on_idle says what happens when no message has come for block_ms: give block_ms "
                    + "too")
        }
    }

    private mutating func set(
        _ name: SubscribeOption, _ value: GivenOption
    ) throws(RedcolError) {
        switch name {
        case .sharded: isSharded = try value.boolean()
        case .count: read.count = try value.integer()
        case .batchRows: read.batchRows = try value.integer()
        case .batchMs: batchMs = Int64(try value.integer())
        case .windowMs: read.windowMs = Int64(try value.integer())
        case .blockMs: read.blockMs = Int64(try value.integer())
        case .onIdle: read.onIdle = try value.word(as: IdleAction.self)
        case .onGap: read.raisesGaps = try value.word(as: GapAction.self) == .raise
        case .reconnectTimeoutMs: read.reconnectTimeoutMs = Int64(try value.integer())
        case .connect: read.connectsLater = try value.word(as: ConnectMoment.self) == .later
        case .messageFormat: format = try value.word(as: Format.self)
        case .includeChannel: includesChannel = try value.boolean()
        case .includeTimestamp: includesTimestamp = try value.boolean()
        case .channelColumn: channelColumn = value.text
        case .patternColumn: patternColumn = value.text
        case .messageColumn: messageColumn = value.text
        case .timestampColumn: timestampColumn = value.text
        case .timestampFormat:
            guard let type = MessageOptions.timestampType(value.text) else {
                throw value.wrong(
                    "\"g\" for seconds, or \"tss:\", \"tsm:\", \"tsu:\" or \"tsn:\" and a time "
                        + "zone or nothing")
            }
            timestampType = type
        case .categories: read.categories.append((value.place, try value.netstrings()))
        case .onError:
            read.onError = try value.word(as: RefusalPolicy.self)
            if read.onError == .deadLetter { throw value.wrong }
        case .messageBytesMax: messageBytesMax = try value.integer()
        }
    }

    private static func timestampType(_ format: String) -> ColumnType? {
        let bytes = format.utf8.map { CChar(bitPattern: $0) } + [0]
        let type = bytes.withUnsafeBufferPointer { text in
            text.baseAddress.flatMap { try? ColumnType(format: $0) }
        }
        guard let type, type.kind == .float64 || type.kind == .timestamp else { return nil }
        return type
    }
}

/// The values of the option "on_gap".
private enum GapAction: String, CaseIterable {
    case log, raise
}

/// Which columns there are; -1 for none.
struct MessageColumns {
    private(set) var columns: [RequestedColumn] = []
    private(set) var channel = -1
    private(set) var pattern = -1
    private(set) var timestamp = -1
    /// The column of the message, or the first of those that its keys name.
    private(set) var message = 0
    let format: MessageOptions.Format

    /// `schema` nil: a message is a text.
    init(_ options: MessageOptions, schema given: [RequestedColumn]?) throws(RedcolError) {
        format = options.format ?? (given == nil ? .raw : .json)
        var schema = given
        let layout = schema.flatMap { ReadColumns.layout(of: $0) } ?? .view
        if options.includesChannel {
            channel = try add(options.channelColumn, .string, layout, "channel_column")
        }
        if let name = options.patternColumn {
            pattern = try add(name, .string, layout, "pattern_column")
        }
        if options.includesTimestamp {
            timestamp = try add(
                options.timestampColumn, options.timestampType, layout, "timestamp_column")
        }
        message = columns.count
        if format == .raw {
            let name = Array(options.messageColumn.utf8)
            if schema == nil {
                schema = [RequestedColumn(name: name, type: .string, layout: layout)]
            }
            guard let schema, schema.count == 1, schema[0].name == name else {
                throw RedcolError(
                    .schema,
                    "a raw message is one value: give a schema of one column, named as "
                        + "message_column is (\"\(escaped(name, limit: 80))\"), or "
                        + "message_format \"json\"")
            }
        }
        guard let schema else {
            throw RedcolError(
                .invalidArgument,
                "message_format is \"json\": give a schema, whose columns are the keys of the "
                    + "JSON objects")
        }
        var names = Set(columns.map { $0.name })
        for column in schema where !names.insert(column.name).inserted {
            let name = escaped(column.name, limit: 80)
            throw RedcolError(
                .schema,
                "two columns would be named \"\(name)\": choose another channel_column, "
                    + "pattern_column or timestamp_column, or leave one of them out",
                details: [(.field, name)])
        }
        columns += schema
        for (place, values) in options.read.categories {
            try ReadColumns.requireCategories(values, place, in: &columns, first: message)
        }
    }

    private mutating func add(
        _ name: String, _ type: ColumnType, _ layout: TextLayout, _ option: String
    ) throws(RedcolError) -> Int {
        let bytes = Array(name.utf8)
        guard !columns.contains(where: { $0.name == bytes }) else {
            throw RedcolError(
                .invalidArgument,
                "\(option) is \"\(escaped(bytes, limit: 80))\", as is another column: give each "
                    + "column a name of its own")
        }
        columns.append(RequestedColumn(name: bytes, type: type, layout: layout))
        return columns.count - 1
    }
}
