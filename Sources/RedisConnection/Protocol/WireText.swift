// SPDX-License-Identifier: Apache-2.0
// The small pieces of the protocol: lengths, ids and names, read without allocating.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

import RedcolBase

/// What `readLength` gives besides a length.
public enum Length {
    public static let null = -1
    public static let needsMore = -2
    public static let malformed = -3
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
    var text = position
    guard text < end else { return Length.needsMore }
    guard text[0] == type else { return Length.malformed }
    text += 1
    let isNegative = text[0] == 0x2D
    if isNegative { text += 1 }
    var value = 0
    var digits = 0
    while text < end, text[0] >= 0x30, text[0] <= 0x39 {
        digits += 1
        guard digits <= 12 else { return Length.malformed }
        value = value * 10 + Int(text[0] - 0x30)
        text += 1
    }
    guard text < end else { return Length.needsMore }
    guard digits > 0, text[0] == 0x0D else { return Length.malformed }
    guard text + 1 < end else { return Length.needsMore }
    guard text[1] == 0x0A else { return Length.malformed }
    if isNegative, value != 1 { return Length.malformed }
    position = text + 2
    return isNegative ? Length.null : value
}

@inline(__always)
public func endsLine(_ text: UnsafePointer<UInt8>) -> Bool {
    UnsafeRawPointer(text).loadUnaligned(as: UInt16.self) == 0x0A0D
}

/// Reads an entry id of exactly `count` bytes, of which 64 must be readable.
@inline(__always)
public func readID(_ text: UnsafePointer<UInt8>, _ count: Int) -> EntryID? {
    // Milliseconds have 13 digits from 2001 to 2286.
    if count > 14, count < 32, text[13] == 0x2D,
        let milliseconds = readDigits(text, 13), let sequence = readDigits(text + 14, count &- 14)
    {
        return EntryID(milliseconds, sequence)
    }
    return EntryID(UnsafeBufferPointer(start: text, count: count), sequenceIfMissing: nil)
}

/// Up to 18 digits, which cannot overflow.
@inline(__always)
private func readDigits(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    guard count > 0, count <= 18 else { return nil }
    var value: UInt64 = 0
    var wrong: UInt64 = 0
    var index = 0
    while index < count {
        let digit = UInt64(text[index]) &- 0x30
        wrong |= digit > 9 ? 1 : 0
        value = value &* 10 &+ digit
        index &+= 1
    }
    return wrong == 0 ? value : nil
}
