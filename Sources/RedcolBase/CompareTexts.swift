// SPDX-License-Identifier: Apache-2.0
// How texts are compared: byte by byte. Swift compares what a person would read, for which an "é"
// of two characters is one of one; that takes Unicode's tables, which would be a tenth of the
// library. What is compared here are options, ids and codes. The compiler prefers these functions.

import CPlatform

extension String {
    @inline(never)
    public static func == (one: String, other: String) -> Bool {
        one.utf8.elementsEqual(other.utf8)
    }

    public static func != (one: String, other: String) -> Bool { !(one == other) }

    /// For `switch`.
    public static func ~= (pattern: String, text: String) -> Bool { pattern == text }

    public func hasPrefix(_ start: String) -> Bool { utf8.starts(with: start.utf8) }
}

/// Bytes in one piece: `withContiguousStorageIfAvailable` always has them.
public protocol BytesInOnePiece: Sequence<UInt8> {}
extension Array: BytesInOnePiece where Element == UInt8 {}
extension ArraySlice: BytesInOnePiece where Element == UInt8 {}
extension UnsafeBufferPointer: BytesInOnePiece where Element == UInt8 {}
extension Slice: BytesInOnePiece where Base == UnsafeBufferPointer<UInt8> {}
extension UnsafeRawBufferPointer: BytesInOnePiece {}
extension String.UTF8View: BytesInOnePiece {}
extension Substring.UTF8View: BytesInOnePiece {}

/// Swift's own functions would be in the library once for each pair of types.
extension BytesInOnePiece {
    public func elementsEqual(_ text: String.UTF8View) -> Bool {
        compare(self, text) { $0.count == $1.count && begins($0, with: $1) }
    }

    public func starts(with text: String.UTF8View) -> Bool {
        compare(self, text) { begins($0, with: $1) }
    }
}

private typealias Bytes = UnsafeBufferPointer<UInt8>

private func compare(
    _ one: some BytesInOnePiece, _ other: String.UTF8View, _ isRight: (Bytes, Bytes) -> Bool
) -> Bool {
    one.withContiguousStorageIfAvailable { one in
        other.withContiguousStorageIfAvailable { isRight(one, $0) } ?? false
    } ?? false
}

@inline(never)
private func begins(_ bytes: Bytes, with start: Bytes) -> Bool {
    guard let one = bytes.baseAddress, let other = start.baseAddress else { return start.isEmpty }
    return bytes.count >= start.count && memcmp(one, other, start.count) == 0
}

extension String? {
    public static func == (one: String?, other: String) -> Bool {
        if let one { one == other } else { false }
    }
}
