// SPDX-License-Identifier: Apache-2.0
// Lengths, strings, checksums and the values of streams as servers store them.

import RedcolBase
import TestSupport
import Testing

@testable import StreamSnapshots

private func expand(_ packed: [UInt8], _ size: Int) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: size + 1)
    let isRight = packed.withUnsafeBufferPointer { packed in
        out.withUnsafeMutableBufferPointer { out in
            guard let from = packed.baseAddress, let to = out.baseAddress else { return false }
            return expandLZF(from, packed.count, into: to, size)
        }
    }
    #expect(out[size] == 0, "it writes beyond its end")
    return isRight ? Array(out[..<size]) : nil
}

@Suite struct ExpandTests {
    @Test func runsAndReferences() {
        #expect(expand([2, 97, 98, 99], 3) == utf8("abc"))
        #expect(expand([2, 97, 98, 99, 0x20, 2], 6) == utf8("abcabc"))
        // It repeats what it writes: three bytes, 2 + 7 + 3, and 2 + 7 + 255.
        #expect(expand([0, 97, 0x20, 0], 4) == utf8("aaaa"))
        #expect(expand([0, 97, 0xE0, 3, 0], 13) == [UInt8](repeating: 97, count: 13))
        #expect(expand([0, 97, 0xE0, 255, 0], 265) == [UInt8](repeating: 97, count: 265))
    }

    @Test func farReferences() {
        let run = (0..<8192).map { UInt8(truncatingIfNeeded: $0 / 32) }
        let packed = stride(from: 0, to: 8192, by: 32).flatMap { [31] + run[$0..<($0 + 32)] }
        #expect(expand(packed + [0x3F, 0xFF], 8195) == run + run[..<3])
        #expect(expand(Array(packed.dropFirst(33)) + [0x3F, 0xFF], 8163) == nil)
    }

    @Test(
        arguments: [
            ([2, 97, 98], 3), ([0x20], 3), ([0, 97, 0xE0, 1], 11), ([0x20, 0], 3),
            ([0, 97, 0x20, 1], 4),
            ([2, 97, 98, 99], 2), ([2, 97, 98, 99], 4), ([0, 97, 0x20, 0], 3),
            ([0, 97, 0x20, 0], 5),
        ] as [([UInt8], Int)])
    func whatMakesNoSense(_ packed: [UInt8], _ size: Int) {
        #expect(expand(packed, size) == nil)
    }
}

@Suite struct ChecksumTests {
    @Test func theKnownOne() {
        var checksum = Checksum()
        utf8("123456789").withUnsafeBufferPointer { checksum.add($0) }
        #expect(checksum.value == 0xE9C6_D914_C4B8_D9CA)
    }

    @Test func piecesMakeTheSame() {
        let bytes = (0..<100).map { UInt8($0 * 37 & 0xFF) }
        var whole = Checksum()
        bytes.withUnsafeBufferPointer { whole.add($0) }
        for cut in 0...100 {
            var pieces = Checksum()
            Array(bytes[..<cut]).withUnsafeBufferPointer { pieces.add($0) }
            Array(bytes[cut...]).withUnsafeBufferPointer { pieces.add($0) }
            #expect(pieces.value == whole.value)
        }
    }
}

@Suite struct StoredBytesTests {
    private func number(_ bytes: [UInt8]) throws -> UInt64 {
        try withPadding(bytes) { bytes in
            var stored = StoredBytes(bytes)
            let number = try stored.number()
            #expect(stored.left == 0)
            return number
        }
    }

    private func string(_ bytes: [UInt8]) throws -> [UInt8] {
        try withPadding(bytes) { bytes in
            var (stored, passing) = (StoredBytes(bytes), StoredBytes(bytes))
            var scratch = ScratchBytes()
            defer { scratch.free() }
            let text = Array(try stored.string(&scratch))
            try passing.passOverString()
            #expect(stored.left == 0 && passing.left == 0)
            return text
        }
    }

    @Test func numbersOfEachLength() throws {
        #expect(try number([0]) == 0)
        #expect(try number([0x3F]) == 63)
        #expect(try number([0x7F, 0xFE]) == 16_382)
        #expect(try number([0x80, 1, 2, 3, 4]) == 0x0102_0304)
        #expect(try number([0x81] + [UInt8](repeating: 0xFF, count: 8)) == .max)
    }

    @Test(
        arguments: [
            [], [0x40], [0x80, 0, 0, 0], [0x81, 0, 0, 0, 0, 0, 0, 0], [0x82, 0], [0xC0, 0],
            [0xC4, 0],
        ] as [[UInt8]])
    func whatIsNoNumber(_ bytes: [UInt8]) {
        #expect(throws: RedcolError.self) { try number(bytes) }
    }

    @Test func stringsOfEachKind() throws {
        #expect(try string([3, 97, 98, 99]) == utf8("abc"))
        #expect(try string([0]) == [])
        #expect(try string([0xC0, 0x80]) == utf8("-128"))
        #expect(try string([0xC1, 0xFF, 0x7F]) == utf8("32767"))
        #expect(try string([0xC2, 0, 0, 0, 0x80]) == utf8("-2147483648"))
        #expect(try string([0xC3, 4, 5, 0, 97, 0x40, 0]) == utf8("aaaaa"))
    }

    @Test(
        arguments: [
            [1], [0xC0], [0xC1, 0], [0xC2, 0, 0, 0], [0xC3, 4, 5, 0, 97, 0x40],
            [0xC3, 4, 6, 0, 97, 0x40, 0],
            // What so few bytes cannot become, and a length that only claims.
            [0xC3, 1, 0x80, 0x7F, 0, 0, 0, 0], [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0],
            [0xC3, 4, 0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 97, 0x40, 0],
        ] as [[UInt8]])
    func whatIsNoString(_ bytes: [UInt8]) {
        #expect(throws: RedcolError.self) { try string(bytes) }
    }

    @Test func theErrorSaysWhere() {
        let error = #expect(throws: RedcolError.self) { try string([0xC3, 1]) }
        #expect(error?.message.contains("at byte 2") == true, "\(error?.message ?? "")")
    }
}

/// A node of one entry: "v" is `value`.
private func node(_ value: Int64) -> [UInt8] {
    let pack = listpack([
        .integer(1), .integer(0), .integer(1), .text(utf8("v")), .integer(0),
        .integer(2), .integer(0), .integer(0), .integer(value), .integer(4),
    ])
    return [UInt8(pack.count)] + pack
}

private func id(_ milliseconds: UInt8) -> [UInt8] {
    [16, 0, 0, 0, 0, 0, 0, 0, milliseconds] + [UInt8](repeating: 0, count: 8)
}

/// Two nodes, and a group with a consumer that has an entry in hand.
private let value: [UInt8] = {
    let state: [UInt8] = [2, 2, 0] + [1, 0] + [0, 0] + [2]
    let pending = Array(id(1)[1...])
    let group: [UInt8] =
        [1, 0x67, 2, 0, 2, 1] + pending + littleEndian(1_700_000_000_000, 8) + [1, 1, 1, 0x63]
    let seen = littleEndian(1, 8) + littleEndian(2, 8)
    let nodes: [UInt8] = [21, 2] + id(1) + node(300) + id(2) + node(-5)
    return nodes + state + [1] + group + seen + [1] + pending
}()

/// The ids and values of a dumped stream; nil if it is refused.
private func read(_ bytes: [UInt8]) -> [String]? {
    withPadding(bytes) { bytes in
        guard let dump = DumpPayload(bytes), let type = StreamType(rawValue: dump.type) else {
            return nil
        }
        var (found, scratch) = ([String](), ScratchBytes())
        defer { scratch.free() }
        do throws(RedcolError) {
            var stream = try StoredStream(type, StoredBytes(dump.value))
            while let node = try stream.nextNode(&scratch) {
                guard let entries = entries(node.master, node.listpack) else { return nil }
                found += entries.map { "\($0.id.text): \($0.values)" }
            }
            let state = try stream.state()
            guard state.length == found.count else { return nil }
            try StoredStream(type, StoredBytes(dump.value)).checkEnd()
            return found
        } catch {
            return nil
        }
    }
}

@Suite struct StoredStreamTests {
    @Test func aWholeOne() throws {
        #expect(read(payload(value)) == ["1-0: \([utf8("300")])", "2-0: \([utf8("-5")])"])
        // Zero: the server was told not to count.
        let unchecked = value + [11, 0] + [UInt8](repeating: 0, count: 8)
        #expect(read(unchecked) == read(payload(value)))
    }

    @Test func nodesInTheWrongOrder() {
        for second: UInt8 in [0, 1] {
            let nodes: [UInt8] = [21, 2] + id(1) + node(1) + id(second) + node(2)
            #expect(read(payload(nodes + [2, 2, 0, 1, 0, 0, 0, 2, 0])) == nil)
        }
    }

    @Test func eachPrefixIsRefused() {
        for count in 0..<value.count { #expect(read(payload(Array(value[..<count]))) == nil) }
        let whole = payload(value)
        for count in 0..<whole.count { #expect(read(Array(whole[..<count])) == nil) }
    }

    @Test func flippedBitsAreNoticed() {
        let whole = payload(value)
        for place in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[place] ^= 1 << bit
                #expect(read(damaged) == nil, "bit \(bit) of byte \(place)")
            }
        }
    }

    @Test func moreThanAStream() {
        #expect(read(payload(value + [0])) == nil)
    }

    /// A server that counts wrongly, or who has meant it.
    @Test func flippedBitsWithARightChecksumDoNotTrap() {
        for place in value.indices {
            for bit in 0..<8 {
                var damaged = value
                damaged[place] ^= 1 << bit
                if let rows = read(payload(damaged)) { #expect(rows.count == 2) }
            }
        }
    }
}
