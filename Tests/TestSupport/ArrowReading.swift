// SPDX-License-Identifier: Apache-2.0
// Arrow arrays read back, value by value; each rule that the values depend on is checked.
// https://arrow.apache.org/docs/format/Columnar.html

import CArrowData

/// A value of a column.
public enum Cell: Hashable, Sendable {
    case null
    case bytes([UInt8])
    case integer(Int64)
    case unsigned(UInt64)

    public static func text(_ text: String) -> Cell { .bytes(utf8(text)) }
}

/// Something in an array that the format does not allow.
public struct ArrowFault: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

private func check(_ isRight: Bool, _ fault: @autoclosure () -> String) throws(ArrowFault) {
    if !isRight { throw ArrowFault(fault()) }
}

/// A batch as plain values.
public struct Table: Equatable, Sendable {
    public var names: [[UInt8]] = []
    public var formats: [String] = []
    public var rows: [[Cell]] = []

    /// Each row's values by column, without the nulls.
    public var present: [[[UInt8]: Cell]] {
        rows.map { row in
            Dictionary(uniqueKeysWithValues: zip(names, row).filter { $0.1 != .null })
        }
    }
}

/// Reads a struct array of string, binary, int64 and uint64 columns. Nothing is released.
public func readTable(
    _ array: UnsafePointer<ArrowArray>, _ schema: UnsafePointer<ArrowSchema>
) throws(ArrowFault) -> Table {
    let (batch, shape) = (array.pointee, schema.pointee)
    try check(batch.release != nil && shape.release != nil, "released already")
    try check(text(shape.format) == utf8("+s"), "the schema is no struct")
    try check(batch.n_buffers == 1 && batch.buffers?[0] == nil, "a struct has one buffer, NULL")
    try check(batch.null_count == 0 && batch.offset == 0, "rows of a batch are never null")
    try check(batch.n_children == shape.n_children, "schema and array differ in columns")
    var table = Table()
    var columns: [[Cell]] = []
    for index in 0..<Int(batch.n_children) {
        guard let child = batch.children?[index], let field = shape.children?[index] else {
            throw ArrowFault("column \(index) is NULL")
        }
        try check(child.pointee.length == batch.length, "column \(index) has another length")
        let format = String(decoding: text(field.pointee.format), as: UTF8.self)
        table.names.append(text(field.pointee.name))
        table.formats.append(format)
        let isNested = format.utf8.first == UInt8(ascii: "+")
        columns.append(
            isNested
                ? try readNested(child.pointee, field.pointee)
                : try readColumn(child.pointee, format))
    }
    table.rows = (0..<Int(batch.length)).map { row in columns.map { $0[row] } }
    return table
}

/// Checks a struct or list, and all in it. A value is how many values are in it, or 0.
private func readNested(
    _ array: ArrowArray, _ schema: ArrowSchema
) throws(ArrowFault) -> [Cell] {
    let format = String(decoding: text(schema.format), as: UTF8.self)
    guard format == "+s" || format == "+L" else { return try readColumn(array, format) }
    try check(array.offset == 0 && array.n_buffers == (format == "+s" ? 1 : 2), "buffers")
    try check(array.n_children == schema.n_children, "schema and array differ in children")
    let validity = array.buffers?[0]?.assumingMemoryBound(to: UInt8.self)
    let rows = Int(array.length)
    var cells = (0..<rows).map { row -> Cell in
        let isNull = validity.map { $0[row / 8] >> (row % 8) & 1 == 0 } ?? false
        return isNull ? .null : .integer(0)
    }
    let nulls = cells.filter { $0 == .null }.count
    try check(Int(array.null_count) == nulls, "null_count is \(array.null_count), not \(nulls)")
    var length = array.length
    if format == "+L" {
        guard let offsets = array.buffers?[1]?.assumingMemoryBound(to: Int64.self) else {
            throw ArrowFault("no offsets")
        }
        try check(offsets[0] == 0, "offsets begin at \(offsets[0])")
        for row in 0..<rows {
            try check(offsets[row] <= offsets[row + 1], "offsets go back")
            if cells[row] != .null { cells[row] = .integer(offsets[row + 1] - offsets[row]) }
        }
        length = offsets[rows]
    }
    for index in 0..<Int(array.n_children) {
        guard let child = array.children?[index], let field = schema.children?[index] else {
            throw ArrowFault("child \(index) is NULL")
        }
        try check(child.pointee.length == length, "child \(index) has another length")
        _ = try readNested(child.pointee, field.pointee)
    }
    return cells
}

/// The values of one column.
public func readColumn(_ array: ArrowArray, _ format: String) throws(ArrowFault) -> [Cell] {
    try check(array.offset == 0 && array.n_buffers >= 2, "an offset, or a lack of buffers")
    let validity = array.buffers?[0]?.assumingMemoryBound(to: UInt8.self)
    guard let values = array.buffers?[1] else { throw ArrowFault("no values") }
    var cells: [Cell] = []
    for row in 0..<Int(array.length) {
        if let validity, validity[row / 8] >> (row % 8) & 1 == 0 {
            cells.append(.null)
            continue
        }
        switch format {
        case "l", "tsm:UTC":
            cells.append(.integer(values.load(fromByteOffset: row * 8, as: Int64.self)))
        case "L": cells.append(.unsigned(values.load(fromByteOffset: row * 8, as: UInt64.self)))
        case "vu", "vz": cells.append(.bytes(try readView(array, values + row * 16)))
        default: throw ArrowFault("no reader for format \(format)")
        }
        if format == "vu", case .bytes(let bytes)? = cells.last {
            try check(String(validating: bytes, as: UTF8.self) != nil, "row \(row) is not UTF-8")
        }
    }
    let nulls = cells.filter { $0 == .null }.count
    try check(Int(array.null_count) == nulls, "null_count is \(array.null_count), not \(nulls)")
    return cells
}

/// https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
private func readView(
    _ array: ArrowArray, _ view: UnsafeRawPointer
) throws(ArrowFault) -> [UInt8] {
    let count = Int(view.load(as: Int32.self))
    try check(count >= 0, "a negative length")
    if count <= 12 {
        let inside = UnsafeRawBufferPointer(start: view + 4, count: 12)
        try check(
            inside[count...].allSatisfy { $0 == 0 }, "bytes after a short string are not zero")
        return Array(inside[..<count])
    }
    let buffer = Int(view.load(fromByteOffset: 8, as: Int32.self))
    let offset = Int(view.load(fromByteOffset: 12, as: Int32.self))
    let dataCount = Int(array.n_buffers) - 3
    guard buffer >= 0, buffer < dataCount, let data = array.buffers?[2 + buffer],
        let sizes = array.buffers?[Int(array.n_buffers) - 1]?.assumingMemoryBound(to: Int64.self)
    else { throw ArrowFault("a view into data buffer \(buffer) of \(dataCount)") }
    try check(offset >= 0 && offset + count <= Int(sizes[buffer]), "a view beyond its buffer")
    let bytes = Array(UnsafeRawBufferPointer(start: data + offset, count: count))
    let prefix = UnsafeRawBufferPointer(start: view + 4, count: 4)
    try check(bytes.prefix(4).elementsEqual(prefix), "a view whose prefix is not its text's")
    return bytes
}

private func text(_ pointer: UnsafePointer<CChar>?) -> [UInt8] {
    guard let pointer else { return [] }
    return Array(String(cString: pointer).utf8)
}
