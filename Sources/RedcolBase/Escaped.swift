// SPDX-License-Identifier: Apache-2.0
// Bytes from outside as text that is safe to print.

/// `bytes` as text that is safe to print: everything but printable ASCII becomes \xNN, a backslash
/// is doubled, and what goes past `limit` bytes becomes an ellipsis.
public func escaped(_ bytes: [UInt8], limit: Int) -> String {
    bytes.withUnsafeBufferPointer { escaped($0, limit: limit) }
}

/// See `escaped(_:limit:)` for an array.
public func escaped(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int) -> String {
    var text: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
        if index == limit {
            text.append(contentsOf: [0xE2, 0x80, 0xA6])  // …
            break
        }
        if byte == 0x5C {
            text.append(contentsOf: [0x5C, 0x5C])
        } else if byte >= 0x20, byte < 0x7F {
            text.append(byte)
        } else {
            let digits: [UInt8] = Array("0123456789abcdef".utf8)
            text.append(contentsOf: [0x5C, 0x78, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }
    return String(decoding: text, as: UTF8.self)
}
