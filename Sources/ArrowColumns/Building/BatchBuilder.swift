// SPDX-License-Identifier: Apache-2.0
// A batch while it grows: rows come in value by value, a struct array goes out.

import CArrowData
import CPlatform

/// What happens to a value that does not fit its column.
public enum RefusedValue: Sendable {
    /// The row is refused; `BatchBuilder.commitRow` says which column and text it was.
    case raise
    /// The value becomes null.
    case null
}

/// Whether an array of `count` elements can grow, which takes twice as much.
func hasMemory<Element>(_ count: Int, _ type: Element.Type) -> Bool {
    platform_memory_is_there(2 * (count + 1) * MemoryLayout<Element>.stride)
}

/// Columns of one length. A row is begun, set, and then either committed or begun again: what a row
/// that was not committed has left is forgotten, so that a parser may stop in the middle of one.
///
/// Plain memory: it belongs behind a pointer, and to one thread. `free()` ends it.
public struct BatchBuilder {
    public enum RowOutcome {
        case committed
        /// The text of this column's value does not fit its type, or (nil) it has none although
        /// it must. Borrowed from the caller of `set`.
        case refused(column: Int, text: UnsafeBufferPointer<UInt8>?)
        case noMemory
    }

    public private(set) var columnCount: Int
    public private(set) var rowCount = 0
    private var columns: UnsafeMutablePointer<ColumnBuilder>
    private var columnCapacity: Int
    private var rowCapacity = 0
    private let onRefused: RefusedValue
    /// Whether a row is refused that has no value in a column.
    public var refusesMissing = false
    private var names: [RequestedColumn]
    /// Whether a column has a layout that cannot number any amount of text or values.
    private var hasSmallLayout: Bool

    /// The number of this attempt at a row; a column that was set in it carries the same number.
    private var stamp: UInt64 = 0
    private var setCount = 0
    private var refusedCount = 0
    private var ranOutOfMemory = false
    /// Values of committed rows that became null since they do not fit.
    private var nulledCount = 0

    public init(
        _ requested: [RequestedColumn], onRefused: RefusedValue
    ) throws(ColumnError) {
        self.onRefused = onRefused
        names = requested
        hasSmallLayout = requested.contains { $0.hasSmallLayout }
        columnCapacity = max(requested.count, 8)
        columnCount = 0
        let size = columnCapacity * MemoryLayout<ColumnBuilder>.stride
        guard let memory = malloc(size) else {
            throw ColumnError(cause: .memory, message: "no memory for the columns")
        }
        columns = memory.assumingMemoryBound(to: ColumnBuilder.self)
        platform_live_objects_add(1)
        for column in requested {
            do {
                let builder = try ColumnBuilder(column)
                (columns + columnCount).initialize(to: builder)
                columnCount += 1
            } catch {
                free()
                throw error
            }
        }
    }

    public mutating func free() {
        for index in 0..<columnCount { columns[index].free() }
        CPlatform.free(columns)
        columnCount = 0
        platform_live_objects_add(-1)
    }

    /// The columns as they were asked for or found.
    public var requested: [RequestedColumn] { names }

    // MARK: Rows

    /// Makes room for `rows` rows in all; false when there is no memory.
    public mutating func reserve(rows: Int) -> Bool {
        for index in 0..<columnCount where !columns[index].reserve(rows: rows) { return false }
        if rows > rowCapacity { rowCapacity = rows }
        return true
    }

    /// Begins the next row, or the same one again. False when there is no memory.
    @inline(__always)
    public mutating func beginRow() -> Bool {
        if setCount != 0 { rewindRow() }
        stamp &+= 1
        if rowCount < rowCapacity { return true }
        return reserve(rows: max(64, rowCapacity * 2))
    }

    @inline(never)
    private mutating func rewindRow() {
        for index in 0..<columnCount where columns[index].stamp == stamp {
            columns[index].rewindRow()
        }
        setCount = 0
        refusedCount = 0
    }

    /// Sets the value of `column` in this row from its text, which must have 16 readable bytes
    /// after its end. Set twice, the last value holds.
    @inline(__always)
    public mutating func set(_ column: Int, _ text: UnsafePointer<UInt8>, _ count: Int) {
        let builder = columns + column
        if builder.pointee.stamp != stamp {
            builder.pointee.beginRow(stamp)
            setCount &+= 1
        } else if builder.pointee.refused != nil {
            builder.pointee.refused = nil
            refusedCount &-= 1
        }
        let outcome = builder.pointee.set(rowCount, text, count)
        if case .stored = outcome { return }
        refuse(column, UnsafeBufferPointer(start: text, count: count), outcome)
    }

    /// Sets the value of `column` in this row unless `set` has given it one.
    @inline(never)
    public mutating func setFallback(_ column: Int, _ text: UnsafePointer<UInt8>, _ count: Int) {
        let builder = columns + column
        guard builder.pointee.stamp != stamp || builder.pointee.fallbackStamp == stamp else {
            return
        }
        builder.pointee.fallbackStamp = stamp
        set(column, text, count)
    }

    /// Sets an integer that is known already; `text` is how it looks, for the error.
    @inline(__always)
    public mutating func setInteger(
        _ column: Int, _ value: UInt64, text: UnsafePointer<UInt8>, _ count: Int
    ) {
        let builder = columns + column
        builder.pointee.beginRow(stamp)
        setCount &+= 1
        let outcome = builder.pointee.setInteger(rowCount, value)
        if case .stored = outcome { return }
        refuse(column, UnsafeBufferPointer(start: text, count: count), outcome)
    }

    /// Sets a number whose text is canonical, without making that; false if the column needs it.
    @inline(__always)
    public mutating func setSigned(_ column: Int, _ value: Int64) -> Bool {
        let builder = columns + column
        guard builder.pointee.takesSigned else { return false }
        if builder.pointee.stamp != stamp {
            builder.pointee.beginRow(stamp)
            setCount &+= 1
        } else if builder.pointee.refused != nil {
            builder.pointee.refused = nil
            refusedCount &-= 1
        }
        builder.pointee.setSigned(rowCount, value)
        return true
    }

    /// The row has a value for `column` that cannot be one; `text` is how it looks, borrowed until
    /// the row ends.
    @inline(never)
    mutating func setRefused(_ column: Int, _ text: UnsafeBufferPointer<UInt8>) {
        let builder = columns + column
        if builder.pointee.stamp != stamp {
            builder.pointee.beginRow(stamp)
            setCount &+= 1
        } else if builder.pointee.refused != nil {
            refusedCount &-= 1
        }
        builder.pointee.refused = text
        refusedCount &+= 1
    }

    /// The row's value in `column` is null.
    @inline(never)
    mutating func setNull(_ column: Int) {
        let builder = columns + column
        if builder.pointee.stamp != stamp {
            builder.pointee.beginRow(stamp)
            setCount &+= 1
        } else if builder.pointee.refused != nil {
            builder.pointee.refused = nil
            refusedCount &-= 1
        }
        if !builder.pointee.setNull(rowCount) { ranOutOfMemory = true }
    }

    @inline(never)
    private mutating func refuse(
        _ column: Int, _ text: UnsafeBufferPointer<UInt8>, _ outcome: ColumnBuilder.Outcome
    ) {
        if case .noMemory = outcome {
            ranOutOfMemory = true
            return
        }
        if names[column].turnsBinary, names[column].type.kind == .string,
            let start = text.baseAddress
        {
            turnBinary(column)
            if case .noMemory = columns[column].set(rowCount, start, text.count) {
                ranOutOfMemory = true
            }
            return
        }
        columns[column].refused = text
        refusedCount += 1
    }

    /// Ends this row: columns that were not set are null in it.
    @inline(__always)
    public mutating func commitRow() -> RowOutcome {
        if setCount == columnCount, refusedCount == 0, !ranOutOfMemory {
            setCount = 0
            rowCount &+= 1
            return .committed
        }
        return commitUnevenRow()
    }

    @inline(never)
    private mutating func commitUnevenRow() -> RowOutcome {
        if refusesMissing, !ranOutOfMemory,
            let column = (0..<columnCount).first(where: { columns[$0].stamp != stamp })
        {
            rewindRow()
            return .refused(column: column, text: nil)
        }
        if refusedCount > 0 {
            for index in 0..<columnCount {
                guard columns[index].stamp == stamp, let text = columns[index].refused else {
                    continue
                }
                if case .raise = onRefused {
                    rewindRow()
                    return .refused(column: index, text: text)
                }
                columns[index].refused = nil
                if !columns[index].setNull(rowCount) { ranOutOfMemory = true }
            }
        }
        for index in 0..<columnCount where columns[index].stamp != stamp {
            if !columns[index].setNull(rowCount) { ranOutOfMemory = true }
        }
        if ranOutOfMemory {
            ranOutOfMemory = false
            rewindRow()
            return .noMemory
        }
        nulledCount += refusedCount
        refusedCount = 0
        setCount = 0
        rowCount += 1
        return .committed
    }

    /// How many values became null because they do not fit. Counting starts again from here.
    public mutating func takeNulled() -> Int {
        defer { nulledCount = 0 }
        return nulledCount
    }

    /// What was wrong in the JSON text of a column whose value was refused last; nil of others.
    public func nestedRefusal(_ column: Int) -> NestedRefusal? {
        columns[column].nested?.pointee.refusal
    }

    /// Makes a column of text one of bytes, with the rows that it has.
    public mutating func turnBinary(_ column: Int) {
        names[column].type = .binary
        columns[column].becomeBinary()
    }

    /// Adds a column in the middle of a row; earlier rows are null in it. Its number, or nil
    /// when there is no memory.
    public mutating func addColumn(_ column: RequestedColumn) -> Int? {
        if columnCount == columnCapacity {
            let wanted = columnCapacity * 2
            let size = wanted * MemoryLayout<ColumnBuilder>.stride
            guard let grown = realloc(columns, size) else { return nil }
            columns = grown.assumingMemoryBound(to: ColumnBuilder.self)
            columnCapacity = wanted
        }
        guard names.count < names.capacity || hasMemory(names.count, RequestedColumn.self),
            var builder = try? ColumnBuilder(column)
        else { return nil }
        guard builder.reserve(rows: rowCapacity), builder.fillNull(rows: rowCount) else {
            builder.free()
            return nil
        }
        (columns + columnCount).initialize(to: builder)
        names.append(column)
        hasSmallLayout = hasSmallLayout || column.hasSmallLayout
        columnCount += 1
        return columnCount - 1
    }

    // MARK: Handing over

    /// The first column whose committed rows have more than the offsets of its layout can count:
    /// text of `u` and `z`, values of `+l`; nil if there is none.
    public func columnPastLayout(most: Int = Int(Int32.max)) -> Int? {
        if !hasSmallLayout { return nil }
        return names.indices.first { index in
            columns[index].isPast(names[index], rows: rowCount, most: most)
        }
    }

    /// Forgets the committed rows.
    public mutating func removeRows() {
        if setCount != 0 { rewindRow() }
        rowCount = 0
        rowCapacity = 0
        for index in 0..<columnCount { columns[index].removeRows() }
    }

    /// Moves the committed rows into `array` and describes them in `schema` (if not nil), and
    /// begins an empty batch of the same columns. Texts have the columns' layouts, or are views.
    /// False when there is no memory: both are then released, and the rows are lost.
    public mutating func finish(
        array: UnsafeMutablePointer<ArrowArray>, schema: UnsafeMutablePointer<ArrowSchema>?,
        asViews: Bool = false
    ) -> Bool {
        if setCount != 0 { rewindRow() }
        let rows = rowCount
        rowCount = 0
        rowCapacity = 0
        array.pointee = ArrowArray()
        schema?.pointee = ArrowSchema()
        guard exportColumns(columns, names, rows: rows, asViews: asViews, into: array) else {
            removeRows()
            return false
        }
        if let schema, !exportSchema(names, into: schema) {
            array.pointee.release?(array)
            return false
        }
        return true
    }
}
