// SPDX-License-Identifier: Apache-2.0
// The lengths, numbers and strings that a snapshot is made of, read one after the other. Every
// length is checked against the bytes that are there.

import CPlatform
import RedcolBase

/// A place in the bytes of a snapshot, which must have 16 readable bytes after their end.
public struct StoredBytes {
    /// How a length is written: six bits of it, 14, 32, 64, or a mark of a special string.
    public enum Length: Equatable {
        case number(UInt64)
        /// An integer of 8, 16 or 32 bits (0 to 2), or a compressed string (3).
        case special(UInt8)
    }

    private let start: UnsafePointer<UInt8>
    public private(set) var position: UnsafePointer<UInt8>
    private let end: UnsafePointer<UInt8>

    public init(_ bytes: UnsafeBufferPointer<UInt8>) {
        let nothing: StaticString = "                "
        start = bytes.baseAddress ?? nothing.utf8Start
        position = start
        end = start + bytes.count
    }

    /// How far it has come.
    public var offset: Int { position - start }

    public var left: Int { end - position }

    /// The bytes from here on.
    var rest: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: position, count: left) }

    /// Goes to a place that it has been at.
    mutating func jump(to offset: Int) {
        if offset >= 0, offset <= end - start { position = start + offset }
    }

    /// The bytes from here on make no sense.
    @inline(never)
    public func damaged(_ what: String) -> RedcolError {
        RedcolError(.protocolViolation, "\(what) at byte \(offset)")
    }

    /// Passes over `count` bytes, and returns where they begin.
    @inline(__always)
    public mutating func take(_ count: UInt64) throws(RedcolError) -> UnsafePointer<UInt8> {
        guard count <= UInt64(end - position) else { throw damaged("an end that comes too early") }
        defer { position += Int(truncatingIfNeeded: count) }
        return position
    }

    public mutating func byte() throws(RedcolError) -> UInt8 { try take(1).pointee }

    /// A number of 1 to 8 bytes, the lowest first.
    public mutating func littleEndian(_ count: Int) throws(RedcolError) -> UInt64 {
        let bytes = try take(UInt64(count))
        var number: UInt64 = 0
        for place in (0..<count).reversed() { number = number << 8 | UInt64(bytes[place]) }
        return number
    }

    private mutating func bigEndian(_ count: Int) throws(RedcolError) -> UInt64 {
        let bytes = try take(UInt64(count))
        var number: UInt64 = 0
        for place in 0..<count { number = number << 8 | UInt64(bytes[place]) }
        return number
    }

    public mutating func length() throws(RedcolError) -> Length {
        let first = try byte()
        switch first >> 6 {
        case 0: return .number(UInt64(first & 0x3F))
        case 1: return .number(UInt64(first & 0x3F) << 8 | UInt64(try byte()))
        case 2:
            if first == 0x80 { return .number(try bigEndian(4)) }
            if first == 0x81 { return .number(try bigEndian(8)) }
        default:
            if first & 0x3F <= 3 { return .special(first & 0x3F) }
        }
        position -= 1
        throw damaged("no length")
    }

    /// A length that stands for a number.
    public mutating func number() throws(RedcolError) -> UInt64 {
        if case .number(let number) = try length() { return number }
        throw damaged("no number")
    }

    public mutating func entryID() throws(RedcolError) -> EntryID {
        let milliseconds = try number()
        return EntryID(milliseconds, try number())
    }

    /// The id of 16 bytes, the highest first.
    public mutating func rawEntryID() throws(RedcolError) -> EntryID {
        let milliseconds = try bigEndian(8)
        return EntryID(milliseconds, try bigEndian(8))
    }

    /// A string: where it lies, or in `scratch` if it has to be made. Valid until `scratch` is used
    /// again. 16 bytes can be read after its end.
    public mutating func string(
        _ scratch: inout ScratchBytes
    ) throws(RedcolError) -> UnsafeBufferPointer<UInt8> {
        switch try length() {
        case .number(let count):
            return UnsafeBufferPointer(start: try take(count), count: Int(count))
        case .special(3):
            let packed = try number()
            let count = try number()
            let text = try take(packed)
            // Three bytes are at most 264 of them.
            guard count / 88 <= packed else { throw damaged("a compressed string of wrong length") }
            let room = try scratch.room(Int(count))
            guard expandLZF(text, Int(packed), into: room, Int(count)) else {
                throw damaged("a compressed string that cannot be expanded")
            }
            return UnsafeBufferPointer(start: room, count: Int(count))
        case .special(let kind):
            let bits = 8 << UInt64(kind)
            let raw = try littleEndian(bits / 8)
            let value = Int64(bitPattern: raw << UInt64(64 - bits)) >> Int64(64 - bits)
            let room = try scratch.room(32)
            return UnsafeBufferPointer(start: room, count: writeSigned(value, to: room))
        }
    }

    /// Passes over a string.
    public mutating func passOverString() throws(RedcolError) {
        switch try length() {
        case .number(let count): _ = try take(count)
        case .special(3):
            let packed = try number()
            _ = try number()
            _ = try take(packed)
        case .special(let kind): _ = try take(1 << UInt64(kind))
        }
    }
}

/// Memory for a string that has to be made; used again for the next one.
public struct ScratchBytes {
    private var memory: UnsafeMutablePointer<UInt8>?
    private var capacity = 0

    public init() {}

    public mutating func free() {
        CPlatform.free(memory)
        memory = nil
        capacity = 0
    }

    /// Room for `count` bytes, and 16 zeros after them.
    mutating func room(_ count: Int) throws(RedcolError) -> UnsafeMutablePointer<UInt8> {
        if count + 16 > capacity {
            let wanted = max(count + 16, 2 * capacity)
            guard let grown = realloc(memory, wanted) else {
                throw RedcolError(.memory, "no memory for a string of \(count) bytes")
            }
            memory = grown.assumingMemoryBound(to: UInt8.self)
            capacity = wanted
        }
        guard let memory else { throw RedcolError(.memory, "no memory for a string") }
        memset(memory + count, 0, 16)
        return memory
    }
}

/// Writes a number's digits, and a minus before them if it needs one; 25 bytes must be writable.
@inline(__always)
public func writeSigned(_ value: Int64, to start: UnsafeMutablePointer<UInt8>) -> Int {
    if value >= 0 { return writeDecimal(UInt64(bitPattern: value), to: start) }
    start.pointee = UInt8(ascii: "-")
    return writeDecimal(value.magnitude, to: start + 1) &+ 1
}
