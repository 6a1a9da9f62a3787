// SPDX-License-Identifier: Apache-2.0
// The bytes of a string or binary column that are too long for their 16-byte view: Arrow's variadic
// data buffers. One buffer grows until it is full, then the next begins, since a view holds 31-bit
// offsets.

import CPlatform

/// Growing bytes in buffers of at most `bufferLimit` bytes each; plain memory, freed by `free()`.
struct TextStore {
    /// A buffer is closed before it grows past this. A single value may be longer than that, up to
    /// Int32.max, and then has a buffer of its own.
    static let bufferLimit = 1 << 30

    private(set) var current: UnsafeMutablePointer<UInt8>?
    private(set) var length = 0
    private var capacity = 0
    private(set) var closed: UnsafeMutablePointer<ClosedBuffer>?
    private(set) var closedCount = 0

    struct ClosedBuffer {
        var bytes: UnsafeMutablePointer<UInt8>
        var length: Int
    }

    /// Bytes that may be written past the end of a value, so that it can be copied 16 at a time.
    static let slack = 16

    /// Makes room for `count` more bytes; false when there is no memory.
    @inline(__always)
    mutating func reserve(_ count: Int) -> Bool {
        if length + count + TextStore.slack <= capacity { return true }
        return grow(count)
    }

    @inline(never)
    private mutating func grow(_ count: Int) -> Bool {
        if length > 0, length + count > TextStore.bufferLimit, !closeCurrent() { return false }
        let needed = length + count + TextStore.slack
        var wanted = capacity < 4096 ? 4096 : capacity * 2
        if wanted < needed { wanted = needed }
        guard let grown = platform_buffer_resize(current, wanted) else { return false }
        current = grown.assumingMemoryBound(to: UInt8.self)
        capacity = wanted
        return true
    }

    private mutating func closeCurrent() -> Bool {
        guard let bytes = current else { return true }
        let size = (closedCount + 1) * MemoryLayout<ClosedBuffer>.stride
        guard let list = realloc(closed, size) else { return false }
        closed = list.assumingMemoryBound(to: ClosedBuffer.self)
        closed?[closedCount] = ClosedBuffer(bytes: bytes, length: length)
        closedCount += 1
        current = nil
        length = 0
        capacity = 0
        return true
    }

    /// Where the next byte goes. Valid after a `reserve` that returned true.
    @inline(__always)
    var end: UnsafeMutablePointer<UInt8>? { current.map { $0 + length } }

    @inline(__always)
    mutating func advance(_ count: Int) { length += count }

    /// Forgets what was added since `length` was `mark`, if that is still the same buffer.
    mutating func rewind(to mark: Int, buffer: Int) {
        if buffer == closedCount, mark <= length { length = mark }
    }

    /// Number of buffers that hold bytes.
    var bufferCount: Int { closedCount + (length > 0 ? 1 : 0) }

    mutating func free() {
        for index in 0..<closedCount { platform_buffer_free(closed?[index].bytes) }
        CPlatform.free(closed)
        platform_buffer_free(current)
        self = TextStore()
    }

    /// Moves the buffers, each freed with `platform_buffer_free`, into `buffers` and their sizes
    /// into `sizes` (each of `bufferCount` elements), and becomes empty.
    mutating func moveBuffers(
        into buffers: UnsafeMutablePointer<UnsafeRawPointer?>, sizes: UnsafeMutablePointer<Int64>
    ) {
        var index = 0
        while index < closedCount {
            buffers[index] = closed.map { UnsafeRawPointer($0[index].bytes) }
            sizes[index] = closed.map { Int64($0[index].length) } ?? 0
            index += 1
        }
        if length > 0 {
            // Address space that was reserved and never used goes back; the bytes do not move.
            let kept =
                platform_buffer_resize(current, length + TextStore.slack)
                ?? UnsafeMutableRawPointer(current)
            buffers[index] = UnsafeRawPointer(kept)
            sizes[index] = Int64(length)
        } else {
            platform_buffer_free(current)
        }
        CPlatform.free(closed)
        self = TextStore()
    }
}
