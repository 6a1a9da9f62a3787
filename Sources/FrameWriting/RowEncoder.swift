// SPDX-License-Identifier: Apache-2.0
// Rows as commands: XADD for entries, HSET with what makes it atomic for hashes, and PUBLISH for
// messages.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection

/// What one row was encoded as, which says what the server answers to it.
enum EncodedRow: UInt8 {
    /// Nothing: the row has no values.
    case nothing
    /// One command, which has one answer.
    case command
    /// MULTI, commands and EXEC.
    case transaction
    /// DEL alone: the row has no values, and its hash goes.
    case deletion
}

/// Encodes the rows of one frame. It belongs behind a pointer, and to one thread.
struct RowEncoder: ~Copyable {
    private enum Target {
        case stream(EntryOptions)
        case hashes(HashOptions)
        case messages(PublishOptions)
    }

    private let schema: InputSchema
    /// Commands that wait to be sent.
    var commands: GrowingBytes
    private var scratch: GrowingBytes
    private var key: GrowingBytes
    /// The encoded names of the columns that are written, one after the other; of JSON, as keys.
    private let names: GrowingBytes
    private let fields: [Field]
    private let keyColumn: Int?
    private let idColumn: Int?
    private let metadata: MetadataColumns?
    /// XADD's arguments between the key and the id.
    private let trimming: GrowingBytes
    private let trimmingCount: Int
    private let script: [UInt8]
    let kind: WrittenRows
    var writesEntries: Bool { kind == .entries }
    /// The stream or the channel of all rows, if there is one.
    let stream: [UInt8]?
    /// What each row's key begins with: that stream, or the prefix of hashes.
    private let keyPrefix: GrowingBytes
    /// What is done about a hash that is there, and how long one is to live.
    private let ifExists: ExistingKey
    private let ttlMs: Int?
    private let fence: Fence?
    /// What rows become as messages.
    private let format: PublishOptions.Format
    private let isSharded: Bool
    /// How many rows of the frame stand before the batch. Only a fence needs it.
    var rowsBefore = 0

    private struct Field {
        let column: Int
        let nameStart: Int
        let nameCount: Int
    }

    init(_ schema: InputSchema, _ options: EntryOptions) throws(RedcolError) {
        try self.init(schema, .stream(options), script: [])
    }

    init(_ schema: InputSchema, _ options: HashOptions) throws(RedcolError) {
        // EVAL where a command depends on the one before it: a transaction continues after an
        // error. A script does too, if a user may not do what comes later: that is asked before, by
        // a command that changes nothing, since it lacks a number.
        var script = ""
        if options.ifExists == .fail {
            script = "if redis.call('EXISTS',KEYS[1])==1 then return 0 end "
        }
        if options.ifExists == .fail || options.ifExists == .append && options.ttlMs != nil {
            if options.ttlMs != nil {
                script +=
                    "local no=redis.pcall('PEXPIRE',KEYS[1],'') "
                    + "if not string.find(no.err,'integer') then return no end "
            }
            // A thousand at a time, since Lua cannot take any number of arguments.
            script +=
                "for i=2,#ARGV,1000 do "
                + "redis.call('HSET',KEYS[1],unpack(ARGV,i,math.min(i+999,#ARGV))) end "
            if options.ttlMs != nil { script += "redis.call('PEXPIRE',KEYS[1],ARGV[1]) " }
            script += "return 1"
        }
        try self.init(schema, .hashes(options), script: Array(script.utf8))
    }

    init(_ schema: InputSchema, _ options: PublishOptions) throws(RedcolError) {
        try self.init(schema, .messages(options), script: [])
    }

    private init(
        _ schema: InputSchema, _ target: Target, script: [UInt8]
    ) throws(RedcolError) {
        // Nothing is stored before all is made: what is made cannot be unmade half.
        let commands = try GrowingBytes()
        let scratch = try GrowingBytes()
        let key = try GrowingBytes()
        var names = try GrowingBytes()
        var trimming = try GrowingBytes()
        var trimmingCount = 0
        var (keyColumn, idColumn): (Int?, Int?) = (nil, nil)
        var metadata: MetadataColumns?
        let kind: WrittenRows
        var (format, isSharded): (PublishOptions.Format, Bool) = (.raw, false)
        var stream: [UInt8]?
        var keyPrefix = try GrowingBytes()
        var (ifExists, ttlMs): (ExistingKey, Int?) = (.append, nil)
        var fence: Fence?
        switch target {
        case .stream(let options):
            kind = .entries
            stream = options.stream
            fence = options.fence
            if let stream { try keyPrefix.append(stream) }
            keyColumn = try RowEncoder.find(options.streamColumn, "stream_column", schema)
            idColumn = try RowEncoder.find(options.idColumn, "id_column", schema)
            if keyColumn != nil, keyColumn == idColumn {
                throw RedcolError(
                    .invalidArgument, "stream_column and id_column name the same column")
            }
            metadata = try MetadataColumns(
                schema, options.metadata, keyColumn: keyColumn, idColumn: idColumn)
            let limit = options.lengthMax.map { Array(String($0).utf8) } ?? options.idMin
            if !limit.isEmpty {
                try trimming.appendBulk(options.lengthMax == nil ? "MINID" : "MAXLEN")
                try trimming.appendBulk(options.isApproximate ? "~" : "=")
                try trimming.appendBulk(limit)
                trimmingCount = 3
            }
        case .hashes(let options):
            kind = .hashes
            keyColumn = try RowEncoder.find(options.keyColumn, "key_column", schema)
            try keyPrefix.append(options.keyPrefix)
            (ifExists, ttlMs) = (options.ifExists, options.ttlMs)
        case .messages(let options):
            kind = .messages
            stream = options.channel
            if let stream { try keyPrefix.append(stream) }
            keyColumn = try RowEncoder.find(options.channelColumn, "channel_column", schema)
            (format, isSharded) = (options.format, options.isSharded)
        }
        let isJSON = kind == .messages && format == .json
        var fields: [Field] = []
        for column in 0..<schema.columnCount where column != keyColumn && column != idColumn {
            if metadata?.omitted.contains(column) ?? false { continue }
            let start = names.count
            let name = schema.names[column]
            if isJSON {
                try names.appendJSONKey(column, schema)
            } else {
                try names.appendBulk(fieldOfColumn(name) ?? name)
            }
            fields.append(Field(column: column, nameStart: start, nameCount: names.count - start))
        }
        guard !fields.isEmpty else {
            throw RedcolError(
                .schema, "the frame has no column to write, beside those of keys and ids")
        }
        guard kind != .messages || format == .json || fields.count == 1 else {
            throw RedcolError(
                .schema,
                "a raw message is the value of one column, and the frame has \(fields.count) of "
                    + "them: select one, or choose message_format \"json\"")
        }
        guard fence == nil || fields.count <= Fence.fieldsMax else {
            throw RedcolError(
                .schema, "with a fence, at most \(Fence.fieldsMax) columns can be written")
        }
        self.fence = fence
        self.schema = schema
        self.stream = stream
        self.keyPrefix = keyPrefix
        self.ifExists = ifExists
        self.ttlMs = ttlMs
        self.script = script
        self.commands = commands
        self.scratch = scratch
        self.key = key
        self.names = names
        self.trimming = trimming
        self.trimmingCount = trimmingCount
        self.keyColumn = keyColumn
        self.idColumn = idColumn
        self.metadata = metadata.flatMap { $0.needsChecks ? $0 : nil }
        self.kind = kind
        self.format = format
        self.isSharded = isSharded
        self.fields = fields
    }

    private static func find(
        _ name: [UInt8]?, _ option: String, _ schema: InputSchema
    ) throws(RedcolError) -> Int? {
        guard let name else { return nil }
        guard let column = schema.column(name) else {
            throw RedcolError(
                .invalidArgument,
                "the frame has no column \"\(escaped(name, limit: 200))\" (\(option))")
        }
        let kind = schema.nodes[column].kind
        guard !kind.isNested, kind != .null else {
            throw RedcolError(
                .schema,
                "column \"\(escaped(name, limit: 200))\" (\(option)) must hold text or numbers, "
                    + "not Arrow format \"\(escaped(schema.formats[column], limit: 80))\"")
        }
        return column
    }

    /// Whether rows may be sent twice without harm.
    var isRepeatable: Bool {
        switch kind {
        case .entries: return fence != nil
        case .hashes: return ifExists != .fail
        case .messages: return false
        }
    }

    /// Whether rows become transactions.
    var usesTransactions: Bool { kind == .hashes && ifExists == .replace }

    /// What a row becomes, for people.
    var commandNames: StaticString {
        if writesEntries { return fence == nil ? "XADD" : "EVAL, HGET, HSET and XADD" }
        if kind == .messages { return isSharded ? "SPUBLISH" : "PUBLISH" }
        let expires = ttlMs != nil
        switch ifExists {
        case .replace:
            return expires ? "MULTI, DEL, HSET, PEXPIRE and EXEC" : "MULTI, DEL, HSET and EXEC"
        case .append: return expires ? "EVAL, HSET and PEXPIRE" : "HSET"
        case .fail: return expires ? "EVAL, EXISTS, HSET and PEXPIRE" : "EVAL, EXISTS and HSET"
        }
    }

    var expectedAnswers: ExpectedAnswers {
        // The fields that were set, or 1.
        let countMax = max(1, fields.count)
        if writesEntries { return .ids }
        if kind == .messages { return .receivers }
        return .counts(
            max: countMax, transactionCount: ttlMs == nil ? 2 : 3,
            zeroMeansExists: ifExists == .fail)
    }

    // MARK: Rows

    /// Appends the commands for a row of the batch that the schema is bound to. After an error
    /// nothing is appended.
    mutating func encode(_ row: Int) throws(RedcolError) -> EncodedRow {
        let before = commands.count
        do {
            switch kind {
            case .entries: return try encodeEntry(row)
            case .hashes: return try encodeHash(row)
            case .messages: return try encodeMessage(row)
            }
        } catch {
            commands.truncate(before)
            throw error
        }
    }

    /// The key of a row, for people: a hash's, a stream's or a channel's; nil if the row has none.
    mutating func keyText(_ row: Int) -> [UInt8]? {
        do throws(RedcolError) {
            try readKey(row)
            return Array(key.bytes)
        } catch {
            return nil
        }
    }

    /// The key of the row that was encoded last.
    var keyBytes: UnsafeBufferPointer<UInt8> { key.bytes }

    /// A hash of it (FNV-1a).
    var keyHash: Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key.bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Int(bitPattern: UInt(hash ^ hash >> 32))
    }

    /// The error with the row that it is about, and the row's key if that is known.
    func naming(_ row: Int, _ key: [UInt8]?, in error: RedcolError) -> RedcolError {
        guard let key else { return error.adding("row \(row): ", .row, String(row)) }
        let shown = escaped(key, limit: 200)
        let context = "row \(row), \(kind.keyNoun) \"\(shown)\": "
        return error.adding(context, .row, String(row))
            .adding("", kind == .hashes ? .key : .stream, shown)
    }

    private mutating func readKey(_ row: Int) throws(RedcolError) {
        key.clear()
        try key.append(keyPrefix.bytes)
        guard let keyColumn else { return }
        guard try !schema.nodes[keyColumn].isNull(row, schema.nodes) else {
            throw RedcolError(
                .value,
                "the \(kind == .messages ? "channel" : "key") is null (column "
                    + "\"\(schema.shownName(keyColumn))\")")
        }
        try key.appendText(schema.nodes + keyColumn, row, schema)
    }

    private func countValues(_ row: Int) throws(RedcolError) -> Int {
        var count = 0
        for field in fields where try !schema.nodes[field.column].isNull(row, schema.nodes) {
            count &+= 1
        }
        return count
    }

    private mutating func appendValues(_ row: Int) throws(RedcolError) {
        for field in fields {
            let node = schema.nodes + field.column
            if try node.pointee.isNull(row, schema.nodes) { continue }
            try commands.append(
                UnsafeBufferPointer(start: names.start + field.nameStart, count: field.nameCount))
            do throws(RedcolError) {
                try commands.appendBulk(node, row, schema, scratch: &scratch)
            } catch {
                throw error.adding(
                    "column \"\(schema.shownName(field.column))\": ", .field,
                    columnDetail(schema.names[field.column]))
            }
        }
    }

    private mutating func encodeEntry(_ row: Int) throws(RedcolError) -> EncodedRow {
        let count = try countValues(row)
        if keyColumn != nil || key.count == 0 { try readKey(row) }
        if count == 0, fence == nil { return .nothing }
        if let metadata, count > 0 { try metadata.check(row, schema, &scratch) }
        if let fence {
            try commands.appendFence(
                fence, stream: key.bytes, row: rowsBefore &+ row,
                arguments: count == 0 ? 0 : 1 &+ trimmingCount &+ 2 &* count)
            if count == 0 { return .command }
        } else {
            try commands.appendHeader(UInt8(ascii: "*"), 3 &+ trimmingCount &+ 2 &* count)
            try commands.append("$4\r\nXADD\r\n")
            try commands.appendBulk(key.bytes)
        }
        try commands.append(trimming.bytes)
        try appendID(row)
        try appendValues(row)
        return .command
    }

    private mutating func appendID(_ row: Int) throws(RedcolError) {
        guard let idColumn, try !schema.nodes[idColumn].isNull(row, schema.nodes) else {
            return try commands.append("$1\r\n*\r\n")
        }
        scratch.clear()
        try scratch.appendText(schema.nodes + idColumn, row, schema)
        guard isEntryID(scratch.bytes) else {
            throw RedcolError(
                .value,
                "\"\(escaped(scratch.bytes, limit: 80))\" in column "
                    + "\"\(schema.shownName(idColumn))\" is not an entry id; ids look like "
                    + "1704067200000-0, and null lets the server choose",
                details: [(.field, columnDetail(schema.names[idColumn]))])
        }
        try commands.appendBulk(scratch.bytes)
    }

    private mutating func encodeHash(_ row: Int) throws(RedcolError) -> EncodedRow {
        try readKey(row)
        let count = try countValues(row)
        if count == 0 {
            guard ifExists == .replace else { return .nothing }
            try appendDeletion()
            return .deletion
        }
        if !script.isEmpty {
            try commands.appendHeader(UInt8(ascii: "*"), 5 &+ 2 &* count)
            try commands.append("$4\r\nEVAL\r\n")
            try commands.appendBulk(script)
            try commands.append("$1\r\n1\r\n")
            try commands.appendBulk(key.bytes)
            try appendTTL(ttlMs ?? 0)
            try appendValues(row)
            return .command
        }
        guard ifExists == .replace else {
            try appendHash(row, count)
            return .command
        }
        try commands.append("*1\r\n$5\r\nMULTI\r\n")
        try appendDeletion()
        try appendHash(row, count)
        if let ttlMs {
            try commands.append("*3\r\n$7\r\nPEXPIRE\r\n")
            try commands.appendBulk(key.bytes)
            try appendTTL(ttlMs)
        }
        try commands.append("*1\r\n$4\r\nEXEC\r\n")
        return .transaction
    }

    private mutating func encodeMessage(_ row: Int) throws(RedcolError) -> EncodedRow {
        if keyColumn != nil || key.count == 0 { try readKey(row) }
        if format == .raw, try schema.nodes[fields[0].column].isNull(row, schema.nodes) {
            return .nothing
        }
        try commands.appendHeader(UInt8(ascii: "*"), 3)
        try commands.append(isSharded ? "$8\r\nSPUBLISH\r\n" : "$7\r\nPUBLISH\r\n")
        try commands.appendBulk(key.bytes)
        var first = true
        if format == .json { scratch.clear() }
        for field in fields {
            let node = schema.nodes + field.column
            do throws(RedcolError) {
                guard format == .json else {
                    try commands.appendBulk(node, row, schema, scratch: &scratch)
                    continue
                }
                try scratch.append(first ? UInt8(ascii: "{") : UInt8(ascii: ","))
                first = false
                try scratch.append(
                    UnsafeBufferPointer(
                        start: names.start + field.nameStart, count: field.nameCount))
                try scratch.appendJSON(node, row, schema)
            } catch {
                throw error.adding(
                    "column \"\(schema.shownName(field.column))\": ", .field,
                    columnDetail(schema.names[field.column]))
            }
        }
        if format == .json {
            try scratch.append(UInt8(ascii: "}"))
            try commands.appendBulk(scratch.bytes)
        }
        return .command
    }

    private mutating func appendDeletion() throws(RedcolError) {
        try commands.append("*2\r\n$3\r\nDEL\r\n")
        try commands.appendBulk(key.bytes)
    }

    private mutating func appendHash(_ row: Int, _ count: Int) throws(RedcolError) {
        try commands.appendHeader(UInt8(ascii: "*"), 2 &+ 2 &* count)
        try commands.append("$4\r\nHSET\r\n")
        try commands.appendBulk(key.bytes)
        try appendValues(row)
    }

    private mutating func appendTTL(_ milliseconds: Int) throws(RedcolError) {
        try commands.appendShortBulk { text throws(RedcolError) in
            writeDecimal(Int64(milliseconds), to: text)
        }
    }
}

extension GrowingBytes {
    /// Appends the value at `row`, which is not null, as a string with its header. `scratch` is for
    /// nested values.
    @inline(__always)
    fileprivate mutating func appendBulk(
        _ node: UnsafePointer<InputNode>, _ row: Int, _ schema: InputSchema,
        scratch: inout GrowingBytes
    ) throws(RedcolError) {
        if let bytes = try node.pointee.bytes(row) { return try appendBulk(bytes) }
        if node.pointee.kind == .dictionary || node.pointee.kind.isNested {
            scratch.clear()
            try scratch.appendText(node, row, schema)
            return try appendBulk(scratch.bytes)
        }
        try appendShortBulk { text throws(RedcolError) in try node.pointee.writeShort(row, to: text)
        }
    }
}

/// Whether XADD takes this for an id: "*", or milliseconds and, after a hyphen, a sequence number
/// or "*".
private func isEntryID(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    if text.count == 1, text[0] == UInt8(ascii: "*") { return true }
    var digits = 0
    var hasHyphen = false
    for index in 0..<text.count {
        let byte = text[index]
        if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), digits < 20 {
            digits &+= 1
        } else if byte == UInt8(ascii: "-"), !hasHyphen, digits > 0 {
            hasHyphen = true
            digits = 0
        } else if byte == UInt8(ascii: "*"), hasHyphen, digits == 0, index &+ 1 == text.count {
            digits = 1
        } else {
            return false
        }
    }
    return digits > 0
}
