// SPDX-License-Identifier: Apache-2.0
// The functions of the C interface that write frames; include/redcol.h is their manual.

import CPlatform
import CRedcol
import FrameWriting
import RedcolBase
import RedisTopology

@c @implementation
public func redcol_write_stream(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ frame: UnsafeMutablePointer<ArrowArrayStream>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ writer_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    newWriter(client, frame, options, writer_out, error_out) {
        (topology, frame, options) throws(RedcolError) in
        let name = try stream.map { stream throws(RedcolError) in
            try Arguments.name(stream, stream_length, "stream")
        }
        return try FrameWriter.make(
            topology: topology, moving: frame, entries: try EntryOptions(stream: name, options))
    }
}

@c @implementation
public func redcol_write_hashes(
    _ client: OpaquePointer?, _ frame: UnsafeMutablePointer<ArrowArrayStream>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ writer_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    newWriter(client, frame, options, writer_out, error_out) {
        (topology, frame, options) throws(RedcolError) in
        try FrameWriter.make(topology: topology, moving: frame, hashes: try HashOptions(options))
    }
}

@c @implementation
public func redcol_write_messages(
    _ client: OpaquePointer?, _ channel: UnsafePointer<CChar>?, _ channel_length: Int64,
    _ frame: UnsafeMutablePointer<ArrowArrayStream>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ writer_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    newWriter(client, frame, options, writer_out, error_out) {
        (topology, frame, options) throws(RedcolError) in
        let name = try channel.map { channel throws(RedcolError) in
            try Arguments.name(channel, channel_length, "channel")
        }
        return try FrameWriter.make(
            topology: topology, moving: frame, messages: try PublishOptions(channel: name, options))
    }
}

/// Makes a writer with `make`, and releases the frame if that was not taken over.
private func newWriter(
    _ client: OpaquePointer?, _ frame: UnsafeMutablePointer<ArrowArrayStream>?,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ writerOut: UnsafeMutablePointer<OpaquePointer?>?,
    _ errorOut: UnsafeMutablePointer<OpaquePointer?>?,
    _ make: (
        Topology, UnsafeMutablePointer<ArrowArrayStream>, [(key: String, value: String)]
    ) throws(RedcolError) -> FrameWriter
) -> redcol_status {
    writerOut?.pointee = nil
    defer {
        if let frame, let release = frame.pointee.release {
            release(frame)
            frame.pointee.release = nil
        }
    }
    return reporting(errorOut) { () throws(RedcolError) in
        guard let writerOut else { throw Arguments.missing("writer_out") }
        guard let frame else { throw Arguments.missing("frame") }
        let client = try Arguments.client(client)
        let writer = try make(client.topology, frame, try Arguments.options(options))
        writerOut.pointee = try WriterHandle.make(writer, client).retainedPointer()
        return Status.ok
    }
}

@c @implementation
public func redcol_writer_run(
    _ writer: OpaquePointer?, _ wait_ms: Int64, _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        let wait_ms = try Arguments.waitMs(wait_ms)
        return try Arguments.writer(writer).exclusively { writer throws(RedcolError) in
            try writer.run(waitMs: wait_ms) ? Status.ok : Status.timeout
        }
    }
}

@c @implementation
public func redcol_writer_stop(
    _ writer: OpaquePointer?, _ wait_ms: Int64, _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        let wait_ms = try Arguments.waitMs(wait_ms)
        return try Arguments.writer(writer).exclusively { writer throws(RedcolError) in
            try writer.stop(waitMs: wait_ms) ? Status.ok : Status.timeout
        }
    }
}

@c @implementation
public func redcol_writer_ids(
    _ writer: OpaquePointer?, _ schema_out: UnsafeMutablePointer<ArrowSchema>?,
    _ batch_out: UnsafeMutablePointer<ArrowArray>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    schema_out?.pointee = ArrowSchema()
    batch_out?.pointee = ArrowArray()
    return reporting(error_out) { () throws(RedcolError) in
        guard let batch_out else { throw Arguments.missing("batch_out") }
        try Arguments.writer(writer).exclusively { writer throws(RedcolError) in
            try writer.takeIDs(array: batch_out, schema: schema_out)
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_writer_descriptor(_ writer: OpaquePointer?) -> Int32 {
    do throws(RedcolError) {
        return try Arguments.writer(writer).writer.pollDescriptor
    } catch {
        return -1
    }
}

@c @implementation
public func redcol_writer_statistic(
    _ writer: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> Int64 {
    do throws(RedcolError) {
        guard let name else { return -1 }
        let handle = try Arguments.writer(writer)
        for counter in WriteProgress.Counter.allCases
        where strcmp(name, cString(counter.name)) == 0 {
            return handle.writer.progress.value(counter)
        }
        guard strcmp(name, "unknown") == 0 else { return -1 }
        return try handle.exclusively { writer throws(RedcolError) in Int64(writer.unknown) }
    } catch {
        return -1
    }
}
