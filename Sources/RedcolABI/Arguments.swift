// SPDX-License-Identifier: Apache-2.0
// What C passes, as what Swift understands: nothing here trusts a pointer, a length or a text.

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase
import RedisConnection
import RedisTopology
import StreamReading

enum Arguments {
    /// Redis' own limit for a string, proto-max-bulk-len.
    private static let bytesMax = 512 * 1024 * 1024

    /// Times that a text is kept, at most.
    private static let textCopies = 8
    /// What is kept for a name, in addition to its bytes.
    private static let bytesPerName = 512
    private static let optionsMax = 100_000

    private static func tooLong(_ name: String) -> RedcolError {
        RedcolError(.invalidArgument, "\(name) has more than 512 MiB")
    }

    static func missing(_ name: String) -> RedcolError {
        RedcolError(.invalidArgument, "\(name) is NULL, but is needed")
    }

    static func text(
        _ pointer: UnsafePointer<CChar>?, _ name: String
    ) throws(RedcolError) -> String {
        guard let pointer else { throw missing(name) }
        let bytes = UnsafeBufferPointer(
            start: UnsafeRawPointer(pointer).assumingMemoryBound(to: UInt8.self),
            count: strlen(pointer))
        guard bytes.count <= bytesMax else { throw tooLong(name) }
        // It is taken apart, and its parts are kept.
        try Memory.require(textCopies * bytes.count, for: name)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RedcolError(.invalidArgument, "\(name) is not valid UTF-8")
        }
        return text
    }

    /// Bytes with a length, where -1 means that they end with a NUL byte.
    static func bytes(
        _ pointer: UnsafePointer<CChar>?, _ length: Int64, _ name: String
    ) throws(RedcolError) -> UnsafeBufferPointer<UInt8> {
        guard let pointer else { throw missing(name) }
        guard length >= -1, let count = Int(exactly: length) else {
            throw RedcolError(
                .invalidArgument, "the length of \(name) is \(length); give -1 or the bytes it has")
        }
        let bytes = count == -1 ? strlen(pointer) : count
        guard bytes <= bytesMax else { throw tooLong(name) }
        return UnsafeBufferPointer(
            start: UnsafeRawPointer(pointer).assumingMemoryBound(to: UInt8.self), count: bytes)
    }

    /// As `bytes`, copied.
    static func name(
        _ pointer: UnsafePointer<CChar>?, _ length: Int64, _ name: String
    ) throws(RedcolError) -> [UInt8] {
        let bytes = try bytes(pointer, length, name)
        try Memory.require(textCopies * bytes.count, for: name)
        return Array(bytes)
    }

    /// Several names with their lengths; `lengths` NULL: each ends with a NUL byte.
    static func names(
        _ list: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int64>?,
        _ count: Int64, allowed: ClosedRange<Int64> = 1...100_000, of what: String = "stream"
    ) throws(RedcolError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        if count == 0, allowed.contains(0) { return names }
        guard let list else { throw missing(what + "s") }
        guard allowed.contains(count) else {
            throw RedcolError(
                .invalidArgument,
                "\(what)_count is \(count); give \(allowed.lowerBound) to \(allowed.upperBound)")
        }
        var total = Int(count) * bytesPerName
        for index in 0..<Int(count) {
            let name = try bytes(list[index], lengths?[index] ?? -1, "a " + what)
            total = min(total + textCopies * name.count, .max / 2)
        }
        try Memory.require(total, for: "\(count) \(what)s")
        names.reserveCapacity(Int(count))
        for index in 0..<Int(count) {
            names.append(Array(try bytes(list[index], lengths?[index] ?? -1, "a " + what)))
        }
        return names
    }

    /// A pattern of keys, or if it is NULL a list of keys.
    static func chosen(
        _ pattern: UnsafePointer<CChar>?, _ patternLength: Int64,
        _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int64>?,
        _ count: Int64
    ) throws(RedcolError) -> ChosenStreams {
        guard pattern != nil else {
            return .named(try names(streams, lengths, count, allowed: 0...10_000_000))
        }
        guard streams == nil, count == 0 else {
            throw RedcolError(
                .invalidArgument, "a pattern and a list of streams; give one of the two")
        }
        return .matching(try name(pattern, patternLength, "pattern"))
    }

    /// "key", "value", …, NULL.
    static func options(
        _ list: UnsafePointer<UnsafePointer<CChar>?>?
    ) throws(RedcolError) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        guard let list else { return pairs }
        var index = 0
        while let keyPointer = list[index] {
            let key = try text(keyPointer, "an option's name")
            guard let valuePointer = list[index + 1] else {
                throw RedcolError(
                    .invalidArgument,
                    "the option \"\(escaped(Array(key.utf8), limit: 80))\" has no value")
            }
            pairs.append((key, try text(valuePointer, key)))
            index += 2
            guard pairs.count <= optionsMax else {
                throw RedcolError(.invalidArgument, "more than \(optionsMax) options")
            }
        }
        return pairs
    }

    static func handle(
        _ pointer: OpaquePointer?, _ name: StaticString
    ) throws(RedcolError) -> Handle {
        guard let pointer else { throw missing("\(name)") }
        guard let handle = Handle.borrowed(UnsafeRawPointer(pointer)) else {
            throw RedcolError(
                .invalidArgument, "\(name) was freed before, or was never a handle of redcol's")
        }
        return handle
    }

    static func client(_ pointer: OpaquePointer?) throws(RedcolError) -> ClientHandle {
        let handle = try handle(pointer, "client")
        guard handle.kind == .client else {
            throw RedcolError(.invalidArgument, "client is a handle of another kind")
        }
        let client = unsafeDowncast(handle, to: ClientHandle.self)
        if client.topology.isForked { throw forked() }
        if client.isClosed {
            throw RedcolError(.closed, "this client was closed: open another one")
        }
        return client
    }

    static func iter(_ pointer: OpaquePointer?) throws(RedcolError) -> IterHandle {
        let handle = try handle(pointer, "iter")
        guard handle.kind == .iter else {
            throw RedcolError(.invalidArgument, "iter is a handle of another kind")
        }
        let iter = unsafeDowncast(handle, to: IterHandle.self)
        if iter.topology.isForked { throw forked() }
        return iter
    }

    static func writer(_ pointer: OpaquePointer?) throws(RedcolError) -> WriterHandle {
        let handle = try handle(pointer, "writer")
        guard handle.kind == .writer else {
            throw RedcolError(.invalidArgument, "writer is a handle of another kind")
        }
        let writer = unsafeDowncast(handle, to: WriterHandle.self)
        if writer.topology.isForked { throw forked() }
        return writer
    }

    enum Connected {
        case client(ClientHandle)
        case work(WorkHandle)
    }

    /// A client, an iterator or a writer, whichever it is, closed or not.
    static func connected(_ pointer: UnsafeMutableRawPointer?) throws(RedcolError) -> Connected {
        let handle = try handle(pointer.map { OpaquePointer($0) }, "handle")
        switch handle.kind {
        case .client:
            let client = unsafeDowncast(handle, to: ClientHandle.self)
            if client.topology.isForked { throw forked() }
            return .client(client)
        case .iter, .writer:
            let work = unsafeDowncast(handle, to: WorkHandle.self)
            if work.topology.isForked { throw forked() }
            return .work(work)
        case .table, .credentials, .error:
            throw RedcolError(
                .invalidArgument, "handle is neither a client nor an iterator nor a writer")
        }
    }

    static func table(_ pointer: OpaquePointer?) throws(RedcolError) -> ArrowTable {
        let handle = try handle(pointer, "table")
        guard handle.kind == .table else {
            throw RedcolError(.invalidArgument, "table is a handle of another kind")
        }
        return unsafeDowncast(handle, to: TableHandle.self).table
    }

    static func provider(_ pointer: OpaquePointer?) throws(RedcolError) -> CredentialsProvider {
        let handle = try handle(pointer, "credentials")
        guard handle.kind == .credentials else {
            throw RedcolError(.invalidArgument, "credentials is a handle of another kind")
        }
        return unsafeDowncast(handle, to: CredentialsHandle.self).provider
    }

    static func waitMs(_ value: Int64) throws(RedcolError) -> Int64 {
        guard value >= -1 else {
            throw RedcolError(
                .invalidArgument, "wait_ms is \(value); give -1, 0 or a number of milliseconds")
        }
        return value
    }

    static func forked() -> RedcolError {
        RedcolError(
            .forked,
            "this handle was made before fork, by the parent process; open a new one in the child")
    }

    static func error(_ pointer: OpaquePointer?) -> ErrorHandle? {
        guard let pointer, let handle = Handle.borrowed(UnsafeRawPointer(pointer)),
            handle.kind == .error
        else { return nil }
        return unsafeDowncast(handle, to: ErrorHandle.self)
    }
}

/// Runs what columns are made of, whose errors are about schemas or memory.
func withColumnErrors<Result>(
    _ body: () throws(ColumnError) -> Result
) throws(RedcolError) -> Result {
    do throws(ColumnError) {
        return try body()
    } catch {
        throw RedcolError(error.cause == .memory ? .memory : .schema, error.message)
    }
}

/// Runs the body of an export: what it throws becomes a status and an error object.
func reporting(
    _ errorOut: UnsafeMutablePointer<OpaquePointer?>?,
    _ body: () throws(RedcolError) -> redcol_status
) -> redcol_status {
    errorOut?.pointee = nil
    do throws(RedcolError) {
        guard platform_memory_has_reserve() else {
            throw RedcolError(.memory, "there is no memory left")
        }
        return try body()
    } catch {
        if error.cause == .interrupted { return Status.timeout }
        errorOut?.pointee = ErrorHandle(error).retainedPointer()
        return error.cause.status
    }
}
