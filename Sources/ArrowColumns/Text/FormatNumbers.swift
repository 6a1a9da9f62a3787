// SPDX-License-Identifier: Apache-2.0
// Numbers as decimal text, written where they are told. Each returns the number of bytes; 24 more
// than the text has must be writable.

import CPlatform
import RedcolBase

/// Exactly `count` digits, with zeros before.
@inline(__always)
public func writePadded(_ value: UInt64, _ count: Int, to text: UnsafeMutablePointer<UInt8>) {
    var rest = value
    var index = count
    while index > 0 {
        index &-= 1
        text[index] = UInt8(truncatingIfNeeded: rest % 10) &+ 0x30
        rest /= 10
    }
}

@inline(__always)
public func writeDecimal(_ value: Int64, to text: UnsafeMutablePointer<UInt8>) -> Int {
    guard value < 0 else { return writeDecimal(UInt64(truncatingIfNeeded: value), to: text) }
    text.pointee = UInt8(ascii: "-")
    return 1 &+ writeDecimal(value.magnitude, to: text + 1)
}

public func writeDecimal(_ value: UInt128, to text: UnsafeMutablePointer<UInt8>) -> Int {
    let large: UInt128 = 10_000_000_000_000_000_000
    if value < large { return writeDecimal(UInt64(truncatingIfNeeded: value), to: text) }
    let count = writeDecimal(value / large, to: text)
    writePadded(UInt64(truncatingIfNeeded: value % large), 19, to: text + count)
    return count &+ 19
}

public func writeDecimal(_ value: Int128, to text: UnsafeMutablePointer<UInt8>) -> Int {
    guard value < 0 else { return writeDecimal(value.magnitude, to: text) }
    text.pointee = UInt8(ascii: "-")
    return 1 &+ writeDecimal(value.magnitude, to: text + 1)
}

/// A decimal of `scale` digits (0 to 38) after the point: all of them are written.
public func writeScaled(_ value: Int128, scale: Int, to text: UnsafeMutablePointer<UInt8>) -> Int {
    guard scale > 0 else { return writeDecimal(value, to: text) }
    var at = 0
    if value < 0 {
        text.pointee = UInt8(ascii: "-")
        at = 1
    }
    let digits = text + at
    var count = writeDecimal(value.magnitude, to: digits)
    if count <= scale {
        // "5" of scale 2 becomes "005".
        let zeros = scale &+ 1 &- count
        memmove(digits + zeros, digits, count)
        memset(digits, 0x30, zeros)
        count = scale &+ 1
    }
    let whole = count &- scale
    memmove(digits + (whole &+ 1), digits + whole, scale)
    digits[whole] = UInt8(ascii: ".")
    return at &+ count &+ 1
}

/// A half precision float's bits as a float, which holds every one of them.
public func halfFloat(_ bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 0x1F)
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
        let magnitude = Float(fraction) / 16_777_216  // 2 to the power of 24
        return sign == 0 ? magnitude : -magnitude
    case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}
