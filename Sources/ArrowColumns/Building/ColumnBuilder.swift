// SPDX-License-Identifier: Apache-2.0
// One column while it grows: text comes in, a value of the column's type is written at the current
// row.

import CPlatform

/// A column's buffers and the rules to fill them. Plain memory that lives behind a pointer: a copy
/// would be a second owner.
struct ColumnBuilder {
    enum Outcome { case stored, doesNotFit, noMemory }

    private(set) var kind: ColumnType.Kind
    let unit: ColumnType.Unit
    let precision: Int32
    let scale: Int32
    let indexKind: ColumnType.Kind
    let byteWidth: Int
    let categoriesMost: Int
    /// A dictionary whose values were named beforehand takes no others.
    let isClosed: Bool

    private var values: UnsafeMutableRawPointer?
    private var validity: UnsafeMutablePointer<UInt8>?
    private var capacityRows = 0
    private var text = TextStore()
    private var dictionary = ByteStringTable()
    /// Of a timestamp column: what its texts mean.
    private let zone: TimestampZone
    /// The values of a struct, list or array, which have no buffers here.
    let nested: UnsafeMutablePointer<NestedColumn>?

    /// The attempt at a row in which this column was last set: see `BatchBuilder.beginRow`.
    var stamp: UInt64 = 0
    /// `stamp` of a row whose value here is only a fallback.
    var fallbackStamp: UInt64 = 0
    /// Where `text` ended before this row, for going back.
    private var rowMark = 0
    private var rowMarkBuffer = 0
    /// The text of this row that did not fit, borrowed from the receive buffer.
    var refused: UnsafeBufferPointer<UInt8>?

    init(_ column: RequestedColumn) throws(ColumnError) {
        if column.type.kind.isNested {
            try self.init(column.type, categories: nil, nested: try NestedColumn.make(column))
        } else {
            try self.init(column.type, categories: column.categories)
        }
    }

    init(
        _ type: ColumnType, categories: [[UInt8]]?,
        nested: UnsafeMutablePointer<NestedColumn>? = nil
    ) throws(ColumnError) {
        self.nested = nested
        zone = type.kind == .timestamp ? TimestampZone(format: type.format) : .none
        kind = type.kind
        unit = type.unit
        precision = type.precision
        scale = type.scale
        indexKind = type.indexKind
        byteWidth = type.byteWidth
        categoriesMost = type.categoriesMost
        isClosed = categories != nil
        for category in categories ?? [] {
            let number = category.withUnsafeBufferPointer { bytes in
                withPadding(bytes) { dictionary.insert($0, bytes.count) }
            }
            guard number != nil else {
                dictionary.free()
                throw ColumnError(cause: .memory, message: "no memory for the categories")
            }
        }
    }

    mutating func free() {
        removeRows()
        dictionary.free()
        if let nested { NestedColumn.free(nested) }
        zone.free()
    }

    /// Drops all rows and their memory.
    mutating func removeRows() {
        platform_buffer_free(values)
        platform_buffer_free(validity)
        text.free()
        nested?.pointee.removeRows()
        if !isClosed { dictionary.free() }
        values = nil
        validity = nil
        capacityRows = 0
    }

    // MARK: Rows

    /// Makes room for `rows` rows in all; false when there is no memory.
    mutating func reserve(rows: Int) -> Bool {
        if rows <= capacityRows, values != nil { return true }
        let bytes = kind == .boolean ? (rows + 7) / 8 : rows * byteWidth
        guard let grown = platform_buffer_resize(values, bytes + 64) else { return false }
        values = grown
        if validity != nil, !growValidity(rows) { return false }
        capacityRows = rows
        return true
    }

    private mutating func growValidity(_ rows: Int) -> Bool {
        let before = validity == nil ? 0 : (capacityRows + 7) / 8
        let bytes = (rows + 7) / 8
        guard let grown = platform_buffer_resize(validity, bytes + 64) else { return false }
        let bitmap = grown.assumingMemoryBound(to: UInt8.self)
        memset(bitmap + before, 0xFF, bytes + 64 - before)
        validity = bitmap
        return true
    }

    @inline(__always)
    private func markValid(_ row: Int) {
        if let validity { validity[row &>> 3] |= 1 &<< UInt8(truncatingIfNeeded: row & 7) }
    }

    /// Remembers where this row began; called when the column is set for the first time in a row.
    @inline(__always)
    mutating func beginRow(_ newStamp: UInt64) {
        stamp = newStamp
        rowMark = text.length
        rowMarkBuffer = text.closedCount
    }

    /// Forgets what a row that was not finished has left.
    mutating func rewindRow() {
        text.rewind(to: rowMark, buffer: rowMarkBuffer)
        nested?.pointee.rewind()
        refused = nil
    }

    /// Makes the value at `row` null; false when there is no memory.
    mutating func setNull(_ row: Int) -> Bool {
        if let nested { return nested.pointee.setNull(row) }
        if validity == nil, !growValidity(capacityRows) { return false }
        guard let validity, let values else { return false }
        validity[row >> 3] &= ~(1 << UInt8(row & 7))
        // A null has a value too, which nobody should look at; zero is the same in every run.
        if kind == .boolean {
            writeBit(row, false)
        } else {
            memset(values + row * byteWidth, 0, byteWidth)
        }
        return true
    }

    /// Makes rows 0 up to `rows` null: a column that was found after they had been read.
    mutating func fillNull(rows: Int) -> Bool {
        guard reserve(rows: max(rows, capacityRows)), let values else { return false }
        if rows == 0 { return true }
        if validity == nil, !growValidity(capacityRows) { return false }
        let bytes = kind == .boolean ? (rows + 7) / 8 : rows * byteWidth
        memset(values, 0, bytes)
        if let validity {
            memset(validity, 0, rows / 8)
            if rows % 8 != 0 { validity[rows / 8] = 0xFF << UInt8(rows % 8) }
        }
        return true
    }

    private func writeBit(_ row: Int, _ bit: Bool) {
        guard let bits = values?.assumingMemoryBound(to: UInt8.self) else { return }
        let mask: UInt8 = 1 &<< UInt8(truncatingIfNeeded: row & 7)
        if bit { bits[row &>> 3] |= mask } else { bits[row &>> 3] &= ~mask }
    }

    @inline(__always)
    private func store<Value: BitwiseCopyable>(_ value: Value?, _ row: Int) -> Outcome {
        guard let value, let values else { return .doesNotFit }
        values.storeBytes(
            of: value, toByteOffset: row &* MemoryLayout<Value>.size, as: Value.self)
        markValid(row)
        return .stored
    }

    // MARK: Values

    /// Writes an integer that is known already (the halves of an entry id).
    mutating func setInteger(_ row: Int, _ value: UInt64) -> Outcome {
        if kind == .uint64 { return store(value, row) }
        return store(Int64(exactly: value), row)
    }

    /// Whether any Int64 fits here, and is what its text would be.
    var takesSigned: Bool { kind == .int64 || kind == .float64 }

    @inline(__always)
    mutating func setSigned(_ row: Int, _ value: Int64) {
        if kind == .int64 { _ = store(value, row) } else { _ = store(Double(value), row) }
    }

    /// Writes `bytes` as a value of this column's type at `row`, for which there must be room.
    /// They must have 16 readable bytes after their end.
    @inline(__always)
    mutating func set(_ row: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Outcome {
        switch kind {
        case .string, .binary:
            guard let values else { return .noMemory }
            let outcome = StringView.write(
                bytes, count, to: values + row &* 16, store: &text, validated: kind == .string)
            switch outcome {
            case .stored:
                markValid(row)
                return .stored
            case .notUTF8: return .doesNotFit
            case .noMemory: return .noMemory
            }
        case .int64: return store(parseSigned(bytes, count), row)
        case .float64: return store(parseDouble(bytes, count), row)
        default: return setOther(row, bytes, count)
        }
    }

    @inline(never)
    private mutating func setOther(
        _ row: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int
    ) -> Outcome {
        switch kind {
        case .boolean:
            guard let value = parseBoolean(bytes, count) else { return .doesNotFit }
            writeBit(row, value)
            markValid(row)
            return .stored
        case .int8: return store(parseSigned(bytes, count).flatMap { Int8(exactly: $0) }, row)
        case .int16: return store(parseSigned(bytes, count).flatMap { Int16(exactly: $0) }, row)
        case .int32: return store(parseSigned(bytes, count).flatMap { Int32(exactly: $0) }, row)
        case .uint8: return store(parseUnsigned(bytes, count).flatMap { UInt8(exactly: $0) }, row)
        case .uint16: return store(parseUnsigned(bytes, count).flatMap { UInt16(exactly: $0) }, row)
        case .uint32: return store(parseUnsigned(bytes, count).flatMap { UInt32(exactly: $0) }, row)
        case .uint64: return store(parseUnsigned(bytes, count), row)
        case .int128: return store(parseSigned128(bytes, count), row)
        case .uint128: return store(parseUnsigned128(bytes, count), row)
        case .float32: return store(parseFloat(bytes, count), row)
        case .decimal128: return store(parseDecimal(bytes, count, precision, scale), row)
        case .date32: return store(parseDate(bytes, count), row)
        case .time32:
            return store(parseTime(bytes, count, unit).flatMap { Int32(exactly: $0) }, row)
        case .time64: return store(parseTime(bytes, count, unit), row)
        case .timestamp: return store(parseTimestamp(bytes, count, unit, zone), row)
        case .duration: return store(parseDuration(bytes, count, unit), row)
        case .dictionary: return setCategory(row, bytes, count)
        case .structure, .list, .fixedList:
            return nested?.pointee.set(row, bytes, count) ?? .doesNotFit
        case .string, .binary, .int64, .float64: return .doesNotFit  // answered by `set`
        }
    }

    private mutating func setCategory(
        _ row: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int
    ) -> Outcome {
        var number = dictionary.find(bytes, count)
        if number == nil, !isClosed {
            guard dictionary.count < categoriesMost, isValidUTF8(bytes, count) else {
                return .doesNotFit
            }
            number = dictionary.insert(bytes, count)
            if number == nil { return .noMemory }
        }
        guard let index = number else { return .doesNotFit }
        switch indexKind {
        case .int8: return store(Int8(truncatingIfNeeded: index), row)
        case .uint8: return store(UInt8(truncatingIfNeeded: index), row)
        case .int16: return store(Int16(truncatingIfNeeded: index), row)
        case .uint16: return store(UInt16(truncatingIfNeeded: index), row)
        case .int32: return store(Int32(truncatingIfNeeded: index), row)
        case .uint32: return store(UInt32(truncatingIfNeeded: index), row)
        default: return store(Int64(index), row)
        }
    }

    /// Makes a column of strings one of bytes, which are stored in the same way.
    mutating func becomeBinary() {
        if kind == .string { kind = .binary }
    }

    // MARK: Handing over

    /// How many bytes the texts of the first `rows` rows have, if that is more than `most`;
    /// else any number up to that.
    func textBytes(rows: Int, most: Int) -> Int {
        guard kind == .string || kind == .binary, let values else { return 0 }
        // Short texts stand in the views.
        var bound = rows * StringView.inlineLimit + text.length
        for index in 0..<text.closedCount { bound += text.closed?[index].length ?? 0 }
        if bound <= most { return bound }
        // The view of a null is zero.
        return (0..<rows).reduce(0) { $0 + Int((values + $1 * 16).load(as: Int32.self)) }
    }

    /// Whether the first `rows` rows have more than the layout of `requested` can number.
    @inline(never)
    func isPast(_ requested: RequestedColumn, rows: Int, most: Int) -> Bool {
        if let nested { return nested.pointee.isPast(0, requested, most: most) }
        guard requested.layout == .small else { return false }
        if kind == .dictionary { return dictionary.byteCount > most }
        return textBytes(rows: rows, most: most) > most
    }

    /// What a column's buffers are when it is finished, each moved to the taker, who frees it with
    /// `platform_buffer_free`.
    struct Finished {
        var values: UnsafeMutableRawPointer?
        var validity: UnsafeMutablePointer<UInt8>?
        var nullCount = 0
        var text = TextStore()
    }

    /// Moves the first `rows` rows out; the column is then empty and has no memory.
    /// False when there is no memory even for an empty buffer.
    mutating func finish(rows: Int) -> Finished? {
        guard reserve(rows: max(rows, 1)) else { return nil }
        var finished = Finished(values: values, validity: nil, nullCount: 0, text: text)
        if let validity {
            finished.nullCount = countNulls(validity, rows)
            if finished.nullCount > 0 {
                finished.validity = validity
            } else {
                platform_buffer_free(validity)
            }
        }
        let used = kind == .boolean ? (rows + 7) / 8 : rows * byteWidth
        let held = kind == .boolean ? (capacityRows + 7) / 8 : capacityRows * byteWidth
        if held - used > 4096 {
            // Address space that was reserved and never used goes back; the values do not move.
            finished.values = platform_buffer_resize(values, used + 64) ?? values
        }
        values = nil
        validity = nil
        text = TextStore()
        capacityRows = 0
        return finished
    }

    /// The values that a dictionary column has met, as a finished string column of their own.
    mutating func finishDictionary() -> (column: Finished, rows: Int)? {
        let rows = dictionary.count
        let size = (rows + 4) * 16
        guard let views = platform_buffer_resize(nil, size) else { return nil }
        memset(views, 0, size)
        var finished = Finished(values: views)
        for index in 0..<rows {
            let value = dictionary.text(at: index)
            let outcome: StringView.Outcome? = withPadding(value) { bytes in
                StringView.write(
                    bytes, value.count, to: views + index * 16, store: &finished.text,
                    validated: false)
            }
            guard case .stored? = outcome else {
                finished.text.free()
                platform_buffer_free(views)
                return nil
            }
        }
        if !isClosed { dictionary.free() }
        return (finished, rows)
    }
}

/// How many of the first `rows` bits are not set.
func countNulls(_ bitmap: UnsafePointer<UInt8>, _ rows: Int) -> Int {
    var valid = 0
    for byte in 0..<(rows / 8) { valid += bitmap[byte].nonzeroBitCount }
    if rows % 8 != 0 {
        valid += (bitmap[rows / 8] & ~(0xFF << UInt8(rows % 8))).nonzeroBitCount
    }
    return rows - valid
}

/// Calls `body` with a copy of `bytes` that has the readable bytes after its end that the builders
/// need; nil when there is no memory. For the rare value that does not come from a receive buffer.
func withPadding<Result>(
    _ bytes: UnsafeBufferPointer<UInt8>, _ body: (UnsafePointer<UInt8>) -> Result?
) -> Result? {
    guard let copy = calloc(bytes.count + 64, 1) else { return nil }
    defer { CPlatform.free(copy) }
    if let start = bytes.baseAddress { memcpy(copy, start, bytes.count) }
    return body(copy.assumingMemoryBound(to: UInt8.self))
}
