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

    /// Fills `out` with the schema, moved to the caller.
    public func describe(
        requested: UnsafePointer<ArrowSchema>?, into out: UnsafeMutablePointer<ArrowSchema>
    ) throws(ColumnError) {
        let layouts = try layouts(requested)
        guard describe(layouts, into: out) else {
            throw ColumnError(cause: .memory, message: "no memory for a schema")
        }
    }

    /// Fills `out` with a stream of the batches, moved to the caller. Of `requested`, which is
    /// borrowed, the layouts of texts are followed, by column name; all else is left as it is.
    public func exportStream(
        requested: UnsafePointer<ArrowSchema>?, into out: UnsafeMutablePointer<ArrowArrayStream>
    ) throws(ColumnError) {
        let state = StreamState(self, try layouts(requested))
        out.pointee.get_schema = streamSchema
        out.pointee.get_next = streamNext
        out.pointee.get_last_error = streamLastError
        out.pointee.release = releaseStream
        out.pointee.private_data = Unmanaged.passRetained(state).toOpaque()
        platform_live_objects_add(1)
    }

    fileprivate func describe(
        _ layouts: [TextLayout], into out: UnsafeMutablePointer<ArrowSchema>
    ) -> Bool {
        guard exportSchema(columns, into: out) else { return false }
        for index in columns.indices where layouts[index] != .view {
            // The node's memory is not its format's, so that another text may stand there.
            let column = out.pointee.children?[index]
            let text = column?.pointee.dictionary ?? column
            text?.pointee.format = layouts[index].format(columns[index].type.kind)
        }
        return true
    }

    fileprivate enum Step { case batch, end, noMemory }

    fileprivate func exportBatch(
        _ position: Int, _ layouts: [TextLayout], into out: UnsafeMutablePointer<ArrowArray>
    ) -> Step {
        guard position < batches.count else { return .end }
        return batches[position].export(layouts, into: out) ? .batch : .noMemory
    }

    // MARK: Layouts

    private func layouts(
        _ requested: UnsafePointer<ArrowSchema>?
    ) throws(ColumnError) -> [TextLayout] {
        var layouts = [TextLayout](repeating: .view, count: columns.count)
        guard let requested else { return layouts }
        guard requested.pointee.release != nil, let format = requested.pointee.format,
            strcmp(format, "+s") == 0
        else {
            throw .schema(
                "The requested schema must be a struct (Arrow format \"+s\") that is not released.")
        }
        let count = Int(clamping: requested.pointee.n_children)
        guard count > 0, let children = requested.pointee.children else { return layouts }
        for index in columns.indices {
            guard let wanted = child(named: columns[index].name, children, count, guess: index),
                let layout = wantedLayout(columns[index].type.kind, wanted)
            else { continue }
            if layout != .small || fitsSmallOffsets(index) { layouts[index] = layout }
        }
        return layouts
    }

    private func child(
        named name: [UInt8], _ children: UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>,
        _ count: Int, guess: Int
    ) -> UnsafePointer<ArrowSchema>? {
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

    private func wantedLayout(
        _ kind: ColumnType.Kind, _ wanted: UnsafePointer<ArrowSchema>
    ) -> TextLayout? {
        switch kind {
        case .string, .binary:
            guard wanted.pointee.dictionary == nil, let format = wanted.pointee.format else {
                return nil
            }
            return TextLayout(format, kind)
        case .dictionary:
            guard let format = wanted.pointee.dictionary?.pointee.format else { return nil }
            return TextLayout(format, .string)
        default: return nil
        }
    }

    private func fitsSmallOffsets(_ column: Int) -> Bool {
        for batch in batches {
            guard column < Int(batch.array.pointee.n_children),
                let child = batch.array.pointee.children?[column]
            else { continue }
            if textBytesMax(child.pointee.dictionary ?? child) > Int(Int32.max) { return false }
        }
        return true
    }
}

/// A table while its batches come in.
public struct TableBuilder {
    private var columns: [RequestedColumn] = []
    private var batches: [SharedBatch] = []

    public init() {}

    /// Takes a batch and its schema, as the library itself has made them: both are moved.
    public mutating func append(
        _ array: UnsafeMutablePointer<ArrowArray>, _ schema: UnsafeMutablePointer<ArrowSchema>
    ) throws(ColumnError) {
        defer { schema.pointee.release?(schema) }
        do throws(ColumnError) {
            let found = try importSchema(schema)
            guard let batch = SharedBatch.make(moving: array) else {
                throw ColumnError(cause: .memory, message: "no memory for a batch")
            }
            // Later batches have the columns of earlier ones first, in the same places.
            columns = found
            batches.append(batch)
        } catch {
            array.pointee.release?(array)
            throw error
        }
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
    let layouts: [TextLayout]
    var position = 0
    var hasFailed = false

    init(_ table: ArrowTable, _ layouts: [TextLayout]) {
        self.table = table
        self.layouts = layouts
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
    state.hasFailed = !state.table.describe(state.layouts, into: out)
    return state.hasFailed ? ENOMEM : 0
}

private func streamNext(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?, _ out: UnsafeMutablePointer<ArrowArray>?
) -> Int32 {
    guard let out, let state = state(stream) else { return EINVAL }
    out.pointee = ArrowArray()
    state.hasFailed = false
    switch state.table.exportBatch(state.position, state.layouts, into: out) {
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
