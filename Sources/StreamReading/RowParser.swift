// Stream entries, parsed where they were received and committed to a batch row by row. This is the hot path:
// nothing is allocated per entry or per value. Where an entry is not complete yet, the parser goes back
// to its start and begins it again when more has come.

import ArrowColumns
import CPlatform
import RedisConnection

/// How far a call of the parser came.
enum ParseOutcome {
    /// More bytes are needed.
    case needsMore
    /// The batch has as many rows as wanted.
    case batchFull
    /// The whole reply has been parsed.
    case replyEnd
    /// An error answer stands where the reply should begin.
    case serverError
    case failed(RedisError)
}

/// Parses the entries of one reply after the other into the rows of a batch. Plain memory behind a pointer.
struct RowParser {
    private enum Step {
        static let needsMore = 0
        static let malformed = -1
        static let tooLarge = -2
        static let refused = -3
        static let noMemory = -4
        static let tooManyColumns = -5
        static let sameName = -6
    }

    /// Which columns an entry's id goes to; -1 for none.
    struct IDColumns {
        var id = -1
        var timestamp = -1
        var sequence = -1
    }

    /// Whether a field that is not in the table becomes a column.
    enum Unknown { case ignore, discover }

    private(set) var batch: BatchBuilder
    private var fields: FieldTable
    private let idColumns: IDColumns
    private let unknown: Unknown
    private let columnsMax: Int

    /// Entries of the current reply that were not parsed yet; nil before its first line.
    private var entriesLeft: Int?
    /// The last entry that was parsed, whatever became of it.
    private(set) var lastID: EntryID?
    /// Entries parsed since `lastID` was last reset.
    private(set) var entriesParsed = 0
    private var skim = EntrySkim()
    /// What a failed step knows, for its error.
    private var refusal: (column: Int, text: [UInt8])?
    private var failedID: [UInt8] = []

    /// `columns`: those of the entry's id first, then the fields'. `ignoredNames`: fields that must not
    /// become columns, since a column of that name is there already.
    init(
        columns: [RequestedColumn], idColumns: IDColumns, ignoredNames: [[UInt8]],
        unknown: Unknown, columnsMax: Int, onRefused: RefusedValue
    ) throws(RedisError) {
        do {
            batch = try BatchBuilder(columns, onRefused: onRefused)
        } catch {
            throw RedisError(error.cause == .memory ? .memory : .schema, error.message)
        }
        fields = FieldTable()
        self.idColumns = idColumns
        self.unknown = unknown
        self.columnsMax = columnsMax
        var ok = true
        for name in ignoredNames { ok = fields.add(name, column: FieldTable.ignored) && ok }
        let first = [idColumns.id, idColumns.timestamp, idColumns.sequence].filter { $0 >= 0 }.count
        for (index, column) in columns.enumerated() where index >= first {
            ok = fields.add(column.name, column: index) && ok
        }
        guard ok else {
            free()
            throw RedisError(.memory, "no memory for the field names")
        }
    }

    mutating func free() {
        batch.free()
        fields.free()
    }

    /// Forgets a reply that will not come to its end; the rows that were committed stay.
    mutating func abandonReply() {
        entriesLeft = nil
        skim = EntrySkim()
    }

    // MARK: One reply

    /// Parses as much of `bytes` as it can, up to `rowsMax` rows in the batch, and says how many bytes
    /// were used. `entriesMax` is how many entries the server was asked for. `bytes` must have
    /// `ReceiveBuffer.slack` zero bytes after its end.
    mutating func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, entriesMax: Int, rowsMax: Int
    ) -> (used: Int, outcome: ParseOutcome) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return (0, .needsMore) }
        let end = start + bytes.count
        var position = start
        if entriesLeft == nil {
            if position[0] == 0x2D { return (0, .serverError) }  // -
            let count = readLength(&position, end, 0x2A)  // *
            if count == Length.needsMore { return (0, .needsMore) }
            guard count == Length.null || count >= 0, count <= entriesMax else {
                let what = count > entriesMax ? "\(count) entries, but \(entriesMax) were asked for" : ""
                return (0, .failed(malformed(what.isEmpty ? shown(start, end) : what)))
            }
            entriesLeft = max(count, 0)
        }
        var left = entriesLeft ?? 0
        while left > 0 {
            if batch.rowCount >= rowsMax {
                entriesLeft = left
                return (position - start, .batchFull)
            }
            if skim.isActive {
                switch skim.advance(position, end) {
                case .complete: break
                case .needsMore:
                    entriesLeft = left
                    return (position - start, .needsMore)
                case .malformed, .tooLarge:
                    return (position - start, .failed(malformed(shown(position, end))))
                }
            }
            let used = parseEntry(position, end)
            if used > 0 {
                position += used
                left &-= 1
                entriesParsed &+= 1
                skim.isActive = false
                continue
            }
            entriesLeft = left
            if used == Step.needsMore {
                // From here on only the part that is new is looked at, until the entry is complete.
                if end - position > EntrySkim.worthwhileBytes { skim = EntrySkim(isActive: true) }
                return (position - start, .needsMore)
            }
            return (position - start, .failed(failure(used, position, end)))
        }
        entriesLeft = nil
        return (position - start, .replyEnd)
    }

    /// Parses one entry into the next row. Gives the bytes used, or what `Step` says.
    @inline(__always)
    private mutating func parseEntry(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> Int {
        var position = start
        // "*2\r\n", then the id.
        guard UnsafeRawPointer(position).loadUnaligned(as: UInt32.self) == 0x0A0D_322A else {
            return end - position < 4 ? Step.needsMore : Step.malformed
        }
        position += 4
        let idLength = readLength(&position, end, 0x24)
        if idLength < 0 { return idLength == Length.needsMore ? Step.needsMore : Step.malformed }
        guard idLength <= 41 else { return Step.malformed }
        guard end - position >= idLength &+ 2 else { return Step.needsMore }
        guard let id = readID(position, idLength), endsLine(position + idLength) else {
            return Step.malformed
        }
        let idText = position
        position += idLength &+ 2

        let elements = readLength(&position, end, 0x2A)
        if elements < 0 { return elements == Length.needsMore ? Step.needsMore : Step.malformed }
        guard elements & 1 == 0 else { return Step.malformed }
        guard elements <= ProtocolLimits.entryElements else { return Step.tooLarge }

        guard batch.beginRow() else { return Step.noMemory }
        if idColumns.id >= 0 { batch.set(idColumns.id, idText, idLength) }
        if idColumns.timestamp >= 0 {
            batch.setInteger(idColumns.timestamp, id.milliseconds, text: idText, idLength)
        }
        if idColumns.sequence >= 0 {
            batch.setInteger(idColumns.sequence, id.sequence, text: idText, idLength)
        }

        var field = 0
        let fieldCount = elements &>> 1
        while field < fieldCount {
            var (headerLength, column) = fields.match(field, position)
            if headerLength > 0 {
                position += headerLength
            } else {
                let headerStart = position
                let nameLength = readLength(&position, end, 0x24)
                if nameLength < 0 {
                    return nameLength == Length.needsMore ? Step.needsMore : Step.malformed
                }
                guard nameLength <= ProtocolLimits.bulkBytes else { return Step.tooLarge }
                guard end - position >= nameLength &+ 2 else { return Step.needsMore }
                guard endsLine(position + nameLength) else { return Step.malformed }
                column = fields.column(of: position, nameLength)
                if column == FieldTable.unknown {
                    column = addField(position, nameLength)
                    if column < FieldTable.ignored {
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
            guard length <= ProtocolLimits.bulkBytes else { return Step.tooLarge }
            guard end - position >= length &+ 2 else { return Step.needsMore }
            guard endsLine(position + length) else { return Step.malformed }
            if column >= 0 { batch.set(column, position, length) }
            position += length &+ 2
            field &+= 1
        }

        switch batch.commitRow() {
        case .committed:
            lastID = id
            return position - start
        case .refused(let column, let text):
            failedID = Array(UnsafeBufferPointer(start: idText, count: idLength))
            refusal = (column, Array(text.prefix(81)))
            lastID = id
            return Step.refused
        case .noMemory: return Step.noMemory
        }
    }

    /// Gives a field that was not seen before a column, or remembers that it has none.
    @inline(never)
    private mutating func addField(_ name: UnsafePointer<UInt8>, _ count: Int) -> Int {
        guard unknown == .discover else {
            // Not added to the table: a stream with ever new fields must not make it grow.
            return FieldTable.ignored
        }
        guard batch.columnCount < columnsMax else { return Step.tooManyColumns }
        let bytes = UnsafeBufferPointer(start: name, count: count)
        let shown = columnName(bytes)
        if batch.requested.contains(where: { $0.name == shown }) { return Step.sameName }
        guard let column = batch.addColumn(RequestedColumn(name: shown, type: .string)),
            fields.add(name, count, column)
        else { return Step.noMemory }
        return column
    }

    // MARK: Errors

    private func malformed(_ what: String) -> RedisError {
        RedisError(.protocolViolation, "the server sent \(what) where stream entries should be")
    }

    private func shown(_ position: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> String {
        let count = min(end - position, 40)
        return "\"\(escaped(UnsafeBufferPointer(start: position, count: count), limit: 40))\""
    }

    @inline(never)
    private func failure(
        _ step: Int, _ position: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> RedisError {
        let id = String(decoding: failedID, as: UTF8.self)
        switch step {
        case Step.refused:
            guard let (index, bytes) = refusal, index < batch.requested.count else {
                return malformed(shown(position, end))
            }
            let column = batch.requested[index]
            let field = escaped(column.name, limit: 200)
            let dtype = String(decoding: column.type.format, as: UTF8.self)
            let value = escaped(bytes, limit: 80)
            return RedisError(
                .value,
                "entry \(id), field \"\(field)\": the value \"\(value)\" does not fit "
                    + "\(column.type.name) (\(dtype)); give the column another type, or "
                    + "on_error=\"null\" to read such values as null",
                details: [
                    (.entryID, id), (.field, field), (.dtype, dtype), (.value, value),
                ])
        case Step.noMemory: return RedisError(.memory, "no memory for another row")
        case Step.tooManyColumns:
            return RedisError(
                .schema,
                "entry \(id) would be the first to have a column number \(columnsMax + 1) "
                    + "(columns_max is \(columnsMax)): give a schema that names the fields you want",
                details: [(.entryID, id)])
        case Step.sameName:
            return RedisError(
                .schema,
                "entry \(id) has a field whose escaped name is another field's name: "
                    + "give a schema that names the fields you want", details: [(.entryID, id)])
        case Step.tooLarge: return malformed("an entry larger than Redis allows")
        default: return malformed(shown(position, end))
        }
    }

    // MARK: Handing over

    /// The columns as they were asked for or found so far.
    var columns: [RequestedColumn] { batch.requested }

    mutating func withBatch<Result>(_ body: (inout BatchBuilder) -> Result) -> Result {
        body(&batch)
    }

    mutating func forgetPosition() {
        lastID = nil
        entriesParsed = 0
    }
}

// MARK: Pieces of the protocol

/// What `readLength` gives besides a length.
enum Length {
    static let null = -1
    static let needsMore = -2
    static let malformed = -3
}

/// Reads `type`, a length and the end of the line, and moves `position` past them; else says why not.
/// Needs 16 zero bytes after `end`.
@inline(__always)
func readLength(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ type: UInt8
) -> Int {
    let text = position
    let word = UnsafeRawPointer(text).loadUnaligned(as: UInt64.self)
    // The lengths 0 to 9 and 10 to 99 are nearly all there are.
    if UInt32(truncatingIfNeeded: word) & 0xFFFF_00FF == 0x0A0D_0000 | UInt32(type) {
        let digit = Int(text[1]) &- 0x30
        if digit >= 0, digit <= 9 {
            position = text + 4
            return digit
        }
    } else if word & 0xFF_FF00_00FF == 0x0A_0D00_0000 | UInt64(type) {
        let tens = Int(text[1]) &- 0x30
        let ones = Int(text[2]) &- 0x30
        if tens >= 0, tens <= 9, ones >= 0, ones <= 9 {
            position = text + 5
            return tens &* 10 &+ ones
        }
    }
    return readLongLength(&position, end, type)
}

@inline(never)
private func readLongLength(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ type: UInt8
) -> Int {
    var text = position
    guard text < end else { return Length.needsMore }
    guard text[0] == type else { return Length.malformed }
    text += 1
    let isNegative = text[0] == 0x2D
    if isNegative { text += 1 }
    var value = 0
    var digits = 0
    while text < end, text[0] >= 0x30, text[0] <= 0x39 {
        digits += 1
        guard digits <= 12 else { return Length.malformed }
        value = value * 10 + Int(text[0] - 0x30)
        text += 1
    }
    guard text < end else { return Length.needsMore }
    guard digits > 0, text[0] == 0x0D else { return Length.malformed }
    guard text + 1 < end else { return Length.needsMore }
    guard text[1] == 0x0A else { return Length.malformed }
    if isNegative, value != 1 { return Length.malformed }
    position = text + 2
    return isNegative ? Length.null : value
}

@inline(__always)
private func endsLine(_ text: UnsafePointer<UInt8>) -> Bool {
    UnsafeRawPointer(text).loadUnaligned(as: UInt16.self) == 0x0A0D
}

/// Reads an entry id of exactly `count` bytes, of which 64 must be readable.
@inline(__always)
private func readID(_ text: UnsafePointer<UInt8>, _ count: Int) -> EntryID? {
    // Milliseconds have 13 digits from 2001 to 2286.
    if count > 14, count < 32, text[13] == 0x2D,
        let milliseconds = readDigits(text, 13), let sequence = readDigits(text + 14, count &- 14)
    {
        return EntryID(milliseconds, sequence)
    }
    return EntryID(UnsafeBufferPointer(start: text, count: count), sequenceIfMissing: nil)
}

/// Up to 18 digits, which cannot overflow.
@inline(__always)
private func readDigits(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    guard count > 0, count <= 18 else { return nil }
    var value: UInt64 = 0
    var wrong: UInt64 = 0
    var index = 0
    while index < count {
        let digit = UInt64(text[index]) &- 0x30
        wrong |= digit > 9 ? 1 : 0
        value = value &* 10 &+ digit
        index &+= 1
    }
    return wrong == 0 ? value : nil
}

/// A field's name as a column's: Arrow wants UTF-8 without NUL, so the bytes that are neither are
/// written as \xNN.
func columnName(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    if !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) {
        return Array(text.utf8)
    }
    var name: [UInt8] = []
    let digits: [UInt8] = Array("0123456789abcdef".utf8)
    func escape(_ byte: UInt8) {
        name.append(contentsOf: [0x5C, 0x78, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
    }
    var rest = bytes[...]
    while let first = rest.first {
        var length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        length = min(length, rest.count)
        let part = rest.prefix(length)
        if first != 0, String(validating: part, as: UTF8.self) != nil {
            name.append(contentsOf: part)
            rest = rest.dropFirst(length)
        } else {
            escape(first)
            rest = rest.dropFirst()
        }
    }
    return name
}
