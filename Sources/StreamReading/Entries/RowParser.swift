// SPDX-License-Identifier: Apache-2.0
// Stream entries, parsed where they were received and committed to a batch row by row. This is the
// hot path: nothing is allocated per entry or value. An entry that is cut short is parsed again.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection

/// Parses the entries of one reply after the other into the rows of a batch. Plain memory behind a
/// pointer.
struct RowParser {
    /// What happens to a field that is not in the table.
    enum Unknown {
        /// It has no column, unless it is one of these as columns show it (`columnName`).
        case ignore(but: [[UInt8]: Int])
        /// It becomes a column of this type, whose texts have this layout.
        case discover(DiscoveredType, TextLayout)
        /// It must be one of these, as `fieldSpelling` writes it; some of them have a column.
        case refuse(Set<[UInt8]>, columns: [[UInt8]: Int])
    }

    var batch: BatchBuilder
    /// The columns; nil if more of them may be found.
    var fixedColumns: [RequestedColumn]? {
        if case .discover = unknown { return nil }
        return batch.requested
    }
    var fields: FieldTable
    private let idColumns: IDColumns
    func isColumnOfID(_ column: Int) -> Bool { idColumns.has(column) }
    let unknown: Unknown
    let columnsMax: Int
    let limits: EntryLimits
    /// The entry that is larger than `limits` allow.
    var tooLargeID: EntryID?
    var tooLargeReason = ""
    /// The columns of `Unknown.discover`.
    private var names: DiscoveredNames
    /// Whether `foundFields` is kept.
    var keepsFields = false
    /// The fields that were discovered, in the order of their columns.
    private(set) var foundFields: [[UInt8]] = []

    private var frame: ReplyFrame?
    private let streamNames: [[UInt8]]
    /// What no message may show of what the server sent.
    var secrets: Secrets
    /// The streams' names as values of `IDColumns.stream`, with padding, one after the other.
    private var streamTexts: [(start: UnsafeMutablePointer<UInt8>, count: Int)] = []

    /// The first and the last entry parsed since `forgetPosition`, whatever happened to them.
    var firstID: EntryID?
    var lastID: EntryID?
    /// Entries parsed since `forgetPosition`, whatever happened to them.
    var entriesParsed = 0

    /// Whether `rows` is kept.
    var keepsRowIDs = false
    /// The entries in the batch, in its order.
    private(set) var rows: [RowID] = []
    /// Entries that must not become rows again.
    var skipped: Set<RowID> = []
    /// Whether entries with a value that does not fit are left out, and not `refused`.
    var skipsRefused = false
    /// Those that were.
    var leftOut = LeftOutEntries()
    /// Entries after this one are passed over; of each stream those after its own, if it has one.
    var upperBound: EntryID?
    var upperBounds: [EntryID] = []
    /// Of each stream, the entry after which the next one of this reply must lie.
    private var before: [EntryID]
    /// The streams that have sent an entry after `upperBound`.
    private(set) var streamsPassed: Set<Int> = []
    /// Entries that are pending but were deleted: they have an id and nothing else.
    private(set) var deleted: [RowID] = []
    /// Deleted entries whose ids Redis 6.2 does not tell.
    private(set) var namelessDeleted = 0

    private var skim = EntrySkim()
    /// What a failed step knows, for its error.
    private(set) var refusal: (column: Int, text: [UInt8]?, nested: NestedRefusal?)?
    /// The bytes of an entry that was refused or passed over.
    var entryBytes = 0
    var failedID: [UInt8] = []
    var failedField: [UInt8] = []

    /// `fields`: the columns of those that are known. `reserved`: names that a field cannot have as
    /// a column.
    init(
        streams: [[UInt8]], columns: [RequestedColumn], idColumns: IDColumns,
        fields known: [(name: [UInt8], column: Int)], reserved: [[UInt8]], unknown: Unknown,
        columnsMax: Int, onRefused: RefusedValue, secrets: Secrets = .none,
        limits: EntryLimits = EntryLimits()
    ) throws(RedcolError) {
        streamNames = streams
        before = Array(repeating: .smallest, count: max(1, streams.count))
        self.secrets = secrets
        do {
            batch = try BatchBuilder(columns, onRefused: onRefused)
        } catch {
            throw RedcolError(error.cause == .memory ? .memory : .schema, error.message)
        }
        fields = FieldTable()
        self.idColumns = idColumns
        self.unknown = unknown
        self.columnsMax = columnsMax
        self.limits = limits
        names = DiscoveredNames(reserved: reserved)
        var ok = true
        for (name, column) in known { ok = fields.add(name, column: column) && ok }
        if case .discover = unknown {
            for name in reserved + columns.map({ $0.name }) { ok = names.take(name) && ok }
        }
        for name in streams where idColumns.stream >= 0 {
            let text = name.withUnsafeBufferPointer { columnName($0) }
            let memory = calloc(text.count + ReceiveBuffer.slack, 1)
            guard let start = memory?.assumingMemoryBound(to: UInt8.self) else {
                ok = false
                break
            }
            memcpy(start, text, text.count)
            streamTexts.append((start, text.count))
        }
        guard ok else {
            free()
            throw RedcolError(.memory, "no memory for the field names")
        }
    }

    mutating func free() {
        batch.free()
        fields.free()
        names.free()
        for text in streamTexts { CPlatform.free(text.start) }
        streamTexts = []
    }

    /// The entries of the next replies belong to a stream of this name: the only one of a parser
    /// for one. False when there is no memory.
    mutating func renameStream(_ name: ArraySlice<UInt8>) -> Bool {
        guard let before = streamTexts.first else { return true }
        let text = name.withUnsafeBufferPointer { columnName($0) }
        let memory = realloc(before.start, text.count + ReceiveBuffer.slack)
        guard let start = memory?.assumingMemoryBound(to: UInt8.self) else { return false }
        memset(start + text.count, 0, ReceiveBuffer.slack)
        memcpy(start, text, text.count)
        streamTexts[0] = (start, text.count)
        return true
    }

    /// Forgets a reply that will not end; the rows that were committed stay.
    mutating func abandonReply() {
        frame = nil
        skim = EntrySkim()
    }

    /// Says what the next reply will look like; `entriesMax`: how many entries were asked for, all
    /// of them after `id`.
    mutating func expect(_ shape: ReplyShape, entriesMax: Int, after id: EntryID = .smallest) {
        frame = ReplyFrame(shape, entriesMax: entriesMax)
        skim = EntrySkim()
        for stream in before.indices { before[stream] = id }
    }

    /// The same for several streams: of each, the entries after its id were asked for.
    mutating func expect(_ shape: ReplyShape, entriesMax: Int, after ids: [EntryID]) {
        expect(shape, entriesMax: entriesMax)
        for stream in before.indices where stream < ids.count { before[stream] = ids[stream] }
    }

    // MARK: One reply

    /// Parses as much of `bytes` as it can, up to `rowsMax` rows in the batch, and says how many
    /// bytes were used. The reply is the one that was announced by `expect`. `bytes` must have
    /// `ReceiveBuffer.slack` zero bytes after its end.
    mutating func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, rowsMax: Int
    ) -> (used: Int, outcome: ParseOutcome) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else {
            // The last entry of the reply was refused: its end needs no more bytes.
            return (0, frame?.hasEnded == true ? .replyEnd : .needsMore)
        }
        guard var frame else { return (0, .failed(malformed("a reply that was not expected"))) }
        let end = start + bytes.count
        var position = start
        var outcome: ParseOutcome?
        while outcome == nil {
            switch frame.advance(&position, end, names: streamNames) {
            case .entry:
                outcome = parseEntries(&position, end, &frame, rowsMax)
            case .needsMore: outcome = .needsMore
            case .end: outcome = .replyEnd
            case .serverError: outcome = .serverError
            case .malformed(let what): outcome = .failed(malformed(what))
            case .unreadable(let from): outcome = .failed(malformed(shown(from, end)))
            }
        }
        self.frame = frame
        return (position - start, outcome ?? .needsMore)
    }

    /// What was read of the reply apart from its rows; of use when it has ended.
    var replyFrame: ReplyFrame? { frame }

    /// Parses the entries that come next; nil when all of them have been.
    @inline(__always)
    private mutating func parseEntries(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        _ frame: inout ReplyFrame, _ rowsMax: Int
    ) -> ParseOutcome? {
        let stream = frame.stream
        // A stream's ids increase: a server that goes back would be read forever.
        var last = before[stream]
        defer { before[stream] = last }
        while frame.entriesLeft > 0 {
            if batch.rowCount >= rowsMax { return .batchFull }
            if skim.isActive {
                switch skim.advance(position, end, limits) {
                case .complete: break
                case .needsMore: return .needsMore
                case .malformed: return .failed(malformed(shown(position, end)))
                case .tooLarge: return .failed(failure(Step.tooLarge, position, end))
                case .tooLong: return .failed(failure(Step.tooLong, position, end))
                case .hugeValue: return .failed(failure(Step.hugeValue, position, end))
                }
            }
            let used = parseEntry(position, end, stream, after: &last)
            if used > 0 {
                position += used
            } else if used == Step.needsMore {
                // From here on only the part that is new is looked at, until the entry is complete.
                if !skim.isActive, end - position > EntrySkim.worthwhileBytes {
                    skim = EntrySkim(isActive: true)
                }
                return .needsMore
            } else if used == Step.passedOver || used == Step.refused {
                position += entryBytes
            } else {
                return .failed(failure(used, position, end))
            }
            frame.entriesLeft &-= 1
            entriesParsed &+= 1
            skim.isActive = false
            if used == Step.refused {
                if !skipsRefused { return .refused(failure(used, position, end)) }
                let row = RowID(id: lastID ?? .smallest, stream: Int32(truncatingIfNeeded: stream))
                leftOut.add(row, keepsRow: keepsRowIDs)
            }
        }
        return nil
    }

    /// Parses one entry into the next row. Returns the bytes used, or what `Step` says.
    @inline(__always)
    private mutating func parseEntry(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ stream: Int,
        after last: inout EntryID
    ) -> Int {
        var position = start
        // "*2\r\n", then the id.
        guard UnsafeRawPointer(position).loadUnaligned(as: UInt32.self) == 0x0A0D_322A else {
            return end - position < 4 ? Step.needsMore : parseNull(start, end)
        }
        position += 4
        let idLength = readLength(&position, end, 0x24)
        if idLength < 0 { return idLength == Length.needsMore ? Step.needsMore : Step.malformed }
        guard idLength <= 41 else { return Step.malformed }
        guard end - position >= idLength &+ 2 else { return Step.needsMore }
        guard let id = readID(position, idLength), endsLine(position + idLength) else {
            return Step.malformed
        }
        guard id > last else { return Step.wrongOrder }
        let idText = position
        position += idLength &+ 2

        let elements = readLength(&position, end, 0x2A)
        if elements < 0 {
            guard elements == Length.null else {
                return elements == Length.needsMore ? Step.needsMore : Step.malformed
            }
            deleted.append(RowID(id: id, stream: Int32(truncatingIfNeeded: stream)))
            lastID = id
            last = id
            entryBytes = position - start
            return Step.passedOver
        }
        if passesOver(id, stream) {
            let step = passOver(start, end, id)
            if step == Step.passedOver { last = id }
            return step
        }
        if firstID == nil { firstID = id }
        // An odd number becomes a huge one.
        let fieldCount = UInt(bitPattern: elements) &>> 1 | UInt(bitPattern: elements) &<< 63
        guard fieldCount <= UInt(bitPattern: limits.fields) else {
            return elements & 1 == 0 ? Step.tooLarge : Step.malformed
        }

        guard beginRow(id, idText, idLength, stream) else { return Step.noMemory }

        var field = 0
        while field < Int(bitPattern: fieldCount) {
            var (headerLength, column) = fields.match(field, position)
            if headerLength > 0 {
                position += headerLength
            } else {
                let headerStart = position
                let nameLength = readLength(&position, end, 0x24)
                if nameLength < 0 {
                    return nameLength == Length.needsMore ? Step.needsMore : Step.malformed
                }
                guard nameLength <= ProtocolLimits.bulkBytes else { return Step.hugeValue }
                guard end - position >= nameLength &+ 2 else { return Step.needsMore }
                guard endsLine(position + nameLength) else { return Step.malformed }
                column = fields.column(of: position, nameLength)
                if column == FieldTable.unknown {
                    column = addField(position, nameLength)
                    if column < FieldTable.ignored, column > FieldTable.firstFallback {
                        failedID = Array(UnsafeBufferPointer(start: idText, count: idLength))
                        return column
                    }
                }
                headerLength = position - headerStart + nameLength + 2
                fields.remember(field, headerStart, headerLength, column: column)
                position += nameLength &+ 2
            }
            let length = readLength(&position, end, 0x24)
            if length < 0 { return length == Length.needsMore ? Step.needsMore : Step.malformed }
            guard length <= ProtocolLimits.bulkBytes else { return Step.hugeValue }
            guard end - position >= length &+ 2 else { return Step.needsMore }
            guard endsLine(position + length) else { return Step.malformed }
            if column >= 0 {
                batch.set(column, position, length)
            } else if column <= FieldTable.firstFallback {
                batch.setFallback(FieldTable.fallback(column), position, length)
            }
            position += length &+ 2
            field &+= 1
        }

        return commit(
            id, idText, idLength, stream, bytes: position - start, after: &last)
    }

    /// Begins the row of an entry. False when there is no memory.
    @inline(__always)
    mutating func beginRow(
        _ id: EntryID, _ idText: UnsafePointer<UInt8>, _ idLength: Int, _ stream: Int
    ) -> Bool {
        guard batch.beginRow() else { return false }
        if idColumns.id >= 0 { batch.set(idColumns.id, idText, idLength) }
        if idColumns.timestamp >= 0 {
            batch.setInteger(idColumns.timestamp, id.milliseconds, text: idText, idLength)
        }
        if idColumns.sequence >= 0 {
            batch.setInteger(idColumns.sequence, id.sequence, text: idText, idLength)
        }
        if idColumns.stream >= 0 {
            batch.set(idColumns.stream, streamTexts[stream].start, streamTexts[stream].count)
        }
        return true
    }

    /// Ends the row of an entry of so many bytes. Returns them, or what `Step` says.
    @inline(__always)
    mutating func commit(
        _ id: EntryID, _ idText: UnsafePointer<UInt8>, _ idLength: Int, _ stream: Int, bytes: Int,
        after last: inout EntryID
    ) -> Int {
        guard bytes <= limits.bytes else { return Step.tooLong }
        switch batch.commitRow() {
        case .committed:
            lastID = id
            last = id
            if keepsRowIDs {
                rows.append(RowID(id: id, stream: Int32(truncatingIfNeeded: stream)))
            }
            return bytes
        case .refused(let column, let text):
            failedID = Array(UnsafeBufferPointer(start: idText, count: idLength))
            refusal = (column, text.map { Array($0.prefix(81)) }, batch.nestedRefusal(column))
            lastID = id
            last = id
            entryBytes = bytes
            return Step.refused
        case .noMemory: return Step.noMemory
        }
    }

    /// An entry without an id: Redis 6.2 answers so for one that was claimed and is deleted.
    @inline(never)
    private mutating func parseNull(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> Int {
        var position = start
        let length = readLength(&position, end, start[0] == 0x24 ? 0x24 : 0x2A)
        guard length == Length.null else {
            return length == Length.needsMore ? Step.needsMore : Step.malformed
        }
        namelessDeleted += 1
        entryBytes = position - start
        return Step.passedOver
    }

    @inline(__always)
    private mutating func passesOver(_ id: EntryID, _ stream: Int) -> Bool {
        if let upperBound, id > upperBound, upperBounds.isEmpty || id > upperBounds[stream] {
            streamsPassed.insert(stream)
            return true
        }
        return !skipped.isEmpty
            && skipped.contains(RowID(id: id, stream: Int32(truncatingIfNeeded: stream)))
    }

    /// Passes over an entry without looking at its values.
    @inline(never)
    private mutating func passOver(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ id: EntryID
    ) -> Int {
        var count = EntrySkim(isActive: true)
        switch count.advance(start, end, limits) {
        case .complete:
            lastID = id
            entryBytes = count.length
            return Step.passedOver
        case .needsMore: return Step.needsMore
        case .malformed: return Step.malformed
        case .tooLarge: return Step.tooLarge
        case .tooLong: return Step.tooLong
        case .hugeValue: return Step.hugeValue
        }
    }

    /// Gives a field that was not seen before a column, or remembers that it has none.
    @inline(never)
    mutating func addField(_ name: UnsafePointer<UInt8>, _ count: Int) -> Int {
        var found = RequestedColumn(name: [], type: .string)
        switch unknown {
        case .discover(let type, let layout):
            if type == .binary { found.type = .binary }
            found.turnsBinary = type == .auto
            found.layout = layout
        case .refuse(let known, let columns): return meetField(name, count, known, columns)
        case .ignore(let escaped):
            // Not added to the table: a stream with ever new fields must not make it grow.
            if escaped.isEmpty { return FieldTable.ignored }
            let shown = columnName(UnsafeBufferPointer(start: name, count: count))
            return escaped[shown].map { FieldTable.fallback($0) } ?? FieldTable.ignored
        }
        guard batch.columnCount < columnsMax else { return Step.tooManyColumns }
        let bytes = UnsafeBufferPointer(start: name, count: count)
        // What is escaped takes four times as much, and the column keeps a copy.
        guard Memory.isThere(count, times: 8) else { return Step.noMemory }
        let choice = names.choose(columnName(bytes), batch.requested)
        let spelling = fieldSpelling(bytes)
        if choice.number != nil, !names.isReserved(choice.field) { noteRenamed(choice) }
        found.name = choice.name
        if spelling != choice.name { found.metadata = FieldNames.metadata(field: spelling) }
        // A column whose name is not in the table would be taken for another field's.
        guard fields.reserve(count), names.reserve(choice.name.count),
            let column = batch.addColumn(found), fields.add(name, count, column),
            names.note(choice)
        else { return Step.noMemory }
        if keepsFields { foundFields.append(Array(bytes)) }
        return column
    }

    /// Gives a field a column that another reader has discovered; false when there is no memory, or
    /// there are too many columns.
    mutating func discover(_ field: [UInt8]) -> Bool {
        field.withUnsafeBufferPointer { name in
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) {
                let start = name.baseAddress ?? $0
                return fields.column(of: start, name.count) != FieldTable.unknown
                    || addField(start, name.count) >= 0
            }
        }
    }

    /// A schema of these columns does not find this field again.
    private func noteRenamed(_ choice: DiscoveredNames.Choice) {
        let field = secrets.shown(choice.field, limit: 200)
        Log.write(.warning, .schema, about: field) {
            "the field \"\(field)\" is the column \"\(secrets.shown(choice.name, limit: 200))\", "
                + "since another field has the column of its name"
        }
    }

    /// Finds the column of a field that was discovered before.
    private mutating func meetField(
        _ name: UnsafePointer<UInt8>, _ count: Int, _ known: Set<[UInt8]>,
        _ columns: [[UInt8]: Int]
    ) -> Int {
        let bytes = UnsafeBufferPointer(start: name, count: count)
        // What is escaped takes four times as much, and the column keeps a copy.
        guard Memory.isThere(count, times: 8) else { return Step.noMemory }
        let spelling = fieldSpelling(bytes)
        guard known.contains(spelling) else {
            failedField = Array(bytes.prefix(RowParser.fieldDetailMax + 1))
            return Step.newField
        }
        let column = columns[spelling] ?? FieldTable.ignored
        return fields.add(name, count, column) ? column : Step.noMemory
    }

    // MARK: Handing over

    /// The columns as they were asked for or found so far.
    var columns: [RequestedColumn] { batch.requested }

    mutating func withBatch<Result>(_ body: (inout BatchBuilder) -> Result) -> Result {
        body(&batch)
    }

    mutating func forgetStreamsPassed() { streamsPassed = [] }

    mutating func forgetPosition() {
        firstID = nil
        lastID = nil
        entriesParsed = 0
        leftOut.here = 0
    }

    /// Makes room for the ids of all entries that so many bytes can hold; false when there is no
    /// memory.
    mutating func makeRoom(forEntriesIn bytes: Int) -> Bool {
        let most = keepsRowIDs ? bytes / RowParser.entryBytesLeast : 0
        return rows.makeRoom(for: most) && leftOut.rows.makeRoom(for: skipsRefused ? most : 0)
    }

    /// An id of three bytes, and one field whose name and value are empty.
    private static let entryBytesLeast = 30

    /// Returns the ids of the rows in the batch, and forgets them.
    mutating func takeRows() -> [RowID] {
        let taken = rows
        rows = []
        return taken
    }

    /// Returns the deleted entries that were met, and forgets them.
    mutating func takeDeleted() -> (named: [RowID], nameless: Int) {
        let taken = (deleted, namelessDeleted)
        deleted = []
        namelessDeleted = 0
        return taken
    }
}
