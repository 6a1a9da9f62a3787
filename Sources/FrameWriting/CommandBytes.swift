// SPDX-License-Identifier: Apache-2.0
// Bytes on their way to the connection: one block of memory that grows at its end.

import CPlatform
import RedcolBase
import RedisConnection

/// What commands, keys and nested values are built in. Belongs to one thread.
struct CommandBytes: ~Copyable {
    private(set) var start: UnsafeMutablePointer<UInt8>
    private(set) var count = 0
    private var capacity: Int

    init() throws(RedcolError) {
        capacity = 1024
        guard let memory = malloc(capacity) else { throw CommandBytes.noMemory(capacity) }
        start = memory.assumingMemoryBound(to: UInt8.self)
    }

    deinit { free(start) }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    /// The end, with room for `room` bytes behind it; what is written there counts after `advance`.
    @inline(__always)
    mutating func reserve(_ room: Int) throws(RedcolError) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < room { try grow(room) }
        return start + count
    }

    @inline(__always)
    mutating func advance(_ written: Int) { count &+= written }

    /// Forgets what comes after the first `kept` bytes.
    mutating func truncate(_ kept: Int) { count = min(count, kept) }

    /// Forgets all; memory that one huge row took is given back.
    mutating func clear() {
        count = 0
        guard capacity > 4 << 20, let smaller = realloc(start, 1 << 20) else { return }
        start = smaller.assumingMemoryBound(to: UInt8.self)
        capacity = 1 << 20
    }

    private mutating func grow(_ room: Int) throws(RedcolError) {
        let (needed, isTooLarge) = count.addingReportingOverflow(room)
        let (doubled, isOverflow) = needed.multipliedReportingOverflow(by: 2)
        guard !isTooLarge, !isOverflow, let grown = realloc(start, doubled) else {
            throw CommandBytes.noMemory(room)
        }
        start = grown.assumingMemoryBound(to: UInt8.self)
        capacity = doubled
    }

    private static func noMemory(_ room: Int) -> RedcolError {
        RedcolError(.memory, "no memory for a command of \(room) more bytes")
    }

    @inline(__always)
    mutating func append(_ byte: UInt8) throws(RedcolError) {
        try reserve(1).pointee = byte
        count &+= 1
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) throws(RedcolError) {
        let end = try reserve(bytes.count)
        if let source = bytes.baseAddress { memcpy(end, source, bytes.count) }
        count &+= bytes.count
    }

    mutating func append(_ bytes: [UInt8]) throws(RedcolError) {
        let end = try reserve(bytes.count)
        bytes.withUnsafeBufferPointer { source in
            if let source = source.baseAddress { memcpy(end, source, bytes.count) }
        }
        count &+= bytes.count
    }

    mutating func append(_ text: StaticString) throws(RedcolError) {
        try append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    // MARK: The Redis protocol
    // https://redis.io/docs/latest/develop/reference/protocol-spec/

    /// `mark`, a number and the end of the line: "*3\r\n" or "$5\r\n".
    @inline(__always)
    mutating func appendHeader(_ mark: UInt8, _ number: Int) throws(RedcolError) {
        let end = try reserve(32)
        end.pointee = mark
        var length = 1
        length &+= writeDecimal(UInt64(number.magnitude), to: end + 1)
        end[length] = 0x0D
        end[length &+ 1] = 0x0A
        count &+= length &+ 2
    }

    /// A string with its header.
    @inline(__always)
    mutating func appendBulk(_ bytes: UnsafeBufferPointer<UInt8>) throws(RedcolError) {
        let length = bytes.count
        let (room, isTooLarge) = length.addingReportingOverflow(32)
        guard !isTooLarge else { throw CommandBytes.noMemory(length) }
        _ = try reserve(room)
        try appendHeader(0x24, length)
        let end = start + count
        if let source = bytes.baseAddress { memcpy(end, source, length) }
        end[length] = 0x0D
        end[length &+ 1] = 0x0A
        count &+= length &+ 2
    }

    mutating func appendBulk(_ text: StaticString) throws(RedcolError) {
        try appendBulk(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func appendBulk(_ bytes: [UInt8]) throws(RedcolError) {
        try appendHeader(0x24, bytes.count)
        try append(bytes)
        try append("\r\n")
    }

    /// A string of at most 64 bytes that `write` puts where it is told; it gives their number.
    @inline(__always)
    mutating func appendShortBulk(
        _ write: (UnsafeMutablePointer<UInt8>) throws(RedcolError) -> Int
    ) throws(RedcolError) {
        let end = try reserve(80)
        let text = end + 5
        let length = try write(text)
        end[0] = 0x24
        var at = 5
        if length >= 10 {
            end[1] = UInt8(truncatingIfNeeded: length / 10) &+ 0x30
            end[2] = UInt8(truncatingIfNeeded: length % 10) &+ 0x30
            end[3] = 0x0D
            end[4] = 0x0A
        } else {
            // The header is a byte shorter than was left for it.
            end[1] = UInt8(truncatingIfNeeded: length) &+ 0x30
            end[2] = 0x0D
            end[3] = 0x0A
            for index in 0..<length { end[4 &+ index] = text[index] }
            at = 4
        }
        end[at &+ length] = 0x0D
        end[at &+ length &+ 1] = 0x0A
        count &+= at &+ length &+ 2
    }
}
