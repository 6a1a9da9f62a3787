// SPDX-License-Identifier: Apache-2.0
// Decimal text to integers, eight digits at a time. A value's text is followed by at least 16 bytes
// that may be read, though what stands in them never counts.

/// [+-]digits, nothing else; nil if it is not that or does not fit.
func parseSigned(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    guard count > 0 else { return nil }
    let first = text[0]
    let isNegative = first == UInt8(ascii: "-")
    let signWidth = isNegative || first == UInt8(ascii: "+") ? 1 : 0
    guard let magnitude = parseDigits(text + signWidth, count - signWidth) else { return nil }
    return signed(magnitude, isNegative)
}

/// [+]digits, nothing else; nil if it is not that or does not fit.
func parseUnsigned(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    guard count > 0 else { return nil }
    let signWidth = text[0] == UInt8(ascii: "+") ? 1 : 0
    return parseDigits(text + signWidth, count - signWidth)
}

/// As `parseSigned`, for 128 bits.
func parseSigned128(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int128? {
    guard count > 0 else { return nil }
    let first = text[0]
    let isNegative = first == UInt8(ascii: "-")
    let signWidth = isNegative || first == UInt8(ascii: "+") ? 1 : 0
    guard let magnitude = parseDigits128(text + signWidth, count - signWidth) else { return nil }
    if isNegative {
        return magnitude <= 1 << 127 ? Int128(truncatingIfNeeded: 0 &- magnitude) : nil
    }
    return Int128(exactly: magnitude)
}

/// As `parseUnsigned`, for 128 bits.
func parseUnsigned128(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt128? {
    guard count > 0 else { return nil }
    let signWidth = text[0] == UInt8(ascii: "+") ? 1 : 0
    return parseDigits128(text + signWidth, count - signWidth)
}

/// As `parseDigits`, for 128 bits.
private func parseDigits128(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt128? {
    // 19 digits always fit 64 bits.
    if count <= 19 { return parseDigits(text, count).map { UInt128($0) } }
    var value: UInt128 = 0
    for index in 0..<count {
        guard let digit = digitValue(text[index]) else { return nil }
        let (shifted, isTooLarge) = value.multipliedReportingOverflow(by: 10)
        let (sum, isOverflow) = shifted.addingReportingOverflow(UInt128(digit))
        if isTooLarge || isOverflow { return nil }
        value = sum
    }
    return value
}

/// One or more digits, nothing else; nil if it is not that or does not fit.
@inline(__always)
func parseDigits(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    if count <= 8 {
        guard count > 0 else { return nil }
        return leadingDigits(text, count)
    }
    if count <= 16 {
        guard let high = leadingDigits(text, count &- 8),
            let low = valueOfEightDigits(loadWord(text + (count &- 8)))
        else { return nil }
        return high &* 100_000_000 &+ low
    }
    return parseManyDigits(text, count)
}

/// As `parseDigits`, for more than 16 digits.
@inline(never)
private func parseManyDigits(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    var digits = text
    var count = count
    while count > 20 {
        guard digits[0] == UInt8(ascii: "0") else { return nil }
        digits += 1
        count -= 1
    }
    guard let high = leadingDigits(digits, count - 16),
        let middle = valueOfEightDigits(loadWord(digits + (count - 16))),
        let low = valueOfEightDigits(loadWord(digits + (count - 8)))
    else { return nil }
    let (shifted, isTooLarge) = high.multipliedReportingOverflow(by: 10_000_000_000_000_000)
    let (sum, isOverflow) = shifted.addingReportingOverflow(middle &* 100_000_000 &+ low)
    return isTooLarge || isOverflow ? nil : sum
}

/// A magnitude with its sign; nil if it does not fit.
@inline(__always)
func signed(_ magnitude: UInt64, _ isNegative: Bool) -> Int64? {
    if isNegative {
        guard magnitude <= 1 << 63 else { return nil }
        return Int64(truncatingIfNeeded: 0 &- magnitude)
    }
    return magnitude <= UInt64(Int64.max) ? Int64(truncatingIfNeeded: magnitude) : nil
}

/// The value of 1 to 8 digits: what comes after them is shifted out, and zeros in before them.
@inline(__always)
private func leadingDigits(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt64? {
    let missingBits = UInt64(truncatingIfNeeded: 8 &- count) &* 8
    // Shifts are masked to 6 bits, so that 8 digits (no bits missing) need the zeros masked away.
    let zeros: UInt64 = missingBits == 0 ? 0 : 0x3030_3030_3030_3030 &>> (64 &- missingBits)
    return valueOfEightDigits(loadWord(text) &<< missingBits | zeros)
}

/// The value of 8 digits, of which the first is in the lowest byte; nil if one is not a digit.
@inline(__always)
private func valueOfEightDigits(_ word: UInt64) -> UInt64? {
    let values = word ^ 0x3030_3030_3030_3030
    guard isAllBelowTen(values) else { return nil }
    // Neighbors are joined into pairs, pairs into fours, fours into the whole.
    let pairs = (values &* (10 << 8 | 1)) &>> 8 & 0x00FF_00FF_00FF_00FF
    let fours = (pairs &* (100 << 16 | 1)) &>> 16 & 0x0000_FFFF_0000_FFFF
    return (fours &* (10_000 << 32 | 1)) &>> 32
}

/// Whether every byte is 0 to 9. A carry out of a byte means that its upper half was not zero.
@inline(__always)
func isAllBelowTen(_ word: UInt64) -> Bool {
    (word | (word &+ 0x0606_0606_0606_0606)) & 0xF0F0_F0F0_F0F0_F0F0 == 0
}

/// The 8 bytes at `text`, the first one lowest.
@inline(__always)
func loadWord(_ text: UnsafePointer<UInt8>) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(text).loadUnaligned(as: UInt64.self))
}

/// The value of a digit, or nil.
@inline(__always)
func digitValue(_ byte: UInt8) -> UInt8? {
    let value = byte &- UInt8(ascii: "0")
    return value < 10 ? value : nil
}
