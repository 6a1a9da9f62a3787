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
    let isDictionary = column.type.kind == .dictionary
    guard
        exportNode(
            name: column.name, format: column.type.format, metadata: column.metadata,
            flags: column.flags, hasDictionary: isDictionary, into: out, allocate)
    else { return false }
    guard isDictionary, let dictionary = out.pointee.dictionary else { return true }
    let isDone = exportNode(
        name: [], format: ColumnType.string.format, metadata: [],
        flags: Int64(ARROW_FLAG_NULLABLE), hasDictionary: false, into: dictionary, allocate)
    if !isDone { releaseNode(out) }
    return isDone
}

/// A node without children. Its block holds the dictionary's node, the metadata (both aligned), the
/// format and the name.
private func exportNode(
    name: [UInt8], format: [UInt8], metadata: [UInt8], flags: Int64, hasDictionary: Bool,
    into out: UnsafeMutablePointer<ArrowSchema>, _ allocate: Allocate
) -> Bool {
    out.initialize(to: ArrowSchema())
    let dictionarySize = hasDictionary ? MemoryLayout<ArrowSchema>.stride : 0
    let textSize = format.count &+ 1 &+ name.count &+ 1
    guard let block = allocate(1, dictionarySize &+ metadata.count &+ textSize) else {
        return false
    }
    let metadataStart = block + dictionarySize
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
    out.pointee.flags = flags
    if hasDictionary {
        out.pointee.dictionary = block.bindMemory(to: ArrowSchema.self, capacity: 1)
    }
    out.pointee.private_data = block
    out.pointee.release = { releaseNode($0) }
    return true
}

/// Releases a node without children, wherever it was moved to.
private func releaseNode(_ schema: UnsafeMutablePointer<ArrowSchema>?) {
    guard let schema, schema.pointee.release != nil else { return }
    if let dictionary = schema.pointee.dictionary, let release = dictionary.pointee.release {
        release(dictionary)
    }
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

/// Copies bytes; the NUL behind them is there, since the memory was zeroed.
private func writeText(_ bytes: [UInt8], to start: UnsafeMutableRawPointer) {
    bytes.withUnsafeBytes { source in
        guard let base = source.baseAddress, source.count > 0 else { return }
        _ = memcpy(start, base, source.count)
    }
}
