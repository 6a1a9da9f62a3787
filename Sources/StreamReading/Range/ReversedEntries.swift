// SPDX-License-Identifier: Apache-2.0
// Entries that come newest first, kept as they came, but oldest first: so that they can be parsed
// as if XRANGE had sent them. Each is copied once.

import CPlatform
import RedisConnection

/// One block of memory that is filled from its end.
final class ReversedEntries {
    private static let bytesUsual = 1024 * 1024
    /// "*", a number and a line end.
    private static let headerMost = 24

    private let memory: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    private var begin: Int
    private(set) var count = 0

    /// Room for an entry of so many bytes, at least; nil when there is no memory.
    static func make(for bytes: Int) -> ReversedEntries? {
        let capacity = max(bytesUsual, bytes) + headerMost
        guard let memory = malloc(capacity + ReceiveBuffer.slack) else { return nil }
        return ReversedEntries(memory.assumingMemoryBound(to: UInt8.self), capacity)
    }

    private init(_ memory: UnsafeMutablePointer<UInt8>, _ capacity: Int) {
        self.memory = memory
        self.capacity = capacity
        begin = capacity
        memset(memory + capacity, 0, ReceiveBuffer.slack)
    }

    deinit { free(memory) }

    /// Puts an entry before those that are there; false if it has no room.
    func add(_ start: UnsafePointer<UInt8>, _ bytes: Int) -> Bool {
        guard begin - ReversedEntries.headerMost >= bytes else { return false }
        begin -= bytes
        memcpy(memory + begin, start, bytes)
        count += 1
        return true
    }

    /// All as one reply, with zeros after it. Called once, after the last `add`.
    func reply() -> UnsafeBufferPointer<UInt8> {
        putBefore(UInt8(ascii: "\n"))
        putBefore(UInt8(ascii: "\r"))
        var left = count
        repeat {
            putBefore(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: left % 10))
            left /= 10
        } while left > 0
        putBefore(UInt8(ascii: "*"))
        return UnsafeBufferPointer(start: memory + begin, count: capacity - begin)
    }

    private func putBefore(_ byte: UInt8) {
        begin -= 1
        memory[begin] = byte
    }
}
