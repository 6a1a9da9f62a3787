// SPDX-License-Identifier: Apache-2.0
// An iterator as an Arrow stream: batches go to the consumer as they are read, and none is kept.
// https://arrow.apache.org/docs/format/CStreamInterface.html

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase
import RedisTopology
import StreamReading

@c @implementation
public func redcol_iter_stream(
    _ iter: OpaquePointer?, _ stream_out: UnsafeMutablePointer<ArrowArrayStream>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    stream_out?.pointee = ArrowArrayStream()
    return reporting(error_out) { () throws(RedcolError) in
        guard let stream_out else { throw Arguments.missing("stream_out") }
        let iter = try Arguments.iter(iter)
        guard iter.reader.hasEnd else {
            throw RedcolError(
                .invalidArgument,
                "this read follows without end, so a consumer of the Arrow stream would never be "
                    + "done; give count, end_id or on_idle \"stop\", or take its batches with "
                    + "redcol_iter_next")
        }
        guard !iter.reader.acknowledgesByItself else {
            throw RedcolError(
                .invalidArgument,
                "auto_ack acknowledges a batch when the next one is requested, and a consumer of "
                    + "an Arrow stream may ask before it is done with the batch; leave auto_ack "
                    + "out, and call redcol_iter_ack when the consumer is done")
        }
        stream_out.pointee.get_schema = getSchema
        stream_out.pointee.get_next = getNext
        stream_out.pointee.get_last_error = getLastError
        stream_out.pointee.release = releaseIterStream
        stream_out.pointee.private_data = Unmanaged.passRetained(IterStream(iter)).toOpaque()
        return Status.ok
    }
}

/// What a stream holds: the iterator, and the batch that was read to learn the columns.
private final class IterStream {
    private let iter: IterHandle
    private var columns: [RequestedColumn]?
    private var first = ArrowArray()
    /// The end has come.
    private var isOver = false
    /// Why the batches do not fit the schema that was given.
    private var misfit: RedcolError?
    private(set) var error: ErrorHandle?

    init(_ iter: IterHandle) {
        self.iter = iter
        columns = iter.reader.fixedColumns
        platform_live_objects_add(1)
    }

    deinit {
        first.release?(&first)
        platform_live_objects_add(-1)
    }

    func schema(into out: UnsafeMutablePointer<ArrowSchema>) -> Int32 {
        out.pointee = ArrowSchema()
        return run { () throws(RedcolError) in
            try learnColumns()
            guard exportSchema(columns ?? [], into: out) else {
                throw RedcolError(.memory, "no memory for a schema")
            }
        }
    }

    func next(into out: UnsafeMutablePointer<ArrowArray>) -> Int32 {
        out.pointee = ArrowArray()
        return run { () throws(RedcolError) in
            try learnColumns()
            if first.release != nil {
                out.pointee = first
                first = ArrowArray()
            } else {
                try read(into: out)
            }
        }
    }

    /// Runs the body of a callback; what it throws becomes an errno value and the last error.
    private func run(_ body: () throws(RedcolError) -> Void) -> Int32 {
        error = nil
        do throws(RedcolError) {
            if iter.topology.isForked { throw Arguments.forked() }
            try body()
            return 0
        } catch {
            self.error = ErrorHandle(error)
            return error.cause.errorNumber
        }
    }

    /// Without a schema, the columns are those of the first batch, which is kept for `next`.
    private func learnColumns() throws(RedcolError) {
        if columns == nil { try read(into: &first) }
    }

    /// Takes the next batch that has rows; a released array at the end.
    private func read(into out: UnsafeMutablePointer<ArrowArray>) throws(RedcolError) {
        if let misfit { throw misfit }
        var schema = ArrowSchema()
        while !isOver, try take(out, &schema) {
            defer { schema.release?(&schema) }
            do throws(RedcolError) {
                try noteColumns(&schema)
            } catch {
                out.pointee.release?(out)
                out.pointee = ArrowArray()
                if error.cause == .schema { misfit = error }
                throw error
            }
            if out.pointee.length > 0 { return }
            out.pointee.release?(out)
            out.pointee = ArrowArray()
        }
        if columns == nil { columns = [] }
    }

    /// Waits for the next batch; a signal does not end that.
    private func take(
        _ array: UnsafeMutablePointer<ArrowArray>, _ schema: inout ArrowSchema
    ) throws(RedcolError) -> Bool {
        while true {
            do throws(RedcolError) {
                let outcome = try iter.exclusively { reader throws(RedcolError) in
                    try reader.next(waitMs: -1, array: array, schema: &schema)
                }
                switch outcome {
                case .batch: return true
                case .end:
                    isOver = true
                    return false
                case .timeout: continue
                }
            } catch {
                guard error.cause == .interrupted else { throw error }
            }
        }
    }

    private func noteColumns(_ schema: inout ArrowSchema) throws(RedcolError) {
        if let columns, Int(clamping: schema.n_children) <= columns.count {
            return try checkTypes(columns, schema)
        }
        let found = try withColumnErrors { () throws(ColumnError) in try importSchema(&schema) }
        guard let columns else {
            self.columns = found
            return
        }
        let name = escaped(found[columns.count].name, limit: 80)
        throw RedcolError(
            .schema,
            "the column \"\(name)\" was found after the stream's schema had been given; give the "
                + "read a schema, or collect it first with redcol_iter_collect",
            details: [(.field, name)])
    }

    /// A column that was found may become another: see "discover" in redcol.h.
    private func checkTypes(
        _ columns: [RequestedColumn], _ schema: ArrowSchema
    ) throws(RedcolError) {
        let changed = columns.indices.first { index in
            guard columns[index].type.kind == .string,
                let format = schema.children?[index]?.pointee.format
            else { return false }
            return strcmp(format, "vz") == 0 || strcmp(format, "Z") == 0 || strcmp(format, "z") == 0
        }
        guard let index = changed else { return }
        let name = escaped(columns[index].name, limit: 80)
        throw RedcolError(
            .schema,
            "the column \"\(name)\" was one of strings when the stream's schema was given, and "
                + "then had bytes that are not UTF-8; give the read a schema or \"discover\" as "
                + "\"binary\", or collect it first with redcol_iter_collect",
            details: [(.field, name)])
    }
}

extension RedcolError.Cause {
    /// What a callback of an Arrow stream returns.
    fileprivate var errorNumber: Int32 {
        switch self {
        case .memory: return ENOMEM
        case .cancelled: return ECANCELED
        case .busy: return EBUSY
        case .timedOut: return ETIMEDOUT
        case .authentication, .permission: return EACCES
        case .invalidArgument, .value, .schema: return EINVAL
        default: return EIO
        }
    }
}

// MARK: The stream's callbacks

private func content(_ stream: UnsafeMutablePointer<ArrowArrayStream>?) -> IterStream? {
    guard let stream, stream.pointee.release != nil, let data = stream.pointee.private_data else {
        return nil
    }
    return Unmanaged<IterStream>.fromOpaque(data).takeUnretainedValue()
}

private func getSchema(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?, _ out: UnsafeMutablePointer<ArrowSchema>?
) -> Int32 {
    guard let out, let content = content(stream) else { return EINVAL }
    return content.schema(into: out)
}

private func getNext(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?, _ out: UnsafeMutablePointer<ArrowArray>?
) -> Int32 {
    guard let out, let content = content(stream) else { return EINVAL }
    return content.next(into: out)
}

private func getLastError(
    _ stream: UnsafeMutablePointer<ArrowArrayStream>?
) -> UnsafePointer<CChar>? {
    guard let message = content(stream)?.error?.message else { return nil }
    return UnsafePointer(message)
}

private func releaseIterStream(_ stream: UnsafeMutablePointer<ArrowArrayStream>?) {
    guard let stream, stream.pointee.release != nil else { return }
    if let data = stream.pointee.private_data {
        Unmanaged<IterStream>.fromOpaque(data).release()
    }
    stream.pointee.release = nil
    stream.pointee.private_data = nil
}
