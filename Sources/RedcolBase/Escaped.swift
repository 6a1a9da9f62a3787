// SPDX-License-Identifier: Apache-2.0
// Bytes from outside as text: for people, who must be able to print it, and as names of columns.

/// What stays as it is when bytes become text. Everything else becomes \xNN.
public enum Legible: Sendable {
    /// Printable ASCII; a backslash is doubled. For values and answers of a server: each byte of
    /// them can be seen, whatever alphabet it could be taken for.
    case ascii
    /// UTF-8, except for characters that control a terminal or reorder text; a backslash is
    /// doubled. For names that somebody chose: of streams, fields, columns, groups and options.
    case names
    /// UTF-8 without NUL. For the names of columns themselves, which are data.
    case columnNames
}

/// `bytes` as text that is safe to print. What goes past `limit` bytes becomes an ellipsis; no
/// character is cut in two.
@inline(never)
public func escaped(
    _ bytes: [UInt8], limit: Int = 80, keeping legible: Legible = .names
) -> String {
    bytes.withUnsafeBufferPointer { escaped($0, limit: limit, keeping: legible) }
}

/// See `escaped(_:limit:keeping:)` for an array.
@inline(never)
public func escaped(
    _ bytes: UnsafeBufferPointer<UInt8>, limit: Int = 80, keeping legible: Legible = .names
) -> String {
    var text: [UInt8] = []
    let isCut = append(bytes, to: &text, limit: limit, keeping: legible)
    let shown = String(decoding: text, as: UTF8.self)
    return isCut ? shown + "…" : shown
}

/// The name of a column for a field or a stream of this name: Arrow wants UTF-8 without NUL.
public func columnName(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    if bytes.allSatisfy({ $0 > 0 && $0 < 0x80 }) { return Array(bytes) }
    if !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil { return Array(bytes) }
    var name: [UInt8] = []
    _ = append(bytes, to: &name, limit: .max, keeping: .columnNames)
    return name
}

/// What `columnName` has made this of, if it has escaped something; else nil.
public func fieldOfColumn(_ name: [UInt8]) -> [UInt8]? {
    guard name.contains(UInt8(ascii: "\\")) else { return nil }
    var field: [UInt8] = []
    var index = 0
    while index < name.count {
        if let byte = escapedByte(name[index...]) {
            field.append(byte)
            index += 4
        } else {
            field.append(name[index])
            index += 1
        }
    }
    let isNamedSo = field.withUnsafeBufferPointer { columnName($0) == name }
    return isNamedSo && field != name ? field : nil
}

/// The byte that `text` begins with as \xNN, if columns' names have it so: NUL, or not of ASCII.
private func escapedByte(_ text: ArraySlice<UInt8>) -> UInt8? {
    guard text.count >= 4, text.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]) else {
        return nil
    }
    var value: UInt8 = 0
    for digit in text[(text.startIndex + 2)..<(text.startIndex + 4)] {
        let number: UInt8
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): number = digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): number = digit - UInt8(ascii: "a") + 10
        default: return nil
        }
        value = value << 4 | number
    }
    return value == 0 || value >= 0x80 ? value : nil
}

/// A column's name as the detail of an error: as a caller finds the column by, except for a name of
/// absurd length.
public func columnDetail(_ name: [UInt8]) -> String {
    escaped(name, limit: 65_536, keeping: .columnNames)
}

/// Appends `bytes` with what is not legible escaped; true if they were cut at `limit`.
private func append(
    _ bytes: UnsafeBufferPointer<UInt8>, to text: inout [UInt8], limit: Int,
    keeping legible: Legible
) -> Bool {
    let digits: StaticString = "0123456789abcdef"
    let backslash = UInt8(ascii: "\\")
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        let character = legible == .ascii || byte < 0x80 ? 1 : lengthOfCharacter(bytes[index...])
        guard character <= limit - index else { return true }
        if character > 1 {
            let part = bytes[index..<(index + character)]
            if legible == .columnNames || !isHarmful(part) {
                text.append(contentsOf: part)
                index += character
                continue
            }
        }
        let isPrintable = byte >= 0x20 && byte < 0x7F
        if isPrintable || legible == .columnNames && byte > 0 && byte < 0x80 {
            if byte == backslash, legible != .columnNames { text.append(backslash) }
            text.append(byte)
        } else {
            text.append(backslash)
            text.append(UInt8(ascii: "x"))
            text.append(digits.utf8Start[Int(byte >> 4)])
            text.append(digits.utf8Start[Int(byte & 15)])
        }
        index += 1
    }
    return false
}

/// How many bytes the character has with which `bytes` begin, if it is valid UTF-8; else 1.
private func lengthOfCharacter(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
    guard let first = bytes.first, first >= 0xC2 else { return 1 }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    let part = bytes.prefix(length)
    return part.count == length && String(validating: part, as: UTF8.self) != nil ? length : 1
}

/// Whether a character of several bytes controls a terminal (U+0080 to U+009F), ends a line or
/// reorders what stands beside it (U+2028 to U+202E, U+2066 to U+2069).
private func isHarmful(_ character: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    var value = UInt32(0)
    for byte in character { value = value << 8 | UInt32(byte) }
    switch value {
    case 0xC280...0xC29F, 0xE280A8...0xE280AE, 0xE281A6...0xE281A9: return true
    default: return false
    }
}
