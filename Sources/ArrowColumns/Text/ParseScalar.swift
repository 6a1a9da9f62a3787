// SPDX-License-Identifier: Apache-2.0
// Text to booleans, floats and decimals.
import CPlatform

/// true or false in any case, 1 or 0.
func parseBoolean(_ text: UnsafePointer<UInt8>, _ count: Int) -> Bool? {
    if count == 1 {
        if text[0] == UInt8(ascii: "1") { return true }
        return text[0] == UInt8(ascii: "0") ? false : nil
    }
    guard count == 4 || count == 5 else { return nil }
    // Of a letter's two cases this makes the lower one, and of nothing else.
    let word = UnsafeRawPointer(text).loadUnaligned(as: UInt32.self).littleEndian | 0x2020_2020
    if count == 4 { return word == 0x6575_7274 ? true : nil }
    return word == 0x736C_6166 && text[4] | 0x20 == UInt8(ascii: "e") ? false : nil
}

/// As C++'s from_chars reads it, with an optional plus sign.
func parseDouble(_ text: UnsafePointer<UInt8>, _ count: Int) -> Double? {
    guard count > 0 else { return nil }
    var value = 0.0
    let start = UnsafeRawPointer(text).assumingMemoryBound(to: CChar.self)
    return platform_parse_double(start, count, &value) ? value : nil
}

/// As `parseDouble`; the text is rounded once, not first to a double.
func parseFloat(_ text: UnsafePointer<UInt8>, _ count: Int) -> Float? {
    guard count > 0 else { return nil }
    var value: Float = 0
    let start = UnsafeRawPointer(text).assumingMemoryBound(to: CChar.self)
    return platform_parse_float(start, count, &value) ? value : nil
}

/// [+-]digits[.digits][e[+-]digits], as its value times ten to the `scale`. Nil if it is not that,
/// has more than `precision` digits (at most 38), or would lose digits that are not zero.
func parseDecimal(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ precision: Int32, _ scale: Int32
) -> Int128? {
    var index = 0
    var isNegative = false
    if count > 0, text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") {
        isNegative = text[0] == UInt8(ascii: "-")
        index = 1
    }
    // The digits from the first to the last that is not zero, and how many zeros come after them.
    // Only these digits need room, however many zeros the text has around them.
    var value: UInt128 = 0
    var valueDigits: Int64 = 0
    var zeros: Int64 = 0
    var fractionDigits: Int64 = 0
    var hasDigits = false
    var hasPoint = false
    while index < count {
        let byte = text[index]
        if let digit = digitValue(byte) {
            hasDigits = true
            if hasPoint { fractionDigits &+= 1 }
            if digit != 0 {
                valueDigits &+= zeros &+ 1
                guard valueDigits <= 38 else { return nil }
                while zeros > 0 {
                    value &*= 10
                    zeros &-= 1
                }
                value = value &* 10 &+ UInt128(digit)
            } else if valueDigits > 0 {
                zeros &+= 1
            }
        } else if byte == UInt8(ascii: "."), !hasPoint {
            hasPoint = true
        } else {
            break
        }
        index += 1
    }
    guard hasDigits else { return nil }
    var exponent: Int64 = 0
    if index < count {
        guard text[index] | 0x20 == UInt8(ascii: "e"),
            let read = parseExponent(text + (index + 1), count - index - 1)
        else { return nil }
        exponent = read
    }
    if value == 0 { return 0 }
    let shift = zeros &- fractionDigits &+ exponent &+ Int64(scale)
    guard shift >= 0, shift <= 38, valueDigits &+ shift <= min(Int64(precision), 38) else {
        return nil
    }
    for _ in 0..<shift { value &*= 10 }
    let magnitude = Int128(truncatingIfNeeded: value)
    return isNegative ? 0 &- magnitude : magnitude
}

/// [+-]digits to the end. Far beyond the length of any text it stops growing, and cannot overflow.
private func parseExponent(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    var index = 0
    var isNegative = false
    if count > 0, text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") {
        isNegative = text[0] == UInt8(ascii: "-")
        index = 1
    }
    guard index < count else { return nil }
    var exponent: Int64 = 0
    while index < count {
        guard let digit = digitValue(text[index]) else { return nil }
        if exponent < 1 << 50 { exponent = exponent &* 10 &+ Int64(digit) }
        index += 1
    }
    return isNegative ? 0 &- exponent : exponent
}
