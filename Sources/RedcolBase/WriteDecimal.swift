// SPDX-License-Identifier: Apache-2.0
// Numbers as decimal digits, eight at a time: acknowledging writes two of them for each entry.

/// Writes a number's digits, and returns how many there are. 24 bytes must be writable at `start`,
/// whatever the number.
public func writeDecimal(_ value: UInt64, to start: UnsafeMutablePointer<UInt8>) -> Int {
    if value < 10 {
        start.pointee = UInt8(truncatingIfNeeded: value) &+ 0x30
        return 1
    }
    if value < 100_000_000 { return writeFirst(value, to: start) }
    let high = value / 100_000_000
    let low = value &- high &* 100_000_000
    let count: Int
    if high < 100_000_000 {
        count = writeFirst(high, to: start)
    } else {
        let highest = high / 100_000_000
        count = writeFirst(highest, to: start) &+ 8
        store(textOfEightDigits(high &- highest &* 100_000_000), to: start + (count &- 8))
    }
    store(textOfEightDigits(low), to: start + count)
    return count &+ 8
}

/// Writes a number below 100,000,000, and above 0, without zeros before it.
@inline(__always)
private func writeFirst(_ value: UInt64, to start: UnsafeMutablePointer<UInt8>) -> Int {
    let digits = textOfEightDigits(value)
    // The first digit is in the lowest byte.
    let zeros = (digits ^ 0x3030_3030_3030_3030).trailingZeroBitCount &>> 3
    store(digits &>> UInt64(truncatingIfNeeded: zeros &<< 3), to: start)
    return 8 &- zeros
}

@inline(__always)
private func store(_ digits: UInt64, to start: UnsafeMutablePointer<UInt8>) {
    UnsafeMutableRawPointer(start).storeBytes(of: digits.littleEndian, as: UInt64.self)
}

/// The eight digits of a number below 100,000,000, the first one in the lowest byte: it is split
/// into fours, those into pairs, those into digits, each time all halves at once.
@inline(__always)
private func textOfEightDigits(_ value: UInt64) -> UInt64 {
    let high = value / 10_000
    let fours = high | (value &- high &* 10_000) &<< 32
    // 10,486 / 2^20 is a hundredth, exact enough for four digits; 103 / 2^10 a tenth for two.
    let hundreds = (fours &* 10_486) &>> 20 & 0x0000_007F_0000_007F
    let pairs = hundreds | (fours &- hundreds &* 100) &<< 16
    let tens = (pairs &* 103) &>> 10 & 0x000F_000F_000F_000F
    return (tens | (pairs &- tens &* 10) &<< 8) &+ 0x3030_3030_3030_3030
}
