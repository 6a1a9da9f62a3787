// SPDX-License-Identifier: Apache-2.0
// Reads the columns that a caller wants from an ArrowSchema, which is borrowed and never trusted.
import CArrowData
import CPlatform
import RedcolBase

/// A column as it was asked for.
public struct RequestedColumn: Equatable, Sendable {
    /// UTF-8 without NUL.
    public var name: [UInt8]
    public var type: ColumnType
    /// Arrow's flags: nullable always, and for dictionaries whether they are ordered.
    public var flags: Int64
    /// Arrow's key and value metadata in its own encoding; empty if there is none.
    public var metadata: [UInt8]
    /// Of a dictionary: the only values allowed, in order; nil: any value.
    public var categories: [[UInt8]]?
    /// The fields of a struct; of a list or array, what its values are.
    public var children: [RequestedColumn] = []
    /// How texts are laid out where they are handed over; of a dictionary, its values.
    public var layout: TextLayout
    /// A column of strings that becomes one of bytes with the first value that is not UTF-8.
    public var turnsBinary = false

    public init(
        name: [UInt8], type: ColumnType, flags: Int64 = Int64(ARROW_FLAG_NULLABLE),
        metadata: [UInt8] = [], categories: [[UInt8]]? = nil, layout: TextLayout = .view
    ) {
        self.layout = layout
        self.name = name
        self.type = type
        self.flags = flags
        self.metadata = metadata
        self.categories = categories
    }

    /// The Arrow format that is handed over, without NUL.
    var format: [UInt8] {
        switch type.kind {
        case .string, .binary: return copyBytes(layout.format(type.kind))
        default: return type.format
        }
    }

    /// Whether it, or a column in it, has offsets of 32 bits.
    var hasSmallLayout: Bool {
        switch type.kind {
        case .string, .binary, .dictionary: return layout == .small
        default: return hasSmallOffsets || children.contains { $0.hasSmallLayout }
        }
    }

    /// Whether it is a list whose offsets have 32 bits.
    var hasSmallOffsets: Bool { type.format == [UInt8(ascii: "+"), UInt8(ascii: "l")] }
}

/// Columns that a schema can have, or a struct; those inside of others included.
private let columnsMax: Int64 = 100_000
private let metadataBytesMax = 16 << 20

/// The columns of a struct schema ("+s"), in its order. Everything is copied; nothing is released.
public func importSchema(
    _ schema: UnsafePointer<ArrowSchema>
) throws(ColumnError) -> [RequestedColumn] {
    guard schema.pointee.release != nil else {
        throw .schema("The schema was released before it was given.")
    }
    guard let format = schema.pointee.format else {
        throw .schema("The schema has no format.")
    }
    guard strcmp(format, "+s") == 0 else {
        throw .schema(
            "The schema must be a struct (Arrow format \"+s\") whose children are the columns, "
                + "not \"\(escaped(copyBytes(format)))\".")
    }
    let count = schema.pointee.n_children
    guard count >= 0, count <= columnsMax else {
        throw .schema("The schema says that it has \(count) columns; 0 to \(columnsMax) can be.")
    }
    var columns: [RequestedColumn] = []
    if count == 0 { return columns }
    guard let children = schema.pointee.children else {
        throw .schema("The schema has \(count) columns, but its list of children is NULL.")
    }
    guard hasMemory(Int(count), RequestedColumn.self) else { throw .noMemory }
    columns.reserveCapacity(Int(count))
    var left = columnsMax
    for index in 0..<Int(count) {
        guard let child = children[index] else {
            throw .schema("Column \(index) of the schema is NULL.")
        }
        columns.append(try importColumn(child, index, depth: 1, &left))
    }
    try refuseDuplicates(columns)
    return columns
}

/// `left`: how many columns there may still be.
private func importColumn(
    _ child: UnsafePointer<ArrowSchema>, _ index: Int, depth: Int, _ left: inout Int64
) throws(ColumnError) -> RequestedColumn {
    left -= 1
    if let name = child.pointee.name, !platform_memory_is_there(4 * strlen(name)) {
        throw .noMemory
    }
    let name = child.pointee.name.map { copyBytes($0) } ?? []
    let isText = name.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return true }
        return isValidUTF8(base, buffer.count)
    }
    // Made for messages only.
    var label: String { "Column \(index) (\"\(escaped(name))\") of the schema" }
    guard isText else { throw .schema("\(label) has a name that is not UTF-8.") }
    guard child.pointee.release != nil else { throw .schema("\(label) was released before.") }
    guard let format = child.pointee.format else { throw .schema("\(label) has no format.") }

    var type: ColumnType
    do {
        type = try ColumnType(format: format)
    } catch {
        throw .schema("\(label): \(error.message)")
    }
    guard left >= 0 else {
        throw .schema("\(label) is one too many; there can be \(columnsMax), inner ones included.")
    }
    var flags = Int64(ARROW_FLAG_NULLABLE)
    var layout = TextLayout(format, type.kind) ?? .view
    if let dictionary = child.pointee.dictionary {
        guard dictionary.pointee.release != nil, let valueFormat = dictionary.pointee.format else {
            throw .schema("\(label) has a dictionary without a format.")
        }
        let isString =
            strcmp(valueFormat, "u") == 0 || strcmp(valueFormat, "U") == 0
            || strcmp(valueFormat, "vu") == 0
        guard isString, dictionary.pointee.dictionary == nil,
            let indexed = ColumnType.dictionary(index: type.kind)
        else {
            throw .schema(
                "\(label) has a dictionary of Arrow format \"\(escaped(copyBytes(valueFormat)))\" "
                    + "with indices of format \"\(escaped(copyBytes(format)))\". Supported are "
                    + "dictionaries of strings (u, U, vu) with integer indices.")
        }
        type = indexed
        layout = TextLayout(valueFormat, .string) ?? .view
        flags |= child.pointee.flags & Int64(ARROW_FLAG_DICTIONARY_ORDERED)
    }
    var column = RequestedColumn(name: name, type: type, flags: flags, layout: layout)
    if type.kind.isNested {
        guard depth < nestedDepthMax else {
            throw .schema("\(label) is nested deeper than \(nestedDepthMax) levels.")
        }
        do {
            column.children = try importChildren(child, type.kind, depth: depth + 1, &left)
        } catch {
            throw ColumnError(cause: error.cause, message: "\(label): \(error.message)")
        }
    } else if depth > 1, type.kind == .binary {
        throw .schema("\(label) is binary inside of a struct or list, which JSON cannot carry.")
    }
    if let metadata = child.pointee.metadata {
        guard let size = metadataSize(metadata) else {
            throw .schema(
                "\(label) has metadata with a negative length or of more than "
                    + "\(metadataBytesMax >> 20) MiB.")
        }
        guard platform_memory_is_there(4 * size) else { throw .noMemory }
        column.metadata = [UInt8](UnsafeRawBufferPointer(start: metadata, count: size))
    }
    return column
}

/// The fields of a struct, or what a list or array has.
private func importChildren(
    _ schema: UnsafePointer<ArrowSchema>, _ kind: ColumnType.Kind, depth: Int, _ left: inout Int64
) throws(ColumnError) -> [RequestedColumn] {
    let count = schema.pointee.n_children
    guard count >= 0, count <= left, kind == .structure || count == 1 else {
        throw .schema("It says that it has \(count) columns.")
    }
    var columns: [RequestedColumn] = []
    for index in 0..<Int(count) {
        guard let child = schema.pointee.children?[index] else {
            throw .schema("Its column \(index) is NULL.")
        }
        columns.append(try importColumn(child, index, depth: depth, &left))
    }
    try refuseDuplicates(columns)
    return columns
}

/// The size of encoded metadata: a count, then for each key and value a length and its bytes. The
/// encoding does not say how long it is as a whole, so that a wrong length must be caught here.
private func metadataSize(_ metadata: UnsafePointer<CChar>) -> Int? {
    let bytes = UnsafeRawPointer(metadata)
    let pairs = bytes.loadUnaligned(as: Int32.self)
    guard pairs >= 0, Int(pairs) <= metadataBytesMax / 8 else { return nil }
    var size = 4
    for _ in 0..<Int(pairs) * 2 {
        guard size <= metadataBytesMax - 4 else { return nil }
        let length = bytes.loadUnaligned(fromByteOffset: size, as: Int32.self)
        size += 4
        guard length >= 0, Int(length) <= metadataBytesMax - size else { return nil }
        size += Int(length)
    }
    return size
}

/// A field of an entry goes to one column, so that two of the same name cannot both be filled.
func refuseDuplicates(_ columns: [RequestedColumn]) throws(ColumnError) {
    let order = sortedIndices(columns.count) { left, right in
        compare(columns[left].name, columns[right].name) < 0
    }
    for index in 1..<max(order.count, 1)
    where compare(columns[order[index - 1]].name, columns[order[index]].name) == 0 {
        let name = escaped(columns[order[index]].name)
        throw .schema("The schema has two columns named \"\(name)\"; a name can be used once.")
    }
}

private func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
    let shorter = min(left.count, right.count)
    let order = left.withUnsafeBytes { leftBytes in
        right.withUnsafeBytes { rightBytes -> Int32 in
            guard shorter > 0, let leftBase = leftBytes.baseAddress,
                let rightBase = rightBytes.baseAddress
            else { return 0 }
            return memcmp(leftBase, rightBase, shorter)
        }
    }
    return order != 0 ? Int(order) : left.count - right.count
}
