// SPDX-License-Identifier: Apache-2.0
// Headers of replies: a number or a text, and the end of the line. Everything that reads replies
// reads them here: the row parser, the writer, and the scan before hiredis.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

import CPlatform

/// What `readLength` returns instead of a length.
public enum Length {
    public static let null = -1
    public static let needsMore = -2
    public static let malformed = -3
    /// The digits that a length may have.
    fileprivate static let digitsMax = 12
}

/// Reads `type`, a length and the end of the line, and moves `position` past them; else says why
/// not. Needs 16 zero bytes after `end`.
@inline(__always)
public func readLength(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ type: UInt8
) -> Int {
    let text = position
    let word = UnsafeRawPointer(text).loadUnaligned(as: UInt64.self)
    // The lengths 0 to 9 and 10 to 99 are nearly all there are.
    if UInt32(truncatingIfNeeded: word) & 0xFFFF_00FF == 0x0A0D_0000 | UInt32(type) {
        let digit = Int(text[1]) &- 0x30
        if digit >= 0, digit <= 9 {
            position = text + 4
            return digit
        }
    } else if word & 0xFF_FF00_00FF == 0x0A_0D00_0000 | UInt64(type) {
        let tens = Int(text[1]) &- 0x30
        let ones = Int(text[2]) &- 0x30
        if tens >= 0, tens <= 9, ones >= 0, ones <= 9 {
            position = text + 5
            return tens &* 10 &+ ones
        }
    }
    return readLongLength(&position, end, type)
}

@inline(never)
private func readLongLength(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ type: UInt8
) -> Int {
    guard position < end else { return Length.needsMore }
    guard position[0] == type else { return Length.malformed }
    var text = position + 1
    switch readNumber(&text, end, digitsMax: Length.digitsMax) {
    case .needsMore: return Length.needsMore
    case .malformed: return Length.malformed
    case .value(let number):
        guard number >= -1 else { return Length.malformed }
        position = text
        return number < 0 ? Length.null : Int(number)
    }
}

@inline(__always)
public func endsLine(_ text: UnsafePointer<UInt8>) -> Bool {
    UnsafeRawPointer(text).loadUnaligned(as: UInt16.self) == 0x0A0D
}

/// What `readNumber` has found.
public enum NumberHeader {
    case value(Int64)
    case needsMore, malformed
}

/// Reads [-]digits and the end of the line, and moves `position` past them. `digitsMax`: at most
/// 19, which are enough for any Int64.
public func readNumber(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, digitsMax: Int
) -> NumberHeader {
    var text = position
    guard text < end else { return .needsMore }
    let isNegative = text[0] == UInt8(ascii: "-")
    if isNegative { text += 1 }
    var magnitude: UInt64 = 0
    var digits = 0
    while text < end, text[0] >= UInt8(ascii: "0"), text[0] <= UInt8(ascii: "9") {
        digits += 1
        guard digits <= digitsMax else { return .malformed }
        magnitude = magnitude &* 10 &+ UInt64(text[0] &- UInt8(ascii: "0"))
        text += 1
    }
    guard text < end else { return .needsMore }
    guard digits > 0, text[0] == UInt8(ascii: "\r") else { return .malformed }
    guard text + 1 < end else { return .needsMore }
    guard text[1] == UInt8(ascii: "\n") else { return .malformed }
    let value: Int64
    if isNegative {
        guard magnitude > 0, magnitude <= Int64.min.magnitude else { return .malformed }
        value = Int64(truncatingIfNeeded: 0 &- magnitude)
    } else {
        guard magnitude <= Int64.max.magnitude else { return .malformed }
        value = Int64(truncatingIfNeeded: magnitude)
    }
    position = text + 2
    return .value(value)
}

/// What `readTextLine` has found.
public enum TextHeader {
    case text(UnsafeBufferPointer<UInt8>)
    case needsMore, tooLong
}

/// Reads a text and the end of its line, and moves `position` past them. `bytesMax`: how long both
/// may be.
public func readTextLine(
    _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, bytesMax: Int
) -> TextHeader {
    let start = position
    let limit = min(end - start, bytesMax)
    var length = 0
    while length + 1 < limit, let found = memchr(start + length, 0x0D, limit - 1 - length) {
        length = UnsafeRawPointer(start).distance(to: found)
        if start[length + 1] == UInt8(ascii: "\n") {
            position = start + (length + 2)
            return .text(UnsafeBufferPointer(start: start, count: length))
        }
        length += 1
    }
    return limit >= bytesMax ? .tooLong : .needsMore
}
