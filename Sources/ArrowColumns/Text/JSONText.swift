// SPDX-License-Identifier: Apache-2.0
// One JSON text, token by token. Everything is checked, whether it is wanted or not.
// https://www.rfc-editor.org/rfc/rfc8259

import CPlatform

/// A place in a JSON text, which must be UTF-8; a copy of it looks ahead.
struct JSONText {
    /// The characters of a string, between its quotes.
    struct Characters {
        var start: UnsafePointer<UInt8>
        var count: Int
        var hasEscapes: Bool
    }

    struct Number {
        var start: UnsafePointer<UInt8>
        var count: Int
        /// It has neither a point nor an exponent.
        var isInteger: Bool
    }

    /// How deep values may be nested that nobody wants.
    static let depthMax = 1_024

    private(set) var at: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>

    init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        at = bytes
        end = bytes + count
    }

    /// The next byte that is not white space; 0 at the end.
    @inline(__always)
    mutating func peek() -> UInt8 {
        while at < end {
            let byte = at.pointee
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            at += 1
        }
        return 0
    }

    /// Whether nothing is left but white space.
    mutating func isAtEnd() -> Bool {
        _ = peek()
        return at == end
    }

    /// Takes this byte if it comes next.
    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte, at < end else { return false }
        at += 1
        return true
    }

    /// Takes `null`, `true` or `false`.
    mutating func takeWord(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard end - at >= count, memcmp(at, word.utf8Start, count) == 0 else { return false }
        at += count
        return true
    }

    /// Takes a string, whose opening quote comes next; nil if it is malformed.
    @inline(__always)
    mutating func takeString() -> Characters? {
        at += 1
        let start = at
        var hasEscapes = false
        while at < end {
            let byte = at.pointee
            if byte == UInt8(ascii: "\"") {
                at += 1
                return Characters(
                    start: start, count: at - start - 1, hasEscapes: hasEscapes)
            }
            if byte < 0x20 { return nil }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                guard skipEscape() else { return nil }
            } else {
                at += 1
            }
        }
        return nil
    }

    /// Skips a backslash and what belongs to it. A half of a surrogate pair is not a character.
    private mutating func skipEscape() -> Bool {
        guard end - at >= 2 else { return false }
        switch at[1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
            return true
        case UInt8(ascii: "u"):
            guard end - at >= 6, let unit = hexValue(at + 2) else { return false }
            at += 6
            if unit & 0xF800 != 0xD800 { return true }
            guard unit < 0xDC00, end - at >= 6, at[0] == UInt8(ascii: "\\"),
                at[1] == UInt8(ascii: "u"), let low = hexValue(at + 2), low & 0xFC00 == 0xDC00
            else { return false }
            at += 6
            return true
        default: return false
        }
    }

    /// Takes a number, whose first byte comes next; nil if it is malformed.
    @inline(__always)
    mutating func takeNumber() -> Number? {
        let start = at
        if at < end, at.pointee == UInt8(ascii: "-") { at += 1 }
        guard at < end, let first = digitValue(at.pointee) else { return nil }
        at += 1
        if first != 0 { _ = takeDigits() }
        var isInteger = true
        if at < end, at.pointee == UInt8(ascii: ".") {
            at += 1
            isInteger = false
            guard takeDigits() else { return nil }
        }
        if at < end, at.pointee | 0x20 == UInt8(ascii: "e") {
            at += 1
            isInteger = false
            if at < end, at.pointee == UInt8(ascii: "+") || at.pointee == UInt8(ascii: "-") {
                at += 1
            }
            guard takeDigits() else { return nil }
        }
        return Number(start: start, count: at - start, isInteger: isInteger)
    }

    @inline(__always)
    private mutating func takeDigits() -> Bool {
        let start = at
        while at < end, digitValue(at.pointee) != nil { at += 1 }
        return at > start
    }

    /// Skips a value without recursion; false if it is malformed or nested too deep.
    mutating func skipValue() -> Bool {
        var isObject = BitStack()
        while true {
            switch peek() {
            case UInt8(ascii: "{"):
                at += 1
                if take(UInt8(ascii: "}")) { break }
                guard isObject.push(true), skipKey() else { return false }
                continue
            case UInt8(ascii: "["):
                at += 1
                if take(UInt8(ascii: "]")) { break }
                guard isObject.push(false) else { return false }
                continue
            case UInt8(ascii: "\""): guard takeString() != nil else { return false }
            case UInt8(ascii: "n"): guard takeWord("null") else { return false }
            case UInt8(ascii: "t"): guard takeWord("true") else { return false }
            case UInt8(ascii: "f"): guard takeWord("false") else { return false }
            default: guard takeNumber() != nil else { return false }
            }
            // A value has ended, and with it perhaps those that it is in.
            while let inObject = isObject.top {
                if take(UInt8(ascii: ",")) {
                    if inObject, !skipKey() { return false }
                    break
                }
                guard take(inObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return false }
                isObject.pop()
            }
            if isObject.top == nil { return true }
        }
    }

    /// Skips a key and its colon.
    private mutating func skipKey() -> Bool {
        guard peek() == UInt8(ascii: "\""), takeString() != nil else { return false }
        return take(UInt8(ascii: ":"))
    }
}

/// The brackets that are open, a bit each.
private struct BitStack {
    private var words = InlineArray<16, UInt64>(repeating: 0)
    private var count = 0

    mutating func push(_ bit: Bool) -> Bool {
        guard count < JSONText.depthMax else { return false }
        let mask: UInt64 = 1 &<< UInt64(truncatingIfNeeded: count & 63)
        if bit { words[count &>> 6] |= mask } else { words[count &>> 6] &= ~mask }
        count &+= 1
        return true
    }

    mutating func pop() { count &-= 1 }

    var top: Bool? {
        guard count > 0 else { return nil }
        let last = count &- 1
        return words[last &>> 6] &>> UInt64(truncatingIfNeeded: last & 63) & 1 == 1
    }
}

/// Writes the characters of a checked string without its escapes, and says how many bytes they are:
/// never more than the string has.
func unescape(_ string: JSONText.Characters, to target: UnsafeMutablePointer<UInt8>) -> Int {
    var at = string.start
    let end = at + string.count
    var out = target
    while at < end {
        let byte = at.pointee
        guard byte == UInt8(ascii: "\\") else {
            out.pointee = byte
            out += 1
            at += 1
            continue
        }
        if at[1] != UInt8(ascii: "u") {
            out.pointee = escapedByte(at[1])
            out += 1
            at += 2
            continue
        }
        var character = hexValue(at + 2) ?? 0
        at += 6
        if character & 0xFC00 == 0xD800 {
            let low = hexValue(at + 2) ?? 0
            character = 0x10000 &+ (character & 0x3FF) &<< 10 &+ low & 0x3FF
            at += 6
        }
        writeUTF8(character, to: &out)
    }
    return out - target
}

private func escapedByte(_ letter: UInt8) -> UInt8 {
    switch letter {
    case UInt8(ascii: "b"): return 0x08
    case UInt8(ascii: "f"): return 0x0C
    case UInt8(ascii: "n"): return 0x0A
    case UInt8(ascii: "r"): return 0x0D
    case UInt8(ascii: "t"): return 0x09
    default: return letter
    }
}

private func writeUTF8(_ character: UInt32, to out: inout UnsafeMutablePointer<UInt8>) {
    func write(_ byte: UInt32) {
        out.pointee = UInt8(truncatingIfNeeded: byte)
        out += 1
    }
    if character < 0x80 { return write(character) }
    if character < 0x800 {
        write(0xC0 | character &>> 6)
    } else {
        if character < 0x10000 {
            write(0xE0 | character &>> 12)
        } else {
            write(0xF0 | character &>> 18)
            write(0x80 | character &>> 12 & 0x3F)
        }
        write(0x80 | character &>> 6 & 0x3F)
    }
    write(0x80 | character & 0x3F)
}

/// The value of four hexadecimal digits.
private func hexValue(_ text: UnsafePointer<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    for index in 0..<4 {
        let byte = text[index]
        let letter = byte | 0x20
        if let digit = digitValue(byte) {
            value = value &<< 4 | UInt32(digit)
        } else if letter >= UInt8(ascii: "a"), letter <= UInt8(ascii: "f") {
            value = value &<< 4 | UInt32(letter &- UInt8(ascii: "a") &+ 10)
        } else {
            return nil
        }
    }
    return value
}
