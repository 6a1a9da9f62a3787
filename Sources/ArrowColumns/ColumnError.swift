// SPDX-License-Identifier: Apache-2.0
// Why a column cannot be made, and how names and formats from outside are shown in such a message.

import RedcolBase

/// A schema that cannot be read, or memory that was not given.
public struct ColumnError: Error, Sendable {
    public enum Cause: Sendable { case schema, memory }

    public let cause: Cause
    public let message: String

    public init(cause: Cause, message: String) {
        self.cause = cause
        self.message = message
    }

    static var noMemory: ColumnError {
        ColumnError(cause: .memory, message: "no memory for a schema")
    }

    static func schema(_ message: String) -> ColumnError {
        ColumnError(cause: .schema, message: message)
    }
}

/// Bytes from outside as text for a message: what is not printable as \xNN, cut at 80 bytes.
func escaped(_ bytes: [UInt8]) -> String {
    let limit = 80
    var end = bytes.count
    if end > limit {
        end = limit
        // A character is not cut in two.
        while end > limit - 3, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    }
    let isText = bytes.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return true }
        return isValidUTF8(base, end)
    }
    let digits: StaticString = "0123456789ABCDEF"
    var shown: [UInt8] = []
    shown.reserveCapacity(end + 8)
    for index in 0..<end {
        let byte = bytes[index]
        if byte >= 0x20, byte != 0x7F, byte < 0x80 || isText {
            shown.append(byte)
        } else {
            shown.append(UInt8(ascii: "\\"))
            shown.append(UInt8(ascii: "x"))
            shown.append(digits.utf8Start[Int(byte >> 4)])
            shown.append(digits.utf8Start[Int(byte & 15)])
        }
    }
    let text = String(decoding: shown, as: UTF8.self)
    return end < bytes.count ? text + "…" : text
}
