// SPDX-License-Identifier: Apache-2.0
// A listpack: strings and integers one after the other in one block of memory.
// https://github.com/antirez/listpack/blob/master/listpack.md

/// Goes through a listpack. Nothing in it is believed: each element must end within it, and say so
/// from both sides.
public struct Listpack {
    /// The end of the elements: where the last byte stands.
    private let end: UnsafePointer<UInt8>
    private var position: UnsafePointer<UInt8>
    /// How many elements it says it has; nil where it does not say.
    public let claimed: Int?

    /// The element that was read last: a text if it has one, else an integer.
    public private(set) var text: UnsafePointer<UInt8>?
    public private(set) var count = 0
    public private(set) var integer: Int64 = 0

    private static let headerBytes = 6

    /// Nil if the bytes are no listpack.
    public init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress, bytes.count > Listpack.headerBytes else { return nil }
        var total = 0
        for place in (0..<4).reversed() { total = total << 8 | Int(start[place]) }
        guard total == bytes.count, start[bytes.count - 1] == 0xFF else { return nil }
        end = start + (bytes.count - 1)
        position = start + Listpack.headerBytes
        let count = Int(start[5]) << 8 | Int(start[4])
        claimed = count == 0xFFFF ? nil : count
    }

    /// Whether all elements were read.
    public var isAtEnd: Bool { position == end }

    /// The bytes after the element that was read last.
    public var bytesLeft: Int { end - position }

    /// Reads the next element; false at the end, or if it is malformed.
    @inline(__always)
    public mutating func next() -> Bool {
        let left = end - position
        guard left >= 2 else { return false }
        let first = position[0]
        if first < 0x80 {
            text = nil
            integer = Int64(first)
            guard position[1] == 1 else { return false }
            position += 2
            return true
        }
        if first < 0xC0 {
            let length = Int(first & 0x3F)
            let size = length &+ 1
            guard size < left, position[size] == UInt8(truncatingIfNeeded: size) else {
                return false
            }
            text = position + 1
            count = length
            position += size &+ 1
            return true
        }
        return nextLong(first, left)
    }

    @inline(never)
    private mutating func nextLong(_ first: UInt8, _ left: Int) -> Bool {
        /// The bytes from `from` on as a number, the lowest first.
        func number(_ from: Int, _ bytes: Int) -> UInt64 {
            var number: UInt64 = 0
            for place in (0..<bytes).reversed() {
                number = number << 8 | UInt64(position[from + place])
            }
            return number
        }
        func integer(_ bytes: Int) -> Int64 {
            let unused = UInt64(64 - 8 * bytes)
            return Int64(bitPattern: number(1, bytes) << unused) >> Int64(unused)
        }
        let size: Int
        text = nil
        switch first {
        case 0xC0...0xDF:
            let raw = Int64(first & 0x1F) << 8 | Int64(position[1])
            self.integer = raw < 4096 ? raw : raw - 8192
            size = 2
        case 0xE0...0xEF:
            count = Int(first & 0x0F) << 8 | Int(position[1])
            text = position + 2
            size = 2 + count
        case 0xF0:
            guard left > 5 else { return false }
            count = Int(number(1, 4))
            text = position + 5
            size = 5 + count
        case 0xF1...0xF4:
            // Two, three, four or eight of them.
            let bytes = first == 0xF4 ? 8 : Int(first - 0xEF)
            guard left > bytes + 1 else { return false }
            self.integer = integer(bytes)
            size = 1 + bytes
        default: return false
        }
        let backBytes = Listpack.backBytes(size)
        guard size <= left - backBytes else { return false }
        // The size once more, seven bits a byte and the highest first, to be read from the end.
        var back = 0
        for place in 0..<backBytes {
            let byte = Int(position[size + place])
            guard (byte & 0x80 != 0) == (place > 0) else { return false }
            back = back << 7 | byte & 0x7F
        }
        guard back == size else { return false }
        position += size + backBytes
        return true
    }

    private static func backBytes(_ size: Int) -> Int {
        if size <= 127 { return 1 }
        if size < 16_383 { return 2 }
        if size < 2_097_151 { return 3 }
        return size < 268_435_455 ? 4 : 5
    }

    /// Reads the next element, which must be an integer.
    @inline(__always)
    public mutating func nextInteger() -> Int64? { next() && text == nil ? integer : nil }

    /// Passes over `count` elements; false if there are fewer.
    public mutating func passOver(_ count: Int) -> Bool {
        for _ in 0..<count where !next() { return false }
        return true
    }
}
