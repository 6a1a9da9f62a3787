// SPDX-License-Identifier: Apache-2.0
// The rows of a list while answers come: in any order, and with values that come later. Then they
// become columns, sorted by key.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A column of a list, and where its values come from.
struct ListColumn {
    enum Kind {
        /// The key of the row's stream.
        case stream
        case text
        /// A number that is not negative; servers say -1 for what they do not know.
        case count
        /// An entry id, or the id of an entry.
        case id
        /// The milliseconds of the id two columns before.
        case timeBefore
    }

    let name: StaticString
    let kind: Kind
    /// What the server calls it; nil: it is not in the answer that has the row.
    let field: StaticString?

    init(_ name: StaticString, _ kind: Kind, _ field: StaticString? = nil) {
        self.name = name
        self.kind = kind
        self.field = field
    }

    private var format: StaticString {
        switch kind {
        case .stream, .text, .id: "vu"
        case .count: "l"
        case .timeBefore: "tsm:UTC"
        }
    }

    func requested() throws(ColumnError) -> RequestedColumn {
        let format = UnsafeRawPointer(format.utf8Start).assumingMemoryBound(to: CChar.self)
        return RequestedColumn(
            name: Array(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)),
            type: try ColumnType(format: format))
    }
}

extension [ListColumn] {
    /// The column of what the server calls so. Servers name nearly all in the order of the columns:
    /// it is looked for after the one that was found last.
    func column(_ name: UnsafeBufferPointer<UInt8>, after last: Int) -> Int? {
        guard let start = name.baseAddress else { return nil }
        var index = last
        for _ in indices {
            index = index + 1 < count ? index + 1 : 0
            if let field = self[index].field, field.utf8CodeUnitCount == name.count,
                memcmp(field.utf8Start, start, name.count) == 0
            {
                return index
            }
        }
        return nil
    }
}

/// A text that stands among those of `ListedRows`.
struct ListedText {
    let start: Int
    let count: Int
}

/// One value of a row.
enum ListedValue {
    case null
    case integer(Int64)
    case id(EntryID)
    case text(ListedText)
}

/// Rows in the order in which they came.
struct ListedRows {
    let columns: [ListColumn]
    private var values: [ListedValue] = []
    private var texts: [UInt8] = []
    /// Of each row the number of its stream.
    private var streams: [Int32] = []

    init(_ columns: [ListColumn]) { self.columns = columns }

    var count: Int { streams.count }

    subscript(row: Int, column: Int) -> ListedValue {
        @inline(never) get { values[row * columns.count + column] }
        @inline(never) set { values[row * columns.count + column] = newValue }
    }

    func stream(of row: Int) -> Int { Int(streams[row]) }

    func text(_ text: ListedText) -> ArraySlice<UInt8> {
        texts[text.start..<(text.start + text.count)]
    }

    /// Adds a row of nulls.
    mutating func append(stream: Int) throws(RedcolError) {
        guard values.makeRoom(for: columns.count), streams.makeRoom(for: 1) else {
            throw noMemory()
        }
        for _ in columns { values.append(.null) }
        streams.append(Int32(truncatingIfNeeded: stream))
    }

    mutating func append(text: [UInt8]) throws(RedcolError) -> ListedText {
        guard texts.makeRoom(for: text.count) else { throw noMemory() }
        texts.append(contentsOf: text)
        return ListedText(start: texts.count - text.count, count: text.count)
    }

    /// Forgets the rows after the first `count`.
    mutating func truncate(to count: Int) {
        guard count < streams.count else { return }
        values.removeLast((streams.count - count) * columns.count)
        streams.removeLast(streams.count - count)
    }

    // MARK: Columns

    /// All rows as a table, sorted by the numbers of their streams; `names` are those streams.
    func table(_ names: NameList) throws(RedcolError) -> ArrowTable {
        try requireMemory((count + names.count) * 16)
        // Where the rows of each stream begin, and then where its next row goes.
        var places = [Int](repeating: 0, count: names.count + 1)
        for stream in streams { places[Int(stream) + 1] += 1 }
        for stream in 0..<names.count { places[stream + 1] += places[stream] }
        var order = [Int](repeating: 0, count: count)
        for row in 0..<count {
            let stream = Int(streams[row])
            order[places[stream]] = row
            places[stream] += 1
        }
        var table = try ListTable(columns)
        defer { table.free() }
        for row in order {
            try table.begin()
            for column in columns.indices {
                switch columns[column].kind {
                case .stream:
                    try table.set(column, name: names[Int(streams[row])])
                    continue
                case .timeBefore:
                    guard case .id(let id) = self[row, column - 2] else { continue }
                    table.set(column, id.milliseconds)
                    continue
                default: break
                }
                switch self[row, column] {
                case .null: break
                case .integer(let number): table.set(column, UInt64(clamping: number))
                case .id(let id): table.set(column, id)
                case .text(let text): try table.set(column, name: self.text(text))
                }
            }
            try table.commit()
        }
        return try table.finish()
    }
}

/// Columns while rows are put into them.
struct ListTable {
    private var batch: BatchBuilder
    private let columns: [RequestedColumn]

    init(_ columns: [ListColumn]) throws(RedcolError) {
        do throws(ColumnError) {
            var requested: [RequestedColumn] = []
            for column in columns { requested.append(try column.requested()) }
            self.columns = requested
            batch = try BatchBuilder(requested, onRefused: .null)
        } catch {
            throw RedcolError(.memory, error.message)
        }
    }

    mutating func free() { batch.free() }

    var rowCount: Int { batch.rowCount }

    @inline(never)
    mutating func begin() throws(RedcolError) {
        if !batch.beginRow() { throw noMemory() }
    }

    /// A number of at most 63 bits; a larger one becomes null.
    @inline(never)
    mutating func set(_ column: Int, _ number: UInt64) {
        var unused: UInt8 = 0
        batch.setInteger(column, number, text: &unused, 0)
    }

    @inline(never)
    mutating func set(_ column: Int, _ id: EntryID) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 96) { text in
            guard let start = text.baseAddress else { return }
            var count = writeDecimal(id.milliseconds, to: start)
            start[count] = UInt8(ascii: "-")
            count += 1
            count += writeDecimal(id.sequence, to: start + count)
            // What is read after a text: see BatchBuilder.set.
            memset(start + count, 0, 16)
            batch.setFallback(column, start, count)
        }
    }

    /// Bytes that are not UTF-8, and NUL, are shown as \xNN.
    @inline(never)
    mutating func set(_ column: Int, name: ArraySlice<UInt8>) throws(RedcolError) {
        if setPlain(column, name) { return }
        try requireMemory(6 * name.count)
        var text = name.withUnsafeBufferPointer { columnName($0) }
        let count = text.count
        // What is read after a text: see BatchBuilder.set.
        for _ in 0..<16 { text.append(0) }
        text.withUnsafeBufferPointer { padded in
            // What sets a value that nothing has set before is not inlined.
            if let start = padded.baseAddress { batch.setFallback(column, start, count) }
        }
    }

    /// Sets a short name of ASCII alone; false if it is another one.
    private mutating func setPlain(_ column: Int, _ name: ArraySlice<UInt8>) -> Bool {
        let count = name.count
        guard count <= ListTable.plainBytes, name.allSatisfy({ $0 > 0 && $0 < 0x80 }) else {
            return false
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: ListTable.plainBytes + 16) { text in
            guard let start = text.baseAddress else { return }
            name.withUnsafeBufferPointer { bytes in
                if let first = bytes.baseAddress { memcpy(start, first, count) }
            }
            // What is read after a text: see BatchBuilder.set.
            memset(start + count, 0, 16)
            batch.setFallback(column, start, count)
        }
        return true
    }

    private static let plainBytes = 128

    @inline(never)
    mutating func commit() throws(RedcolError) {
        guard case .committed = batch.commitRow() else { throw noMemory() }
    }

    mutating func finish() throws(RedcolError) -> ArrowTable {
        var array = ArrowArray()
        guard batch.finish(array: &array, schema: nil, asViews: true) else {
            throw noMemory()
        }
        var builder = TableBuilder()
        do throws(ColumnError) {
            try builder.append(&array, columns)
        } catch {
            throw RedcolError(.memory, error.message)
        }
        guard let table = builder.finish() else { throw noMemory() }
        return table
    }
}

@inline(never)
func noMemory() -> RedcolError { RedcolError(.memory, "no memory for a list") }

@inline(never)
func requireMemory(_ bytes: Int) throws(RedcolError) {
    if !Memory.isThere(bytes) { throw noMemory() }
}
