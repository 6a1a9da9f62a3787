// SPDX-License-Identifier: Apache-2.0
// The C interface, function by function; include/redcol.h is its manual. Nothing happens here but
// unwrapping arguments and wrapping results.

import ArrowColumns
import CPlatform
import CRedcol
import FrameWriting
import RedcolBase
import RedisConnection
import RedisTopology
import StreamReading

@c @implementation
public func redcol_version() -> UnsafePointer<CChar>? {
    cString(Features.version)
}

@c @implementation
public func redcol_read_stream(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ schema: UnsafePointer<ArrowSchema>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ iter_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    iter_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let iter_out else { throw Arguments.missing("iter_out") }
        let client = try Arguments.client(client)
        let stream = try Arguments.name(stream, stream_length, "stream")
        iter_out.pointee = try newIter(client, [stream], schema, options)
        return Status.ok
    }
}

@c @implementation
public func redcol_read_streams(
    _ client: OpaquePointer?, _ streams: UnsafePointer<UnsafePointer<CChar>?>?,
    _ stream_lengths: UnsafePointer<Int64>?, _ stream_count: Int64,
    _ schema: UnsafePointer<ArrowSchema>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ iter_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    iter_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let iter_out else { throw Arguments.missing("iter_out") }
        let client = try Arguments.client(client)
        let names = try Arguments.names(streams, stream_lengths, stream_count)
        iter_out.pointee = try newIter(client, names, schema, options)
        return Status.ok
    }
}

@c @implementation
public func redcol_read_ranges(
    _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?, _ pattern_length: Int64,
    _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ stream_lengths: UnsafePointer<Int64>?,
    _ stream_count: Int64, _ schema: UnsafePointer<ArrowSchema>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ iter_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    iter_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let iter_out else { throw Arguments.missing("iter_out") }
        let client = try Arguments.client(client)
        let chosen = try Arguments.chosen(
            pattern, pattern_length, streams, stream_lengths, stream_count)
        let reader = try makeReader(
            topology: client.topology, rangesOf: chosen, schema: try requestedColumns(schema),
            options: try ReadOptions(try Arguments.options(options)))
        iter_out.pointee = try IterHandle.make(reader, client).retainedPointer()
        return Status.ok
    }
}

private func newIter(
    _ client: ClientHandle, _ streams: [[UInt8]], _ schema: UnsafePointer<ArrowSchema>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?
) throws(RedcolError) -> OpaquePointer {
    let reader = try client.beginRead(
        ReadArguments(
            streams: streams, columns: try requestedColumns(schema),
            options: try Arguments.options(options)))
    return try IterHandle.make(reader, client).retainedPointer()
}

func requestedColumns(
    _ schema: UnsafePointer<ArrowSchema>?
) throws(RedcolError) -> [RequestedColumn]? {
    guard let schema else { return nil }
    return try withColumnErrors { () throws(ColumnError) in try importSchema(schema) }
}

@c @implementation
public func redcol_iter_connect(
    _ iter: OpaquePointer?, _ wait_ms: Int64, _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        let wait_ms = try Arguments.waitMs(wait_ms)
        return try Arguments.iter(iter).exclusively { reader throws(RedcolError) in
            try reader.connect(waitMs: wait_ms) ? Status.ok : Status.timeout
        }
    }
}

@c @implementation
public func redcol_iter_next(
    _ iter: OpaquePointer?, _ wait_ms: Int64, _ schema_out: UnsafeMutablePointer<ArrowSchema>?,
    _ batch_out: UnsafeMutablePointer<ArrowArray>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    schema_out?.pointee = ArrowSchema()
    batch_out?.pointee = ArrowArray()
    return reporting(error_out) { () throws(RedcolError) in
        guard let batch_out else { throw Arguments.missing("batch_out") }
        let wait_ms = try Arguments.waitMs(wait_ms)
        return try Arguments.iter(iter).exclusively { reader throws(RedcolError) in
            switch try reader.next(waitMs: wait_ms, array: batch_out, schema: schema_out) {
            case .batch: return Status.ok
            case .end: return Status.end
            case .timeout: return Status.timeout
            }
        }
    }
}

@c @implementation
public func redcol_iter_ack(
    _ iter: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ entry_ids: UnsafePointer<CChar>?, _ entry_ids_length: Int64,
    _ acknowledged_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    acknowledged_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let iter = try Arguments.iter(iter)
        let (group, streams) = try iter.membership()
        var total: Int64 = 0
        // Also if it is ended in the middle.
        defer { acknowledged_out?.pointee = total }
        guard entry_ids != nil else {
            try iter.acknowledgeEverything(group, &total)
            return Status.ok
        }
        let name =
            stream == nil && streams.count == 1
            ? streams[0] : try Arguments.name(stream, stream_length, "stream")
        let ids = try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids")
        try iter.acknowledge(
            try Acknowledgement(stream: name, group: group, ids: ids), &total)
        return Status.ok
    }
}

@c @implementation
public func redcol_iter_ack_start(
    _ iter: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ entry_ids: UnsafePointer<CChar>?, _ entry_ids_length: Int64,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        let iter = try Arguments.iter(iter)
        let (group, streams) = try iter.membership()
        guard entry_ids != nil else {
            try iter.reader.acknowledgeLater(nil)
            return Status.ok
        }
        let name =
            stream == nil && streams.count == 1
            ? streams[0] : try Arguments.name(stream, stream_length, "stream")
        let ids = try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids")
        let parsed = try Acknowledgement(stream: name, group: group, ids: ids)
        try iter.reader.acknowledgeLater((name, parsed.ids))
        return Status.ok
    }
}

@c @implementation
public func redcol_iter_unread(
    _ iter: OpaquePointer?, _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        try Arguments.iter(iter).exclusively { reader throws(RedcolError) in try reader.unread() }
        return Status.ok
    }
}

@c @implementation
public func redcol_ack(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64, _ entry_ids: UnsafePointer<CChar>?,
    _ entry_ids_length: Int64, _ acknowledged_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    acknowledged_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let client = try Arguments.client(client)
        let acknowledgement = try Acknowledgement(
            stream: try Arguments.name(stream, stream_length, "stream"),
            group: try Arguments.name(group, group_length, "group"),
            ids: try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids"))
        var total: Int64 = 0
        defer { acknowledged_out?.pointee = total }
        _ = try client.acknowledge(acknowledgement, &total)
        return Status.ok
    }
}

@c @implementation
public func redcol_last_id(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ milliseconds_out: UnsafeMutablePointer<UInt64>?,
    _ sequence_out: UnsafeMutablePointer<UInt64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    milliseconds_out?.pointee = 0
    sequence_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let client = try Arguments.client(client)
        let stream = try Arguments.name(stream, stream_length, "stream")
        if let file = client.topology.file {
            guard let last = try file.lastEntry(of: stream) else { return Status.end }
            milliseconds_out?.pointee = last.milliseconds
            sequence_out?.pointee = last.sequence
            return Status.ok
        }
        var question = Question.lastEntry(LastEntryQuestion(stream: stream))
        var acknowledged: Int64 = 0
        try client.ask(&question, &acknowledged)
        guard case .lastEntry(let answered) = question, let last = answered.last else {
            return Status.end
        }
        milliseconds_out?.pointee = last.milliseconds
        sequence_out?.pointee = last.sequence
        return Status.ok
    }
}

@c @implementation
public func redcol_cancel(_ handle: UnsafeMutableRawPointer?) -> redcol_status {
    reporting(nil) { () throws(RedcolError) in
        switch try Arguments.connected(handle) {
        case .client(let client): client.cancel()
        case .work(let work): work.cancel()
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_close(_ handle: UnsafeMutableRawPointer?) -> redcol_status {
    reporting(nil) { () throws(RedcolError) in
        switch try Arguments.connected(handle) {
        case .client(let client): client.close()
        case .work(let work): try work.close()
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_forget(_ client: OpaquePointer?) {
    guard client != nil else { return forgetOpen() }
    do throws(RedcolError) {
        try Arguments.client(client).forget()
    } catch {
        // A wrong handle, or one that the parent process made, has no unfinished call here.
    }
}

@c @implementation
public func redcol_free(_ handle: UnsafeMutableRawPointer?) {
    if let handle { Handle.release(handle) }
}

@c @implementation
public func redcol_error_status(_ error: OpaquePointer?) -> redcol_status {
    Arguments.error(error)?.status ?? Status.ok
}

@c @implementation
public func redcol_error_message(_ error: OpaquePointer?) -> UnsafePointer<CChar>? {
    if let message = Arguments.error(error)?.message { return UnsafePointer(message) }
    let nothing: StaticString = ""
    return UnsafeRawPointer(nothing.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c @implementation
public func redcol_error_detail(
    _ error: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> UnsafePointer<CChar>? {
    guard let name else { return nil }
    return Arguments.error(error)?.detail(name)
}

@c @implementation
public func redcol_live_objects() -> Int64 { platform_live_objects() }

@c @implementation
public func redcol_set_logger(
    _ level: Int32, _ callback: redcol_logger?, _ user_data: UnsafeMutableRawPointer?
) {
    platform_log_set(max(0, level), callback, user_data)
}
