// SPDX-License-Identifier: Apache-2.0
// All batches of a read that has ended, which may be handed over any number of times, as an Arrow
// stream: nothing is read from a server any more.
// https://arrow.apache.org/docs/format/CStreamInterface.html

import CArrowData
import CPlatform

/// Finished batches of the same columns; never changed, so that any thread may use it.
public final class ArrowTable {
    public let columns: [RequestedColumn]
    private let batches: [SharedBatch]
    public let rowCount: Int

    fileprivate init(_ columns: [RequestedColumn], _ batches: [SharedBatch]) {
        self.columns = columns
        self.batches = batches
        rowCount = batches.reduce(0) { $0 + $1.rowCount }
    }

    /// A column in each batch.
    func arrays(of column: Int) -> [UnsafePointer<ArrowArray>] {
        batches.compactMap { $0.child(column) }
    }

    /// Fills `out` with the schema, moved to the caller.
    public func describe(
        requested: UnsafePointer<ArrowSchema>?, into out: UnsafeMutablePointer<ArrowSchema>
    ) throws(ColumnError) {
        guard exportSchema(try laidOut(requested), into: out) else {
            throw ColumnError(cause: .memory, message: "no memory for a schema")
        }
    }

    /// Fills `out` with a stream of the batches, moved to the caller. Of `requested`, which is
    /// borrowed, the layouts of texts are followed, by column name; all else is left as it is.
    public func exportStream(
        requested: UnsafePointer<ArrowSchema>?, into out: UnsafeMutablePointer<ArrowArrayStream>
    ) throws(ColumnError) {
        let state = StreamState(self, try laidOut(requested))
        out.pointee.get_schema = streamSchema
        out.pointee.get_next = streamNext
        out.pointee.get_last_error = streamLastError
        out.pointee.release = releaseStream
        out.pointee.private_data = Unmanaged.passRetained(state).toOpaque()
        platform_live_objects_add(1)
    }

    fileprivate enum Step { case batch, end, noMemory }

    fileprivate func exportBatch(
        _ position: Int, _ columns: [RequestedColumn], into out: UnsafeMutablePointer<ArrowArray>
    ) -> Step {
        guard position < batches.count else { return .end }
        return batches[position].export(columns, into: out) ? .batch : .noMemory
    }

    // MARK: Layouts

    /// The columns, with texts laid out as `requested` wants them.
    private func laidOut(
        _ requested: UnsafePointer<ArrowSchema>?
    ) throws(ColumnError) -> [RequestedColumn] {
        guard let requested else { return columns }
        guard requested.pointee.release != nil, let format = requested.pointee.format,
            strcmp(format, "+s") == 0
        else {
            throw .schema(
                "The requested schema must be a struct (Arrow format \"+s\") that is not released.")
        }
        return columns.indices.map { index in
            let wanted = child(of: requested, named: columns[index].name, guess: index)
            return laidOut(columns[index], wanted, arrays(of: index))
        }
    }

    /// `nodes`: the column in each batch.
    private func laidOut(
        _ column: RequestedColumn, _ wanted: UnsafePointer<ArrowSchema>?,
        _ nodes: [UnsafePointer<ArrowArray>]
    ) -> RequestedColumn {
        guard let wanted else { return column }
        var laid = column
        switch column.type.kind {
        case .string, .binary, .dictionary:
            if let layout = layout(of: wanted, column.type.kind),
                layout != .small || nodes.allSatisfy({ fitsSmallOffsets($0) })
            {
                laid.layout = layout
            }
        case .structure, .list, .fixedList:
            for index in column.children.indices {
                let inner =
                    column.type.kind == .structure
                    ? child(of: wanted, named: column.children[index].name, guess: index)
                    : onlyChild(of: wanted)
                let innerNodes = nodes.compactMap { node in
                    node.pointee.children?[index].map { UnsafePointer($0) }
                }
                laid.children[index] = laidOut(column.children[index], inner, innerNodes)
            }
        default: break
        }
        return laid
    }

    private func onlyChild(of schema: UnsafePointer<ArrowSchema>) -> UnsafePointer<ArrowSchema>? {
        guard schema.pointee.n_children == 1, let child = schema.pointee.children?[0],
            child.pointee.release != nil
        else { return nil }
        return UnsafePointer(child)
    }

    private func child(
        of schema: UnsafePointer<ArrowSchema>, named name: [UInt8], guess: Int
    ) -> UnsafePointer<ArrowSchema>? {
        let count = Int(clamping: schema.pointee.n_children)
        guard count > 0, let children = schema.pointee.children else { return nil }
        func matches(_ index: Int) -> UnsafePointer<ArrowSchema>? {
            guard let child = children[index], child.pointee.release != nil else { return nil }
            let found = child.pointee.name.map { copyBytes($0) } ?? []
            return found == name ? UnsafePointer(child) : nil
        }
        if guess < count, let child = matches(guess) { return child }
        for index in 0..<count {
            if let child = matches(index) { return child }
        }
        return nil
    }

    private func layout(
        of wanted: UnsafePointer<ArrowSchema>, _ kind: ColumnType.Kind
    ) -> TextLayout? {
        if kind == .dictionary {
            return wanted.pointee.dictionary?.pointee.format.flatMap { TextLayout($0, .string) }
        }
        guard wanted.pointee.dictionary == nil else { return nil }
        return wanted.pointee.format.flatMap { TextLayout($0, kind) }
    }
}

/// Whether offsets of 32 bits can number the texts of a column of a batch.
private func fitsSmallOffsets(_ node: UnsafePointer<ArrowArray>) -> Bool {
    let texts = node.pointee.dictionary.map { UnsafePointer($0) } ?? node
    return textBytesMax(texts) <= TextLayout.smallMax || textBytes(texts) <= TextLayout.smallMax
}

/// A table while its batches come in.
public struct TableBuilder {
    private var columns: [RequestedColumn] = []
    private var batches: [SharedBatch] = []

    public init() {}

    /// Takes a batch, as the library itself has made it: it is moved. Its texts are views;
    /// `columns` says in which layout they are handed over.
    public mutating func append(
        _ array: UnsafeMutablePointer<ArrowArray>, _ columns: [RequestedColumn]
    ) throws(ColumnError) {
        guard batches.count < batches.capacity || hasMemory(batches.count, SharedBatch.self),
            let batch = SharedBatch.make(moving: array)
        else {
            array.pointee.release?(array)
            throw ColumnError(cause: .memory, message: "no memory for a batch")
        }
        // Later batches have the columns of earlier ones first, in the same places.
        self.columns = columns
        batches.append(batch)
    }

    /// The table, and an empty builder; nil if no batch came.
    public mutating func finish() -> ArrowTable? {
        guard !batches.isEmpty else { return nil }
        // A batch without rows is there to show the columns.
        let filled = batches.filter { $0.rowCount > 0 }
        let table = ArrowTable(columns, filled.isEmpty ? [batches[0]] : filled)
        self = TableBuilder()
        return table
    }
}

// MARK: The stream's callbacks

private final class StreamState {
    let table: ArrowTable
    let columns: [RequestedColumn]
    var position = 0
    var hasFailed = false

    init(_ table: ArrowTable, _ columns: [RequestedColumn]) {
        self.table = table
        self.columns = columns
    }
}

private func state(_ stream: UnsafeMutablePointer<ArrowArrayStream>?) -> StreamState? {
    guard let stream, stream.pointee.release != nil, let data = stream.pointee.private_data else {
        return nil
    }
    return Unmanaged<StreamState>.fromOpaque(data).takeUnretainedValue()
}

private func streamSchema(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?, _ out: UnsafeMutablePointer<ArrowSchema>?
) -> Int32 {
    guard let out, let state = state(stream) else { return EINVAL }
    state.hasFailed = !exportSchema(state.columns, into: out)
    return state.hasFailed ? ENOMEM : 0
}

private func streamNext(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?, _ out: UnsafeMutablePointer<ArrowArray>?
) -> Int32 {
    guard let out, let state = state(stream) else { return EINVAL }
    out.pointee = ArrowArray()
    state.hasFailed = false
    switch state.table.exportBatch(state.position, state.columns, into: out) {
    case .batch: state.position += 1
    case .end: break  // a released array says so
    case .noMemory:
        state.hasFailed = true
        return ENOMEM
    }
    return 0
}

private func streamLastError(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?
) -> UnsafePointer<CChar>? {
    guard let state = state(stream), state.hasFailed else { return nil }
    let text: StaticString = "no memory to hand over a batch"
    return UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

private func releaseStream(_ stream: UnsafeMutablePointer<ArrowArrayStream>?) {
    guard let stream, stream.pointee.release != nil else { return }
    if let data = stream.pointee.private_data {
        Unmanaged<StreamState>.fromOpaque(data).release()
    }
    stream.pointee.release = nil
    stream.pointee.private_data = nil
    platform_live_objects_add(-1)
}
