// SPDX-License-Identifier: Apache-2.0
// One block of memory that grows at its end: what commands, keys and nested values are built in.

import CPlatform

/// Bytes that are appended one after the other. Belongs to one thread.
public struct GrowingBytes: ~Copyable {
    public private(set) var start: UnsafeMutablePointer<UInt8>
    public private(set) var count = 0
    private var capacity: Int

    public init() throws(RedcolError) {
        capacity = 1024
        guard let memory = malloc(capacity) else { throw GrowingBytes.noMemory(capacity) }
        start = memory.assumingMemoryBound(to: UInt8.self)
    }

    deinit { free(start) }

    public var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    /// The end, with room for `room` bytes after it; what is written there counts after `advance`.
    @inline(__always)
    public mutating func reserve(_ room: Int) throws(RedcolError) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < room { try grow(room) }
        return start + count
    }

    @inline(__always)
    public mutating func advance(_ written: Int) { count &+= written }

    /// Forgets what comes after the first `kept` bytes.
    public mutating func truncate(_ kept: Int) { count = min(count, kept) }

    /// Forgets all; memory that one huge row took is given back.
    public mutating func clear() {
        count = 0
        guard capacity > 4 << 20, let smaller = realloc(start, 1 << 20) else { return }
        start = smaller.assumingMemoryBound(to: UInt8.self)
        capacity = 1 << 20
    }

    private mutating func grow(_ room: Int) throws(RedcolError) {
        let (needed, isTooLarge) = count.addingReportingOverflow(room)
        let (doubled, isOverflow) = needed.multipliedReportingOverflow(by: 2)
        guard !isTooLarge, !isOverflow, let grown = realloc(start, doubled) else {
            throw GrowingBytes.noMemory(room)
        }
        start = grown.assumingMemoryBound(to: UInt8.self)
        capacity = doubled
    }

    private static func noMemory(_ room: Int) -> RedcolError {
        RedcolError(.memory, "no memory for a command of \(room) more bytes")
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) throws(RedcolError) {
        try reserve(1).pointee = byte
        count &+= 1
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) throws(RedcolError) {
        let end = try reserve(bytes.count)
        if let source = bytes.baseAddress { memcpy(end, source, bytes.count) }
        count &+= bytes.count
    }

    public mutating func append(_ bytes: [UInt8]) throws(RedcolError) {
        let end = try reserve(bytes.count)
        bytes.withUnsafeBufferPointer { source in
            if let source = source.baseAddress { memcpy(end, source, bytes.count) }
        }
        count &+= bytes.count
    }

    public mutating func append(_ text: StaticString) throws(RedcolError) {
        try append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
