// SPDX-License-Identifier: Apache-2.0
// Arrow's 16-byte string views: up to 12 bytes stand in the view itself, longer text in a data
// buffer.
// https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout

import CPlatform

/// A 64-bit mask of the first `count` bytes, 0 to 8.
@inline(__always)
private func byteMask(_ count: Int) -> UInt64 {
    count >= 8 ? ~0 : (1 &<< UInt64(truncatingIfNeeded: count &* 8)) &- 1
}

private let highBits: UInt64 = 0x8080_8080_8080_8080

enum StringView {
    static let inlineLimit = 12

    enum Outcome { case stored, notUTF8, noMemory }

    /// Writes the view of `text` to `view`, and what does not fit into it to `store`.
    /// `text` must have 16 readable bytes after its end.
    @inline(__always)
    static func write(
        _ text: UnsafePointer<UInt8>, _ count: Int, to view: UnsafeMutableRawPointer,
        store: inout TextStore, validated: Bool
    ) -> Outcome {
        let raw = UnsafeRawPointer(text)
        if count <= inlineLimit {
            var low = raw.loadUnaligned(as: UInt64.self)
            var high = UInt64(raw.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
            low &= byteMask(count)
            high &= count > 8 ? byteMask(count &- 8) : 0
            if validated, (low | high) & highBits != 0, !isValidUTF8(text, count) {
                return .notUTF8
            }
            view.storeBytes(of: UInt64(truncatingIfNeeded: count) | low &<< 32, as: UInt64.self)
            view.storeBytes(of: low &>> 32 | high &<< 32, toByteOffset: 8, as: UInt64.self)
            return .stored
        }
        guard store.reserve(count), let end = store.end else { return .noMemory }
        let target = UnsafeMutableRawPointer(end)
        var seen: UInt64 = 0
        var offset = 0
        while offset &+ 16 <= count {
            let first = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let second = raw.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
            seen |= first | second
            target.storeBytes(of: first, toByteOffset: offset, as: UInt64.self)
            target.storeBytes(of: second, toByteOffset: offset &+ 8, as: UInt64.self)
            offset &+= 16
        }
        if offset < count {
            let rest = count &- offset
            let first = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let second = raw.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)
            seen |= first & byteMask(rest) | (rest > 8 ? second & byteMask(rest &- 8) : 0)
            target.storeBytes(of: first, toByteOffset: offset, as: UInt64.self)
            target.storeBytes(of: second, toByteOffset: offset &+ 8, as: UInt64.self)
        }
        if validated, seen & highBits != 0, !isValidUTF8(text, count) { return .notUTF8 }
        let prefix = UInt64(raw.loadUnaligned(as: UInt32.self))
        let place =
            UInt64(truncatingIfNeeded: store.closedCount)
            | UInt64(truncatingIfNeeded: store.length) &<< 32
        view.storeBytes(of: UInt64(truncatingIfNeeded: count) | prefix &<< 32, as: UInt64.self)
        view.storeBytes(of: place, toByteOffset: 8, as: UInt64.self)
        store.advance(count)
        return .stored
    }
}
