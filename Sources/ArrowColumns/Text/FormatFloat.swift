// SPDX-License-Identifier: Apache-2.0
// Floats as decimal text, as Polars writes them into CSV: the shortest digits that read back as the
// same number, with a point where the number is neither too small nor too large for that, else with
// an exponent.

import RedcolBase

/// At most 25 bytes.
public func writeFloat(_ value: Double, to text: UnsafeMutablePointer<UInt8>) -> Int {
    if value.isNaN { return copy("NaN", to: text) }
    if value.isInfinite { return copy(value < 0 ? "-inf" : "inf", to: text) }
    return layOut(
        value.description, isNegative: value.sign == .minus, pointRange: -4...16, to: text)
}

/// At most 17 bytes.
public func writeFloat(_ value: Float, to text: UnsafeMutablePointer<UInt8>) -> Int {
    if value.isNaN { return copy("NaN", to: text) }
    if value.isInfinite { return copy(value < 0 ? "-inf" : "inf", to: text) }
    return layOut(
        value.description, isNegative: value.sign == .minus, pointRange: -5...13, to: text)
}

private func copy(_ word: StaticString, to text: UnsafeMutablePointer<UInt8>) -> Int {
    for index in 0..<word.utf8CodeUnitCount { text[index] = word.utf8Start[index] }
    return word.utf8CodeUnitCount
}

/// Swift's description has the shortest digits, but other rules for the point: only the digits and
/// where the point stands are taken from it. `pointRange`: digits before the point (0 and less:
/// zeros after it) for which there is a point.
private func layOut(
    _ description: String, isNegative: Bool, pointRange: ClosedRange<Int>,
    to text: UnsafeMutablePointer<UInt8>
) -> Int {
    var out = text
    func put(_ byte: UInt8) {
        out.pointee = byte
        out += 1
    }
    if isNegative { put(UInt8(ascii: "-")) }
    let number = ShortestDigits(description)
    guard number.count > 0 else { return (out - text) &+ copy("0.0", to: out) }
    let point = number.pointAfter
    if pointRange.contains(point) {
        if point <= 0 {
            put(UInt8(ascii: "0"))
            put(UInt8(ascii: "."))
            for _ in 0..<(-point) { put(UInt8(ascii: "0")) }
            out += writeDecimal(number.digits, to: out)
        } else if point >= number.count {
            out += writeDecimal(number.digits, to: out)
            for _ in number.count..<point { put(UInt8(ascii: "0")) }
            out += copy(".0", to: out)
        } else {
            out += number.write(splitAfter: point, to: out)
        }
    } else {
        out +=
            number.count == 1
            ? writeDecimal(number.digits, to: out) : number.write(splitAfter: 1, to: out)
        put(UInt8(ascii: "e"))
        put(UInt8(ascii: point > 0 ? "+" : "-"))
        out += writeDecimal(UInt64((point - 1).magnitude), to: out)
    }
    return out - text
}

/// Decimal digits without zeros at either end, and how many of them stand before the point.
private struct ShortestDigits {
    /// At most 17 digits, which 64 bits hold; 0 for zero.
    private(set) var digits: UInt64 = 0
    private(set) var count = 0
    private(set) var pointAfter = 0

    /// Of what Swift says of a finite number, such as "-12.5", "1e-05" or "3.0".
    init(_ description: String) {
        var zerosHeld = 0
        var hasPoint = false
        var exponent: Int?
        var isExponentNegative = false
        for byte in description.utf8 {
            switch byte {
            case UInt8(ascii: "."): hasPoint = true
            case UInt8(ascii: "e"): exponent = 0
            case UInt8(ascii: "-"): isExponentNegative = exponent != nil
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = byte &- UInt8(ascii: "0")
                if let before = exponent {
                    exponent = before &* 10 &+ Int(digit)
                    continue
                }
                if digit == 0 {
                    // It counts when another digit follows.
                    if count > 0 { zerosHeld &+= 1 }
                    if count == 0, hasPoint { pointAfter &-= 1 }
                    if count > 0, !hasPoint { pointAfter &+= 1 }
                    continue
                }
                while zerosHeld > 0 {
                    digits = digits &* 10
                    count &+= 1
                    zerosHeld &-= 1
                }
                digits = digits &* 10 &+ UInt64(digit)
                count &+= 1
                if !hasPoint { pointAfter &+= 1 }
            default: break
            }
        }
        if let exponent { pointAfter &+= isExponentNegative ? -exponent : exponent }
    }

    /// With a point after the first `whole` digits, of which there are more.
    func write(splitAfter whole: Int, to text: UnsafeMutablePointer<UInt8>) -> Int {
        var unit: UInt64 = 1
        for _ in whole..<count { unit = unit &* 10 }
        let before = writeDecimal(digits / unit, to: text)
        text[before] = UInt8(ascii: ".")
        writePadded(digits % unit, count &- whole, to: text + (before &+ 1))
        return count &+ 1
    }
}
