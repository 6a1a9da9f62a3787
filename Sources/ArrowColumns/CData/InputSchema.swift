// SPDX-License-Identifier: Apache-2.0
// What the columns of a frame hold, read from an ArrowSchema that is borrowed and never trusted.
// https://arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings

import CArrowData
import CPlatform
import RedcolBase

/// The layouts that values are read from.
public enum InputKind: UInt8, Sendable {
    case null, boolean
    case int8, int16, int32, int64, uint8, uint16, uint32, uint64, int128, uint128
    case float16, float32, float64
    case decimal32, decimal64, decimal128
    case date32, date64, time32, time64, timestamp, duration
    case text32, text64, textView, binary32, binary64, binaryView, fixedBinary
    case dictionary
    case list32, list64, fixedList, structure
}

/// One column, or a part of a nested one. `InputBatch` sets the second half, that of one batch.
public struct InputNode {
    public internal(set) var kind: InputKind
    public internal(set) var unit = ColumnType.Unit.second
    var scale = 0
    /// Bytes of a fixed binary, elements of a fixed list.
    var width = 0
    /// Of a timestamp: it has a time zone, so that it is of UTC.
    var isUTC = false
    /// Of a dictionary: what its indices are.
    var indexKind = InputKind.int64
    /// The parts, which stand next to each other; of a dictionary and a list one.
    var firstChild = 0
    var childCount = 0

    var validity: UnsafePointer<UInt8>?
    var values: UnsafeRawPointer?
    var data: UnsafeRawPointer?
    var viewBuffers: UnsafeMutablePointer<UnsafeRawPointer?>?
    var viewSizes: UnsafeRawPointer?
    var viewBufferCount = 0
    var offset = 0
    var length = 0

    init(_ kind: InputKind) { self.kind = kind }
}

/// The columns of a frame. Belongs to one thread.
public final class InputSchema {
    public let columnCount: Int
    /// All nodes: the columns, then their parts.
    public let nodes: UnsafeMutablePointer<InputNode>
    let nodeCount: Int
    /// Names of all nodes, in their order.
    public let names: [[UInt8]]
    /// Formats of the columns, for messages.
    public let formats: [[UInt8]]

    private static let nodesMax = 100_000
    /// What a part of the schema takes, its name apart.
    private static let bytesPerNode = 512
    private static let depthMax = 64

    public static func make(
        _ schema: UnsafePointer<ArrowSchema>
    ) throws(RedcolError) -> InputSchema {
        guard schema.pointee.release != nil, let format = schema.pointee.format else {
            throw RedcolError(.schema, "the frame's schema was released before, or has no format")
        }
        guard strcmp(format, "+s") == 0 else {
            throw RedcolError(
                .schema,
                "what is to be written must be a frame, a struct of columns (Arrow format \"+s\"), "
                    + "not one column of format \"\(InputSchema.shown(format))\"")
        }
        var reading = Reading()
        let columnCount = try reading.addChildren(of: schema, depth: 0, "")
        var names: Set<[UInt8]> = []
        for name in reading.names[..<columnCount] where !names.insert(name).inserted {
            throw RedcolError(
                .schema, "two columns of the frame are called \"\(escaped(name, limit: 200))\"")
        }
        return InputSchema(reading, columnCount)
    }

    private init(_ reading: Reading, _ columnCount: Int) {
        self.columnCount = columnCount
        let found = reading.nodes
        nodeCount = found.count
        names = reading.names
        formats = Array(reading.formats[..<columnCount])
        nodes = .allocate(capacity: max(found.count, 1))
        found.withUnsafeBufferPointer { found in
            if let start = found.baseAddress {
                nodes.initialize(from: start, count: found.count)
            }
        }
    }

    deinit { nodes.deallocate() }

    /// The number of the column of this name.
    public func column(_ name: [UInt8]) -> Int? { names[..<columnCount].firstIndex(of: name) }

    public func shownName(_ column: Int) -> String { escaped(names[column], limit: 200) }

    fileprivate static func shown(_ text: UnsafePointer<CChar>) -> String {
        escaped(Array(UnsafeRawBufferPointer(start: text, count: strlen(text))), limit: 80)
    }

    private struct Reading {
        var nodes: [InputNode] = []
        var names: [[UInt8]] = []
        var formats: [[UInt8]] = []

        /// Adds the children of `schema` next to each other, then theirs; returns their number.
        mutating func addChildren(
            of schema: UnsafePointer<ArrowSchema>, depth: Int, _ path: String
        ) throws(RedcolError) -> Int {
            guard depth < InputSchema.depthMax else {
                throw RedcolError(
                    .schema, "\(path)nested deeper than \(InputSchema.depthMax) levels")
            }
            let (count, first) = (schema.pointee.n_children, nodes.count)
            guard count >= 0, count <= Int64(InputSchema.nodesMax - nodes.count) else {
                throw RedcolError(
                    .schema,
                    "\(path)the schema says that it has \(count) columns; a frame can have "
                        + "\(InputSchema.nodesMax), parts of nested ones included")
            }
            if count == 0 { return 0 }
            try Memory.require(Int(count) * InputSchema.bytesPerNode, for: "the frame's schema")
            guard let children = schema.pointee.children else {
                throw RedcolError(.schema, "\(path)the schema's list of children is NULL")
            }
            for index in 0..<Int(count) { try place(children[index], path) }
            for index in 0..<Int(count) {
                guard let child = children[index] else { continue }
                try fill(first + index, child, depth, path)
            }
            return Int(count)
        }

        private mutating func place(
            _ child: UnsafePointer<ArrowSchema>?, _ path: String
        ) throws(RedcolError) {
            guard let child, child.pointee.release != nil, let format = child.pointee.format else {
                throw RedcolError(
                    .schema, "\(path)a column of the schema is NULL, released or without a format")
            }
            nodes.append(InputNode(.null))
            formats.append(Array(UnsafeRawBufferPointer(start: format, count: strlen(format))))
            try Memory.require(4 * (child.pointee.name.map { strlen($0) } ?? 0), for: "a name")
            names.append(
                child.pointee.name.map {
                    Array(UnsafeRawBufferPointer(start: $0, count: strlen($0)))
                } ?? [])
        }

        private mutating func fill(
            _ index: Int, _ child: UnsafePointer<ArrowSchema>, _ depth: Int, _ path: String
        ) throws(RedcolError) {
            let here = path + "column \"\(escaped(names[index], limit: 200))\": "
            guard let format = child.pointee.format else { return }
            guard var node = InputNode(format: format) else {
                throw RedcolError(
                    .schema,
                    "\(here)Arrow format \"\(InputSchema.shown(format))\" cannot be written; cast "
                        + "it to a number, text, binary, a time, or a list or struct of such")
            }
            if depth > 0, node.isBinary {
                throw RedcolError(
                    .schema,
                    "\(here)nested values are written as JSON, which has no bytes; cast them to "
                        + "text")
            }
            if let dictionary = child.pointee.dictionary {
                guard node.kind.isDictionaryIndex else {
                    throw RedcolError(.schema, "\(here)its dictionary's indices are not integers")
                }
                node.indexKind = node.kind
                node.kind = .dictionary
                node.firstChild = nodes.count
                node.childCount = 1
                try place(dictionary, here)
                try fill(node.firstChild, dictionary, depth + 1, here)
                let kind = nodes[node.firstChild].kind
                if kind == .dictionary || kind.isNested {
                    throw RedcolError(.schema, "\(here)a dictionary of nested values")
                }
            } else if node.kind.isNested {
                node.firstChild = nodes.count
                node.childCount = try addChildren(of: child, depth: depth + 1, here)
                guard node.kind == .structure || node.childCount == 1 else {
                    throw RedcolError(
                        .schema, "\(here)a list of \(node.childCount) types instead of one")
                }
            }
            nodes[index] = node
        }
    }
}

extension InputKind {
    public var isNested: Bool {
        switch self {
        case .list32, .list64, .fixedList, .structure: return true
        default: return false
        }
    }

    fileprivate var isDictionaryIndex: Bool {
        switch self {
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: return true
        default: return false
        }
    }
}

extension InputNode {
    var isBinary: Bool {
        switch kind {
        case .binary32, .binary64, .binaryView, .fixedBinary: return true
        default: return false
        }
    }

    /// Reads the format of a column; nil for one that cannot be written.
    fileprivate init?(format: UnsafePointer<CChar>) {
        let text = Array(UnsafeRawBufferPointer(start: format, count: strlen(format)))
        if let kind = InputNode.plainKind(text) {
            self.init(kind)
            return
        }
        if text.starts(with: "w:".utf8), let width = InputNode.number(text[2...]) {
            self.init(.fixedBinary)
            self.width = width
            return
        }
        if text.starts(with: "+w:".utf8), let width = InputNode.number(text[3...]) {
            self.init(.fixedList)
            self.width = width
            return
        }
        // Decimals of 32 and 64 bits are read as those of 128 are.
        var name = text
        var decimal = InputKind.decimal128
        for (suffix, kind) in [(",32", InputKind.decimal32), (",64", InputKind.decimal64)]
        where text.starts(with: "d:".utf8) && text.count > 5
            && text.suffix(3).elementsEqual(suffix.utf8)
            && text.filter({ $0 == UInt8(ascii: ",") }).count == 2
        {
            name.removeLast(3)
            decimal = kind
        }
        name.append(0)
        let read = name.withUnsafeBufferPointer { bytes -> ColumnType? in
            guard let start = bytes.baseAddress else { return nil }
            return try? ColumnType(
                format: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
        }
        guard let type = read else { return nil }
        switch type.kind {
        case .decimal128:
            self.init(decimal)
            scale = Int(type.scale)
        case .date32: self.init(.date32)
        case .time32: self.init(.time32)
        case .time64: self.init(.time64)
        case .timestamp:
            self.init(.timestamp)
            isUTC = text.count > 4
        case .duration: self.init(.duration)
        default: return nil
        }
        unit = type.unit
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 9 else { return nil }
        var number = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return number
    }

    private static func plainKind(_ format: [UInt8]) -> InputKind? {
        for (name, kind) in plainKinds where format.elementsEqual(name.utf8) { return kind }
        return nil
    }

    private static let plainKinds: [(String, InputKind)] = [
        ("n", .null), ("b", .boolean),
        ("c", .int8), ("s", .int16), ("i", .int32), ("l", .int64),
        ("C", .uint8), ("S", .uint16), ("I", .uint32), ("L", .uint64),
        // Polars' own names for what Arrow has no format for.
        ("_pli128", .int128), ("_plu128", .uint128),
        ("e", .float16), ("f", .float32), ("g", .float64),
        ("tdm", .date64),
        ("u", .text32), ("U", .text64), ("vu", .textView),
        ("z", .binary32), ("Z", .binary64), ("vz", .binaryView),
        ("+l", .list32), ("+L", .list64), ("+s", .structure),
    ]
}
