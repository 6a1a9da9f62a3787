// SPDX-License-Identifier: Apache-2.0
// Hands a schema over as an ArrowSchema of the C Data Interface, which the consumer releases.
// Every node is one allocation, so that a child that was moved out lives on without its parent.
import CArrowData
import CPlatform

/// Gives zeroed memory or NULL; another one than calloc is passed by tests only.
typealias Allocate = @convention(c) (Int, Int) -> UnsafeMutableRawPointer?

/// Fills `out` with a struct schema of these columns and moves it to the caller, who must call its
/// release callback. False means that there was no memory: then the callback is NULL.
public func exportSchema(
    _ columns: [RequestedColumn], into out: UnsafeMutablePointer<ArrowSchema>
) -> Bool {
    exportSchema(columns, into: out) { calloc($0, $1) }
}

func exportSchema(
    _ columns: [RequestedColumn], into out: UnsafeMutablePointer<ArrowSchema>, allocate: Allocate
) -> Bool {
    out.initialize(to: ArrowSchema())
    let count = columns.count
    // The children's pointers, the children, the two texts.
    let pointersSize = count &* MemoryLayout<UnsafeMutablePointer<ArrowSchema>?>.stride
    let childrenSize = count &* MemoryLayout<ArrowSchema>.stride
    guard let block = allocate(1, pointersSize &+ childrenSize &+ 4) else { return false }
    let pointers = block.bindMemory(to: UnsafeMutablePointer<ArrowSchema>?.self, capacity: count)
    let children = (block + pointersSize).bindMemory(to: ArrowSchema.self, capacity: count)
    let texts = block + (pointersSize &+ childrenSize)
    writeText([UInt8(ascii: "+"), UInt8(ascii: "s")], to: texts)

    var schema = ArrowSchema()
    schema.format = UnsafePointer(texts.assumingMemoryBound(to: CChar.self))
    schema.name = UnsafePointer((texts + 3).assumingMemoryBound(to: CChar.self))
    schema.children = count > 0 ? pointers : nil
    schema.private_data = block
    for index in 0..<count {
        pointers[index] = children + index
        guard exportColumn(columns[index], into: children + index, allocate) else {
            // Those that are there already.
            releaseChildren(pointers, Int64(index))
            free(block)
            return false
        }
    }
    schema.n_children = Int64(count)
    schema.release = { schema in
        guard let schema, schema.pointee.release != nil else { return }
        releaseChildren(schema.pointee.children, schema.pointee.n_children)
        free(schema.pointee.private_data)
        schema.pointee.release = nil
        platform_live_objects_add(-1)
    }
    out.pointee = schema
    platform_live_objects_add(1)
    return true
}

private func exportColumn(
    _ column: RequestedColumn, into out: UnsafeMutablePointer<ArrowSchema>, _ allocate: Allocate
) -> Bool {
    guard exportNode(column, format: column.format, into: out, allocate) else { return false }
    var isDone = true
    for index in column.children.indices where isDone {
        guard let child = out.pointee.children?[index] else { return true }
        isDone = exportColumn(column.children[index], into: child, allocate)
    }
    if isDone, let dictionary = out.pointee.dictionary {
        let values = RequestedColumn(name: [], type: .string, layout: column.layout)
        isDone = exportNode(values, format: values.format, into: dictionary, allocate)
    }
    if !isDone { releaseNode(out) }
    return isDone
}

/// A node whose children, and whose dictionary, are not filled yet. Its block holds the children's
/// pointers, the children, the dictionary's node, the metadata (all aligned), the format and the
/// name.
private func exportNode(
    _ column: RequestedColumn, format: [UInt8], into out: UnsafeMutablePointer<ArrowSchema>,
    _ allocate: Allocate
) -> Bool {
    out.initialize(to: ArrowSchema())
    let (name, metadata) = (column.name, column.metadata)
    let count = column.children.count
    let hasDictionary = column.type.kind == .dictionary
    let pointersSize = count &* MemoryLayout<UnsafeMutablePointer<ArrowSchema>?>.stride
    let nodesSize = (count &+ (hasDictionary ? 1 : 0)) &* MemoryLayout<ArrowSchema>.stride
    let textSize = format.count &+ 1 &+ name.count &+ 1
    guard let block = allocate(1, pointersSize &+ nodesSize &+ metadata.count &+ textSize) else {
        return false
    }
    let nodesStart = block + pointersSize
    let metadataStart = nodesStart + nodesSize
    let formatStart = metadataStart + metadata.count
    let nameStart = formatStart + (format.count &+ 1)
    writeText(metadata, to: metadataStart)
    writeText(format, to: formatStart)
    writeText(name, to: nameStart)

    out.pointee.format = UnsafePointer(formatStart.assumingMemoryBound(to: CChar.self))
    out.pointee.name = UnsafePointer(nameStart.assumingMemoryBound(to: CChar.self))
    if !metadata.isEmpty {
        out.pointee.metadata = UnsafePointer(metadataStart.assumingMemoryBound(to: CChar.self))
    }
    out.pointee.flags = column.flags
    let nodes = nodesStart.bindMemory(to: ArrowSchema.self, capacity: count &+ 1)
    if count > 0 {
        let pointers = block.bindMemory(
            to: UnsafeMutablePointer<ArrowSchema>?.self, capacity: count)
        for index in 0..<count { pointers[index] = nodes + index }
        out.pointee.children = pointers
        out.pointee.n_children = Int64(count)
    }
    if hasDictionary { out.pointee.dictionary = nodes + count }
    out.pointee.private_data = block
    out.pointee.release = { releaseNode($0) }
    return true
}

/// Releases a node, wherever it was moved to.
private func releaseNode(_ schema: UnsafeMutablePointer<ArrowSchema>?) {
    guard let schema, schema.pointee.release != nil else { return }
    if let dictionary = schema.pointee.dictionary, let release = dictionary.pointee.release {
        release(dictionary)
    }
    releaseChildren(schema.pointee.children, schema.pointee.n_children)
    free(schema.pointee.private_data)
    schema.pointee.release = nil
}

/// Releases the children that nobody moved out.
private func releaseChildren(
    _ children: UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>?, _ count: Int64
) {
    guard let children, count > 0 else { return }
    for index in 0..<Int(count) {
        if let child = children[index], let release = child.pointee.release { release(child) }
    }
}

/// Copies bytes; the NUL after them is there, since the memory was zeroed.
private func writeText(_ bytes: [UInt8], to start: UnsafeMutableRawPointer) {
    bytes.withUnsafeBytes { source in
        guard let base = source.baseAddress, source.count > 0 else { return }
        _ = memcpy(start, base, source.count)
    }
}
