// SPDX-License-Identifier: Apache-2.0
// Bytes that came from the server and were not used yet, with room after them to look ahead.

import CPlatform

/// One block of memory: used bytes, waiting bytes, free room, and zeroed slack after the waiting
/// bytes, so that a parser can load 16 bytes at a time without reading past the end.
public struct ReceiveBuffer: ~Copyable {
    /// Zeroed bytes after the last byte received.
    public static let slack = 64
    private static let initialCapacity = 256 * 1024
    /// A buffer that a huge entry has made grow is given back down to this when it is empty.
    private static let keptCapacity = 4 * 1024 * 1024

    private var memory: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var begin = 0
    private var end = 0
    /// How many bytes were used, of all that ever came.
    public private(set) var usedInAll = 0
    /// What the next bytes must be, which nobody gets to see.
    private var passedOver: [UInt8] = []
    /// Something else came in place of what was to be passed over.
    private(set) var hasUnexpected = false

    public init() {}

    deinit { free(memory) }

    /// The bytes that wait. Valid until the next mutation.
    public var waiting: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: memory.map { UnsafePointer($0 + begin) }, count: end - begin)
    }

    public var count: Int { end - begin }

    /// Marks the first `count` waiting bytes as used.
    public mutating func consume(_ count: Int) {
        let used = min(count, end - begin)
        begin += used
        usedInAll &+= used
        if begin == end {
            begin = 0
            end = 0
            if capacity > ReceiveBuffer.keptCapacity { release() }
        }
    }

    public mutating func clear() {
        begin = 0
        end = 0
        passedOver = []
        hasUnexpected = false
    }

    /// The next bytes are these, waiting or still to come, and are not shown.
    mutating func passOver(_ text: StaticString) {
        passedOver = Array(
            UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        passOverWaiting()
    }

    private mutating func passOverWaiting() {
        let bytes = waiting
        let count = min(bytes.count, passedOver.count)
        if !bytes[..<count].elementsEqual(passedOver[..<count]) { hasUnexpected = true }
        passedOver.removeFirst(count)
        consume(count)
    }

    mutating func discard() {
        clear()
        release()
    }

    private mutating func release() {
        free(memory)
        memory = nil
        capacity = 0
    }

    /// Room to receive into, at least a quarter of the block; nil when there is no memory.
    mutating func room() -> UnsafeMutableRawBufferPointer? {
        if memory == nil {
            memory = malloc(ReceiveBuffer.initialCapacity + ReceiveBuffer.slack)?
                .assumingMemoryBound(to: UInt8.self)
            capacity = memory == nil ? 0 : ReceiveBuffer.initialCapacity
        }
        guard let start = memory else { return nil }
        // Much that waits is not moved for the sake of a little room.
        if begin > 0, begin >= end - begin || capacity - end < capacity / 4 {
            memmove(start, start + begin, end - begin)
            end -= begin
            begin = 0
            // Nothing may come, and the waiting bytes may be looked at again.
            memset(start + end, 0, ReceiveBuffer.slack)
        }
        if (end - begin) * 2 > capacity {
            // Doubling only when it is half full of bytes that have arrived: what is reserved
            // follows what was received, never what was claimed.
            guard let grown = realloc(start, capacity * 2 + ReceiveBuffer.slack) else { return nil }
            memory = grown.assumingMemoryBound(to: UInt8.self)
            capacity *= 2
        }
        return memory.map {
            UnsafeMutableRawBufferPointer(start: $0 + end, count: capacity - end)
        }
    }

    /// Bytes that were received since this was asked last.
    mutating func takeReceived() -> Int {
        defer { receivedCount = 0 }
        return receivedCount
    }
    private var receivedCount = 0

    /// Takes `count` bytes that were received into `room()`.
    mutating func received(_ count: Int) {
        receivedCount &+= count
        end += count
        if let memory { memset(memory + end, 0, ReceiveBuffer.slack) }
        if !passedOver.isEmpty { passOverWaiting() }
    }

    /// Appends bytes as if they had been received; false when there is no memory. For tests.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset < bytes.count {
            guard let room = room(), let start = bytes.baseAddress else { return false }
            let taken = min(room.count, bytes.count - offset)
            if let target = room.baseAddress { memcpy(target, start + offset, taken) }
            received(taken)
            offset += taken
        }
        return true
    }
}
