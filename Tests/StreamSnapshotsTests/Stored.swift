// SPDX-License-Identifier: Apache-2.0
// What servers store, written by hand: listpacks, nodes and payloads of DUMP.

import RedcolBase
import TestSupport

@testable import StreamSnapshots

/// An element of a listpack: as it is written, without its size that is read from the end.
enum Element {
    /// In the shortest way, as servers write it.
    case integer(Int64)
    case text([UInt8])
    case raw([UInt8])

    var bytes: [UInt8] {
        switch self {
        case .integer(let value): Element.written(value)
        case .text(let text) where text.count < 64: [0x80 | UInt8(text.count)] + text
        case .text(let text) where text.count < 4096:
            [0xE0 | UInt8(text.count >> 8), UInt8(text.count & 0xFF)] + text
        case .text(let text): [0xF0] + littleEndian(UInt64(text.count), 4) + text
        case .raw(let bytes): bytes
        }
    }

    private static func written(_ value: Int64) -> [UInt8] {
        if (0..<128).contains(value) { return [UInt8(value)] }
        let raw = UInt64(bitPattern: value)
        if (-4096..<4096).contains(value) {
            return [0xC0 | UInt8(raw >> 8 & 0x1F), UInt8(raw & 0xFF)]
        }
        for (mark, bytes) in zip([0xF1, 0xF2, 0xF3] as [UInt8], [2, 3, 4]) {
            let most = Int64(1) << (8 * bytes - 1)
            if (-most..<most).contains(value) { return [mark] + littleEndian(raw, bytes) }
        }
        return [0xF4] + littleEndian(raw, 8)
    }
}

func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
}

/// An element's size, seven bits a byte, to be read from the end.
private func back(_ size: Int) -> [UInt8] {
    let count = [127, 16_382, 2_097_150].firstIndex { size <= $0 } ?? 3
    return (0...count).reversed().map { place in
        UInt8(size >> (7 * place) & 127) | (place == count ? 0 : 128)
    }
}

func listpack(_ elements: [Element]) -> [UInt8] {
    let body = elements.flatMap { $0.bytes + back($0.bytes.count) }
    return littleEndian(UInt64(body.count + 7), 4) + littleEndian(UInt64(elements.count), 2) + body
        + [0xFF]
}

/// The answer to DUMP with this value, its checksum right.
func payload(_ value: [UInt8]) -> [UInt8] {
    var checksum = Checksum()
    let counted = value + [11, 0]
    counted.withUnsafeBufferPointer { checksum.add($0) }
    return counted + littleEndian(checksum.value, 8)
}

/// Calls with a copy that has 16 bytes after its end, as far as may be read.
func withPadding<Result>(
    _ bytes: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
) rethrows -> Result {
    try (bytes + [UInt8](repeating: UInt8(ascii: "9"), count: 16)).withUnsafeBufferPointer {
        try body(UnsafeBufferPointer(rebasing: $0[..<bytes.count]))
    }
}

/// An entry of a node: its id, its names and its values.
typealias Entry = (id: EntryID, names: [[UInt8]], values: [[UInt8]])

/// The entries of a node; nil where it makes no sense.
func entries(_ master: EntryID, _ bytes: UnsafeBufferPointer<UInt8>) -> [Entry]? {
    var (fields, names) = ([StoredNode.Field](), IntegerTexts())
    defer { names.free() }
    guard var node = StoredNode(master, bytes, fields: &fields, names: &names) else { return nil }
    let known = fields.map { Array(UnsafeBufferPointer(start: $0.name, count: $0.count)) }
    var found: [Entry] = []
    while true {
        switch node.next() {
        case .end: return found
        case .malformed: return nil
        case .deleted: continue
        case .entry(let entry):
            func element() -> [UInt8]? {
                guard node.pack.next() else { return nil }
                return node.pack.text.map {
                    Array(UnsafeBufferPointer(start: $0, count: node.pack.count))
                } ?? utf8("\(node.pack.integer)")
            }
            var one: Entry = (entry.id, entry.hasSameFields ? known : [], [])
            for _ in 0..<entry.fieldCount {
                if !entry.hasSameFields {
                    guard let name = element() else { return nil }
                    one.names.append(name)
                }
                guard let value = element() else { return nil }
                one.values.append(value)
            }
            guard node.end(entry) else { return nil }
            found.append(one)
        }
    }
}
