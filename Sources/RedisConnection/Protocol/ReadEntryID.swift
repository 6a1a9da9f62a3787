// SPDX-License-Identifier: Apache-2.0
// Entry ids in replies, read without allocating.

import RedcolBase

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
