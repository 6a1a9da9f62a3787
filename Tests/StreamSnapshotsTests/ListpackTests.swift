// SPDX-License-Identifier: Apache-2.0
// Listpacks and nodes: every way in which an element is written, and what is refused.

import RedcolBase
import TestSupport
import Testing

@testable import StreamSnapshots

private let integers: [Int64] =
    [0, 1, 127, 128, -1, 4095, 4096, -4096, -4097, 32_767, 32_768, -32_768, -32_769]
    + [8_388_607, 8_388_608, -8_388_608, -8_388_609, 2_147_483_647, 2_147_483_648]
    + [-2_147_483_648, -2_147_483_649, .max, .min]

/// The elements of a listpack; nil if it is damaged.
private func walk(_ bytes: [UInt8]) -> [[UInt8]]? {
    withPadding(bytes) { bytes in
        guard var pack = Listpack(bytes) else { return nil }
        var found: [[UInt8]] = []
        while !pack.isAtEnd {
            guard pack.next() else { return nil }
            found.append(
                pack.text.map { Array(UnsafeBufferPointer(start: $0, count: pack.count)) }
                    ?? utf8("\(pack.integer)"))
        }
        return found
    }
}

@Suite struct ListpackTests {
    @Test(arguments: integers) func integersOfEachWidth(_ value: Int64) {
        let pack = listpack([.integer(value), .text(utf8("x"))])
        #expect(walk(pack) == [utf8("\(value)"), utf8("x")])
    }

    @Test(arguments: [0, 1, 62, 63, 64, 65, 124, 125, 126, 4095, 4096, 16_377, 16_378, 70_000])
    func textsOfEachLength(_ length: Int) {
        let text = [UInt8](repeating: 0xFF, count: length)
        #expect(walk(listpack([.text(text), .integer(5)])) == [text, utf8("5")])
    }

    @Test func nothingIsNone() {
        #expect(walk(listpack([])) == [])
        #expect(walk([]) == nil)
    }

    @Test func eachPrefixIsRefused() {
        let whole = listpack(integers.map { .integer($0) } + [.text(utf8("some text"))])
        for count in 0..<whole.count { #expect(walk(Array(whole[..<count])) == nil) }
        // The same with a size that is right: the elements must still end where it ends.
        for count in 7..<whole.count {
            let cut = littleEndian(UInt64(count), 4) + whole[4..<(count - 1)] + [0xFF]
            if let found = walk(cut) { #expect(found.count < integers.count + 1) }
        }
    }

    @Test(
        arguments: [
            // Longer than what is left, an unknown mark, a size from the end that is another one.
            [0xBF, 1], [0xEF, 0xFF, 1], [0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 1], [0xF4, 0, 0, 9],
            [0xF5, 1], [0xFE, 1], [0xFF, 1], [5, 2], [0x81, 0x61, 1], [0xC0, 0x80, 3], [5],
            [0xF0, 0, 0, 0, 0, 0x85],
        ] as [[UInt8]])
    func damagedElements(_ bytes: [UInt8]) {
        let pack = littleEndian(UInt64(bytes.count + 7), 4) + [0, 0] + bytes + [0xFF]
        #expect(walk(pack) == nil)
    }

    @Test func flippedBytesDoNotTrap() {
        let whole = listpack(integers.map { .integer($0) } + [.text(utf8("some text"))])
        for place in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[place] ^= 1 << bit
                // Two bytes count the elements, for a server that looks for one of them.
                if (4..<6).contains(place) {
                    #expect(walk(damaged) == walk(whole))
                } else {
                    #expect(walk(damaged) != walk(whole))
                }
            }
        }
    }
}

private let master = EntryID(1000, 5)
private let head: [Element] = [
    .integer(3), .integer(1), .integer(2), .text(utf8("a")), .integer(7), .integer(0),
]
/// With the node's fields, deleted, with others, and with the node's fields again.
private let body: [Element] = [
    .integer(2), .integer(0), .integer(0), .integer(12), .text(utf8("x")), .integer(5),
    .integer(3), .integer(1), .integer(-5), .integer(13), .text(utf8("y")), .integer(5),
    .integer(0), .integer(300), .integer(-5), .integer(1), .integer(8), .text(utf8("z")),
    .integer(6),
    .integer(2), .integer(70_000), .integer(1), .text(utf8("12")), .text([]), .integer(5),
]

@Suite struct StoredNodeTests {
    @Test func entriesOfANode() throws {
        let pack = listpack(head + body)
        let found = try #require(withPadding(pack) { entries(master, $0) })
        #expect(found.map(\.id) == [EntryID(1000, 5), EntryID(1300, 0), EntryID(71_000, 6)])
        let names = [[utf8("a"), utf8("7")], [utf8("8")], [utf8("a"), utf8("7")]]
        #expect(found.map(\.names) == names)
        let values = [[utf8("12"), utf8("x")], [utf8("z")], [utf8("12"), []]]
        #expect(found.map(\.values) == values)
    }

    @Test func idsCountFromTheNodesOwn() throws {
        let node = listpack([
            .integer(1), .integer(0), .integer(0), .integer(0),
            .integer(2), .integer(.min), .integer(-1), .integer(3),
        ])
        let found = try #require(withPadding(node) { entries(EntryID(1 << 63, 0), $0) })
        #expect(found.map(\.id) == [EntryID(0, .max)])
    }

    @Test func elementsThatAreMissing() {
        for count in 0..<(head + body).count {
            let node = listpack(Array((head + body)[..<count]))
            #expect(withPadding(node) { entries(master, $0) == nil }, "\(count) elements")
        }
    }

    @Test(
        arguments: [
            // More or fewer entries than there are, and counts that no node has room for.
            (0, 2), (0, 4), (1, 0), (1, 2), (0, -1), (1, -1), (2, -1), (0, .max), (1, .max),
            (2, .max),
            (2, .min), (5, 1), (6, 4), (6, -1), (11, 4), (21, 2),
        ] as [(Int, Int64)])
    func wrongNumbers(_ place: Int, _ value: Int64) {
        var elements = head + body
        elements[place] = .integer(value)
        #expect(withPadding(listpack(elements)) { entries(master, $0) == nil })
    }

    @Test func theNumberOfElements() {
        var node = listpack(head + body)
        for wrong in [24, 26, 0] {
            node[4] = UInt8(wrong)
            #expect(withPadding(node) { entries(master, $0) == nil }, "\(wrong)")
        }
        // More than can be written there.
        node.replaceSubrange(4..<6, with: [0xFF, 0xFF])
        #expect(withPadding(node) { entries(master, $0) }?.count == 3)
    }

    @Test(arguments: [0, 1, 2, 5, 6, 7, 8, 11]) func numbersThatAreTexts(_ place: Int) {
        var elements = head + body
        elements[place] = .text(utf8("2"))
        #expect(withPadding(listpack(elements)) { entries(master, $0) == nil })
    }

    @Test func textsOfIntegersKeepTheirPlaces() {
        var texts = IntegerTexts()
        defer { texts.free() }
        let hasRoom = texts.begin(3)
        #expect(hasRoom)
        let (first, firstCount) = texts.write(.min)
        let (second, secondCount) = texts.write(EntryID(.max, .max))
        #expect(Array(UnsafeBufferPointer(start: first, count: firstCount)) == utf8("\(Int64.min)"))
        let id = "18446744073709551615-18446744073709551615"
        #expect(Array(UnsafeBufferPointer(start: second, count: secondCount)) == utf8(id))
    }
}
