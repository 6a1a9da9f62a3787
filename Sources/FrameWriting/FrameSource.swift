// SPDX-License-Identifier: Apache-2.0
// A frame as it comes: batches pulled from an ArrowArrayStream, kept until they are answered.
// https://arrow.apache.org/docs/format/CStreamInterface.html

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase

/// A frame's schema and its batches from the first row on that is not answered. Belongs to one
/// thread.
final class FrameSource {
    private let stream: UnsafeMutablePointer<ArrowArrayStream>
    let schema: InputSchema
    private var batches: [InputBatch] = []
    /// The batch whose memory the schema's nodes point to.
    private var bound: InputBatch?
    /// The rows of that batch.
    private(set) var boundRows = 0..<0
    private var pulledRows = 0
    private var hasEnded = false

    /// Takes `moved` over in every case.
    static func make(
        moving moved: UnsafeMutablePointer<ArrowArrayStream>
    ) throws(RedcolError) -> FrameSource {
        let stream = UnsafeMutablePointer<ArrowArrayStream>.allocate(capacity: 1)
        stream.initialize(to: moved.pointee)
        moved.pointee.release = nil
        do throws(RedcolError) {
            return FrameSource(stream, try readSchema(stream))
        } catch {
            stream.pointee.release?(stream)
            stream.deallocate()
            throw error
        }
    }

    private init(_ stream: UnsafeMutablePointer<ArrowArrayStream>, _ schema: InputSchema) {
        self.stream = stream
        self.schema = schema
    }

    deinit {
        finish()
        stream.deallocate()
    }

    /// Releases the frame and all its batches: nothing will be asked for any more.
    func finish() {
        hasEnded = true
        unbind()
        batches = []
        guard let release = stream.pointee.release else { return }
        platform_callback_begins()
        release(stream)
        platform_callback_ended()
        stream.pointee.release = nil
    }

    private static func readSchema(
        _ stream: UnsafeMutablePointer<ArrowArrayStream>
    ) throws(RedcolError) -> InputSchema {
        guard stream.pointee.release != nil, let getSchema = stream.pointee.get_schema else {
            throw RedcolError(.invalidArgument, "the frame's Arrow stream was released before")
        }
        var schema = ArrowSchema()
        let error = getSchema(stream, &schema)
        guard error == 0 else { throw failed(stream, error) }
        defer { schema.release?(&schema) }
        return try InputSchema.make(&schema)
    }

    private static func failed(
        _ stream: UnsafeMutablePointer<ArrowArrayStream>, _ error: Int32
    ) -> RedcolError {
        var reason = "error \(error)"
        if let text = stream.pointee.get_last_error?(stream) {
            let bytes = UnsafeRawBufferPointer(start: text, count: strlen(text))
            reason = escaped(Array(bytes), limit: 300)
        }
        return RedcolError(
            error == ENOMEM ? .memory : .value, "the frame's Arrow stream failed: \(reason)")
    }

    /// The batch that holds `row`, with the schema bound to it; nil after the last row. Batches
    /// are pulled as they are needed.
    func batch(holding row: Int) throws(RedcolError) -> InputBatch? {
        if let bound, row >= bound.firstRow, row - bound.firstRow < bound.rowCount { return bound }
        while true {
            for batch in batches where row >= batch.firstRow {
                guard row - batch.firstRow < batch.rowCount else { continue }
                try batch.bind(schema)
                bound = batch
                boundRows = batch.firstRow..<(batch.firstRow + batch.rowCount)
                return batch
            }
            guard try pull() else { return nil }
        }
    }

    private func pull() throws(RedcolError) -> Bool {
        guard !hasEnded, let getNext = stream.pointee.get_next else { return false }
        var array = ArrowArray()
        platform_callback_begins()
        let error = getNext(stream, &array)
        platform_callback_ended()
        guard error == 0 else {
            hasEnded = true
            throw FrameSource.failed(stream, error)
        }
        guard array.release != nil else {
            hasEnded = true
            return false
        }
        // Refused or not, the schema's nodes now point to this batch.
        unbind()
        let batch = try InputBatch(moving: array, firstRow: pulledRows, schema)
        if batch.rowCount > 0 { batches.append(batch) }
        pulledRows += batch.rowCount
        return true
    }

    private func unbind() {
        bound = nil
        boundRows = 0..<0
    }

    /// Rows before `row` will not be asked for again.
    func forget(before row: Int) {
        while let first = batches.first, first !== bound, first.firstRow + first.rowCount <= row {
            batches.removeFirst()
        }
    }
}
