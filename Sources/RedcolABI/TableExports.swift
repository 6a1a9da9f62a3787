// SPDX-License-Identifier: Apache-2.0
// The exports for reads that are kept as a whole: collecting them, and handing them over as Arrow
// streams.

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase
import StreamReading

@c @implementation
public func redcol_iter_collect(
    _ iter: OpaquePointer?, _ wait_ms: Int64, _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    table_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let table_out else { throw Arguments.missing("table_out") }
        let waitMs = try Arguments.waitMs(wait_ms)
        let iter = try Arguments.iter(iter)
        guard iter.reader.isRepeatable else {
            throw RedcolError(
                .invalidArgument,
                "this read follows its streams or is a group's member, so it cannot be kept as a "
                    + "table; take its batches one by one")
        }
        let outcome = try iter.exclusively { reader throws(RedcolError) in
            try collect(iter, reader, waitMs)
        }
        guard case .end = outcome.status else { return Status.timeout }
        guard let table = outcome.table else { return Status.end }
        table_out.pointee = TableHandle(table).retainedPointer()
        return Status.ok
    }
}

private func collect(
    _ iter: IterHandle, _ reader: Reader, _ waitMs: Int64
) throws(RedcolError) -> (status: ReadOutcome, table: ArrowTable?) {
    let (sum, overflow) = platform_monotonic_ms().addingReportingOverflow(waitMs)
    let until = waitMs <= 0 || overflow ? nil : sum
    do throws(RedcolError) {
        while true {
            let left = until.map { max(0, $0 - platform_monotonic_ms()) } ?? min(waitMs, 0)
            var array = ArrowArray()
            // A table hands over its texts in any layout, converted each time.
            switch try reader.next(waitMs: left, array: &array, schema: nil, asViews: true) {
            case .timeout: return (.timeout, nil)
            case .end: return (.end, iter.collected.finish())
            case .batch:
                try withColumnErrors { () throws(ColumnError) in
                    try iter.collected.append(&array, reader.columns)
                }
            }
        }
    } catch {
        if error.cause == .interrupted { return (.timeout, nil) }
        if error.cause != .cancelled { iter.collected = TableBuilder() }
        throw error
    }
}

@c @implementation
public func redcol_table_stream(
    _ table: OpaquePointer?, _ requested_schema: UnsafePointer<ArrowSchema>?,
    _ stream_out: UnsafeMutablePointer<ArrowArrayStream>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    stream_out?.pointee = ArrowArrayStream()
    return reporting(error_out) { () throws(RedcolError) in
        guard let stream_out else { throw Arguments.missing("stream_out") }
        let table = try Arguments.table(table)
        try withColumnErrors { () throws(ColumnError) in
            try table.exportStream(requested: requested_schema, into: stream_out)
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_table_schema(
    _ table: OpaquePointer?, _ requested_schema: UnsafePointer<ArrowSchema>?,
    _ schema_out: UnsafeMutablePointer<ArrowSchema>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    schema_out?.pointee = ArrowSchema()
    return reporting(error_out) { () throws(RedcolError) in
        guard let schema_out else { throw Arguments.missing("schema_out") }
        let table = try Arguments.table(table)
        try withColumnErrors { () throws(ColumnError) in
            try table.describe(requested: requested_schema, into: schema_out)
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_infer_schema(
    _ table: OpaquePointer?, _ schema_out: UnsafeMutablePointer<ArrowSchema>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    schema_out?.pointee = ArrowSchema()
    return reporting(error_out) { () throws(RedcolError) in
        guard let schema_out else { throw Arguments.missing("schema_out") }
        let table = try Arguments.table(table)
        let columns = try withColumnErrors { () throws(ColumnError) in
            try table.inferredColumns()
        }
        guard exportSchema(asSchema(columns), into: schema_out) else {
            throw RedcolError(.memory, "no memory for a schema")
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_table_rows(_ table: OpaquePointer?) -> Int64 {
    do throws(RedcolError) {
        return Int64(try Arguments.table(table).rowCount)
    } catch {
        return -1
    }
}
