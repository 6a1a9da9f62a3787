// SPDX-License-Identifier: Apache-2.0
// A column of structs, lists or arrays while it grows: a tree of nodes, whose leaves are columns of
// their own. Each node counts its own values; a row that is begun again cuts all of them back.

import CPlatform

/// How deep the types of a column may be nested.
let nestedDepthMax = 64

/// One node of a nested column. Plain memory.
struct NestedNode {
    /// A `fixedList` has the same number of values in each row, and needs no offsets.
    enum Shape { case leaf, structure, list, fixedList }

    let shape: Shape
    let type: ColumnType
    /// Number of values.
    var length = 0
    /// The children, which stand one after the other; of a list or array there is one.
    var firstChild = 0
    var childCount = 0
    /// The names of a struct's fields.
    var names = ByteStringTable()
    /// The values of a leaf.
    var leaf: ColumnBuilder
    /// Of a list: where the values of each row end in the child, after a 0.
    private(set) var offsets: UnsafeMutablePointer<Int64>?
    private(set) var validity: UnsafeMutablePointer<UInt8>?
    private var capacity = 0

    init(_ column: RequestedColumn) throws(ColumnError) {
        type = column.type
        switch column.type.kind {
        case .structure: shape = .structure
        case .list: shape = .list
        case .fixedList: shape = .fixedList
        default: shape = .leaf
        }
        leaf = try ColumnBuilder(
            shape == .leaf ? column.type : .int64, categories: column.categories)
    }

    mutating func free() {
        removeRows()
        leaf.free()
        names.free()
    }

    mutating func removeRows() {
        leaf.removeRows()
        platform_buffer_free(offsets)
        platform_buffer_free(validity)
        offsets = nil
        validity = nil
        capacity = 0
        length = 0
    }

    /// Makes room for one more value; false when there is no memory.
    @inline(__always)
    mutating func reserve() -> Bool {
        if length < capacity { return true }
        return grow(max(64, capacity &* 2))
    }

    /// The same at the end of a column, which may have no value at all.
    mutating func reserveAny() -> Bool { capacity > 0 || grow(64) }

    @inline(never)
    private mutating func grow(_ rows: Int) -> Bool {
        switch shape {
        case .leaf: guard leaf.reserve(rows: rows) else { return false }
        case .list:
            let bytes = (rows + 1) * MemoryLayout<Int64>.stride
            guard let grown = platform_buffer_resize(offsets, bytes) else { return false }
            let memory = grown.assumingMemoryBound(to: Int64.self)
            if offsets == nil { memory[0] = 0 }
            offsets = memory
            if validity != nil, !growValidity(rows) { return false }
        case .structure, .fixedList: if validity != nil, !growValidity(rows) { return false }
        }
        capacity = rows
        return true
    }

    private mutating func growValidity(_ rows: Int) -> Bool {
        let before = validity == nil ? 0 : (capacity + 7) / 8
        let bytes = (rows + 7) / 8
        guard let grown = platform_buffer_resize(validity, bytes) else { return false }
        let bitmap = grown.assumingMemoryBound(to: UInt8.self)
        memset(bitmap + before, 0xFF, bytes - before)
        validity = bitmap
        return true
    }

    /// Ends the value of a struct, list or array; of a list, its values end at `end` in the child.
    /// There must be room for it.
    @inline(__always)
    mutating func append(end: Int) {
        if let validity { validity[length &>> 3] |= 1 &<< UInt8(truncatingIfNeeded: length & 7) }
        offsets?[length &+ 1] = Int64(end)
        length &+= 1
    }

    /// The same for null; false when there is no memory.
    mutating func appendNull(end: Int) -> Bool {
        guard reserve() else { return false }
        if shape == .leaf {
            guard leaf.setNull(length) else { return false }
        } else {
            if validity == nil, !growValidity(capacity) { return false }
            validity?[length &>> 3] &= ~(1 &<< UInt8(truncatingIfNeeded: length & 7))
            offsets?[length &+ 1] = Int64(end)
        }
        length &+= 1
        return true
    }

    /// Moves the buffers of a struct, list or array to the caller.
    mutating func take() -> (
        offsets: UnsafeMutablePointer<Int64>?, validity: UnsafeMutablePointer<UInt8>?
    ) {
        let taken = (offsets, validity)
        offsets = nil
        validity = nil
        capacity = 0
        length = 0
        return taken
    }
}

/// What was wrong with the JSON text of a row that was refused.
public struct NestedRefusal: Sendable {
    /// Where the value stands, as in ".a[3]"; empty if it is the whole, or the text is not JSON.
    public var path: [UInt8]
    /// The value there, cut at 81 bytes; nil if the text is not JSON.
    public var value: [UInt8]?
    /// The name of the type that it does not fit.
    public var type: String
}

/// The nodes of a column, the column itself first. Plain memory behind a pointer.
struct NestedColumn {
    let nodes: UnsafeMutablePointer<NestedNode>
    let nodeCount: Int
    /// A string without its escapes; it has padding after it.
    private var scratch: UnsafeMutablePointer<UInt8>?
    private var scratchSize = 0
    /// The row that was set last, where all nodes can be cut back to.
    private var markedRow = 0
    var refusal: NestedRefusal?

    /// The nodes of `column`, behind a pointer that `free` releases.
    static func make(
        _ column: RequestedColumn
    ) throws(ColumnError) -> UnsafeMutablePointer<NestedColumn> {
        let count = NestedColumn.count(column)
        let list = malloc(count * MemoryLayout<NestedNode>.stride)
        let memory = malloc(MemoryLayout<NestedColumn>.stride)
        guard let list, let memory else {
            CPlatform.free(list)
            CPlatform.free(memory)
            throw ColumnError(cause: .memory, message: "no memory for a column")
        }
        let nodes = list.assumingMemoryBound(to: NestedNode.self)
        // Level by level, so that the children of a node stand one after the other.
        var pending: [RequestedColumn] = [column]
        var made = 0
        do throws(ColumnError) {
            while made < pending.count {
                let next = pending[made]
                var node = try NestedNode(next)
                node.firstChild = pending.count
                node.childCount = next.children.count
                (nodes + made).initialize(to: node)
                made += 1
                pending += next.children
                if node.shape == .structure { try nameChildren(of: nodes + (made - 1), next) }
            }
        } catch {
            for index in 0..<made {
                nodes[index].free()
                (nodes + index).deinitialize(count: 1)
            }
            CPlatform.free(list)
            CPlatform.free(memory)
            throw error
        }
        let column = memory.assumingMemoryBound(to: NestedColumn.self)
        column.initialize(to: NestedColumn(nodes: nodes, nodeCount: count))
        return column
    }

    private init(nodes: UnsafeMutablePointer<NestedNode>, nodeCount: Int) {
        self.nodes = nodes
        self.nodeCount = nodeCount
    }

    private static func count(_ column: RequestedColumn) -> Int {
        column.children.reduce(1) { $0 + count($1) }
    }

    private static func nameChildren(
        of node: UnsafeMutablePointer<NestedNode>, _ column: RequestedColumn
    ) throws(ColumnError) {
        for child in column.children {
            let number = child.name.withUnsafeBufferPointer { bytes in
                withPadding(bytes) { node.pointee.names.insert($0, bytes.count) }
            }
            guard number != nil else {
                throw ColumnError(cause: .memory, message: "no memory for the names of a struct")
            }
        }
    }

    static func free(_ column: UnsafeMutablePointer<NestedColumn>) {
        for index in 0..<column.pointee.nodeCount {
            column.pointee.nodes[index].free()
            (column.pointee.nodes + index).deinitialize(count: 1)
        }
        CPlatform.free(column.pointee.nodes)
        CPlatform.free(column.pointee.scratch)
        column.deinitialize(count: 1)
        CPlatform.free(column)
    }

    mutating func removeRows() {
        for index in 0..<nodeCount { nodes[index].removeRows() }
        markedRow = 0
    }

    // MARK: Rows

    /// Begins the value of a row, or begins it again.
    mutating func begin(_ row: Int) {
        if nodes[0].length > row { return rewind() }
        markedRow = row
        for index in 0..<nodeCount where nodes[index].shape == .leaf {
            nodes[index].leaf.beginRow(0)
        }
    }

    /// Forgets what the row that was set last has left.
    mutating func rewind() {
        guard nodes[0].length >= markedRow else { return }
        truncate(0, to: markedRow)
        for index in 0..<nodeCount where nodes[index].shape == .leaf {
            nodes[index].leaf.rewindRow()
        }
    }

    /// Cuts a node, and all below it, back to its first values.
    func truncate(_ index: Int, to length: Int) {
        let node = nodes + index
        node.pointee.length = length
        switch node.pointee.shape {
        case .leaf: break
        case .structure:
            for child in 0..<node.pointee.childCount {
                truncate(node.pointee.firstChild &+ child, to: length)
            }
        case .list:
            truncate(node.pointee.firstChild, to: Int(node.pointee.offsets?[length] ?? 0))
        case .fixedList: truncate(node.pointee.firstChild, to: length * node.pointee.type.listSize)
        }
    }

    /// Appends null to a node; false when there is no memory.
    func appendNull(_ index: Int) -> Bool {
        let node = nodes + index
        var end = 0
        switch node.pointee.shape {
        case .leaf: break
        case .list: end = nodes[node.pointee.firstChild].length
        case .structure:
            for child in 0..<node.pointee.childCount
            where !appendNull(node.pointee.firstChild &+ child) { return false }
        case .fixedList:
            // A null array has its places in the child too.
            for _ in 0..<node.pointee.type.listSize
            where !appendNull(node.pointee.firstChild) { return false }
        }
        return node.pointee.appendNull(end: end)
    }

    mutating func setNull(_ row: Int) -> Bool {
        begin(row)
        return appendNull(0)
    }

    /// Whether a node, or one below it, has more than its layout in `requested` can number.
    @inline(never)
    func isPast(_ index: Int, _ requested: RequestedColumn, most: Int) -> Bool {
        let node = nodes + index
        let first = node.pointee.firstChild
        switch node.pointee.shape {
        case .leaf:
            return node.pointee.leaf.isPast(requested, rows: node.pointee.length, most: most)
        case .list:
            if requested.hasSmallOffsets, nodes[first].length > most { return true }
        case .structure, .fixedList: break
        }
        return requested.children.indices.contains {
            isPast(first + $0, requested.children[$0], most: most)
        }
    }

    /// Memory for `count` bytes and the padding after them; nil when there is none.
    mutating func scratch(_ count: Int) -> UnsafeMutablePointer<UInt8>? {
        if scratch == nil || count > scratchSize {
            let size = max(count, scratchSize * 2, 256)
            guard let grown = realloc(scratch, size + 64) else { return nil }
            memset(grown, 0, size + 64)
            scratch = grown.assumingMemoryBound(to: UInt8.self)
            scratchSize = size
        }
        return scratch
    }
}
