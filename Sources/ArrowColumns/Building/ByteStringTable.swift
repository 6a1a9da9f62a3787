// SPDX-License-Identifier: Apache-2.0
// Byte strings numbered in order of arrival: the values of a dictionary column, the names of
// fields.

import CPlatform

/// Numbers each different byte string 0, 1, 2, …; plain memory, freed by `free()`.
public struct ByteStringTable {
    private struct Entry {
        var offset: Int
        var count: Int
        var hash: UInt64
    }

    public private(set) var count = 0
    private var entries: UnsafeMutablePointer<Entry>?
    private var entryCapacity = 0
    private var slots: UnsafeMutablePointer<Int32>?
    private var slotCount = 0
    private var bytes: UnsafeMutablePointer<UInt8>?
    private(set) var byteCount = 0
    private var byteCapacity = 0
    /// Differs in every process, so that nobody can prepare strings that collide.
    private let seed: UInt64

    public init() {
        seed = UInt64(platform_process_random()) &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    public mutating func free() {
        CPlatform.free(entries)
        CPlatform.free(slots)
        CPlatform.free(bytes)
        self = ByteStringTable()
    }

    private func hash(_ text: UnsafePointer<UInt8>, _ length: Int) -> UInt64 {
        let raw = UnsafeRawPointer(text)
        var state = seed ^ UInt64(truncatingIfNeeded: length) &* 0xFF51_AFD7_ED55_8CCD
        var offset = 0
        while offset &+ 8 <= length {
            state = mix(state ^ raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        var tail: UInt64 = 0
        while offset < length {
            tail = tail &<< 8 | UInt64(text[offset])
            offset &+= 1
        }
        return mix(state ^ tail)
    }

    @inline(__always)
    private func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15 ^ seed)
        return product.high ^ product.low
    }

    /// The number of `text`, or nil if it has none.
    public func find(_ text: UnsafePointer<UInt8>, _ length: Int) -> Int? {
        find(text, length, hash: hash(text, length))
    }

    private func find(_ text: UnsafePointer<UInt8>, _ length: Int, hash: UInt64) -> Int? {
        guard let slots, let entries, let bytes else { return nil }
        let mask = slotCount &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) &- 1]
            if entry.hash == hash, entry.count == length,
                memcmp(bytes + entry.offset, text, length) == 0
            {
                return Int(slots[slot]) &- 1
            }
            slot = (slot &+ 1) & mask
        }
        return nil
    }

    /// The number of `text`, which gets the next one if it has none; nil when there is no memory.
    public mutating func insert(_ text: UnsafePointer<UInt8>, _ length: Int) -> Int? {
        let hash = hash(text, length)
        if let found = find(text, length, hash: hash) { return found }
        guard count < Int(Int32.max) - 1, reserve(length) else { return nil }
        guard let entries, let bytes else { return nil }
        memcpy(bytes + byteCount, text, length)
        entries[count] = Entry(offset: byteCount, count: length, hash: hash)
        byteCount += length
        count += 1
        place(count - 1, hash: hash)
        return count - 1
    }

    /// The bytes of number `index`, which must be below `count`. Borrowed until the next insert.
    public func text(at index: Int) -> UnsafeBufferPointer<UInt8> {
        guard let entries, let bytes, index < count else {
            return UnsafeBufferPointer(start: nil, count: 0)
        }
        return UnsafeBufferPointer(
            start: bytes + entries[index].offset, count: entries[index].count)
    }

    private func place(_ index: Int, hash: UInt64) {
        guard let slots else { return }
        let mask = slotCount &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot &+ 1) & mask }
        slots[slot] = Int32(truncatingIfNeeded: index + 1)
    }

    /// Makes room for one more string of `length` bytes; false when there is no memory.
    public mutating func reserve(_ length: Int) -> Bool {
        if bytes == nil || byteCount + length + 16 > byteCapacity {
            let wanted = max(byteCapacity * 2, byteCount + length + 16, 256)
            guard let grown = realloc(bytes, wanted) else { return false }
            bytes = grown.assumingMemoryBound(to: UInt8.self)
            byteCapacity = wanted
        }
        if count == entryCapacity {
            let wanted = max(entryCapacity * 2, 16)
            guard let grown = realloc(entries, wanted * MemoryLayout<Entry>.stride) else {
                return false
            }
            entries = grown.assumingMemoryBound(to: Entry.self)
            entryCapacity = wanted
        }
        if (count + 1) * 2 > slotCount {
            let wanted = max(slotCount * 2, 32)
            guard let grown = calloc(wanted, MemoryLayout<Int32>.stride) else { return false }
            CPlatform.free(slots)
            slots = grown.assumingMemoryBound(to: Int32.self)
            slotCount = wanted
            for index in 0..<count {
                place(index, hash: entries?[index].hash ?? 0)
            }
        }
        return true
    }
}
