// SPDX-License-Identifier: Apache-2.0
// The Redis protocol written by hand: what the code under test is fed, and what it should send.

/// Text as its bytes.
public func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Replies as bytes. https://redis.io/docs/latest/develop/reference/protocol-spec/
public enum Resp {
    public static func bulk(_ bytes: [UInt8]) -> [UInt8] {
        utf8("$\(bytes.count)\r\n") + bytes + utf8("\r\n")
    }

    public static func array(_ elements: [[UInt8]]) -> [UInt8] {
        utf8("*\(elements.count)\r\n") + elements.flatMap { $0 }
    }

    public static func strings(_ strings: [[UInt8]]) -> [UInt8] { array(strings.map { bulk($0) }) }

    public static func entry(_ entry: SampleEntry) -> [UInt8] {
        guard !entry.isDeleted else {
            return utf8("*2\r\n") + bulk(utf8(entry.id)) + utf8("*-1\r\n")
        }
        return array([
            bulk(utf8(entry.id)), strings(entry.fields.flatMap { [$0.name, $0.value] }),
        ])
    }

    /// The answer to XRANGE.
    public static func entries(_ entries: [SampleEntry]) -> [UInt8] {
        array(entries.map { entry($0) })
    }
}

/// A stream entry to be written.
public struct SampleEntry: Sendable {
    public var id: String
    public var fields: [(name: [UInt8], value: [UInt8])]
    /// Pending in a group, but no longer in the stream: it has no fields.
    public var isDeleted = false

    public init(_ id: String, _ fields: [(name: [UInt8], value: [UInt8])]) {
        self.id = id
        self.fields = fields
    }

    /// Names and values in turn, as XADD takes them.
    public init(_ id: String, _ words: String...) {
        self.id = id
        fields = stride(from: 0, to: words.count - 1, by: 2).map {
            (utf8(words[$0]), utf8(words[$0 + 1]))
        }
    }
}

extension SampleEntry {
    /// Entries as odd as a stream allows: names and values of any bytes, fields twice, no field at
    /// all, ids with halves up to 2^64-1, in rising order.
    public static func random(
        _ count: Int, using generator: inout SeededGenerator, deletedOnceIn: Int? = nil
    ) -> [SampleEntry] {
        let limits: [UInt64] = [9, 99, 1_704_067_200_000, 9_999_999_999_999, .max]
        var ids = (0..<count).map { _ -> (UInt64, UInt64) in
            let most = generator.pick(limits)
            let milliseconds = UInt64.random(in: most / 2...most, using: &generator)
            return (milliseconds, UInt64.random(in: 0...generator.pick(limits), using: &generator))
        }
        ids.sort(by: <)
        for index in ids.indices.dropFirst() where ids[index] <= ids[index - 1] {
            ids[index].1 = ids[index - 1].1 + 1
        }
        let known = (0..<6).map { _ in randomName(&generator) }
        return ids.map { id in
            var fields: [(name: [UInt8], value: [UInt8])] = []
            for place in 0..<generator.below(known.count + 2) {
                // Mostly the same fields in the same order, as in a real stream.
                let isUsual = !generator.once(in: 8) && place < known.count
                let name = isUsual ? known[place] : generator.pick(known + [randomName(&generator)])
                fields.append((name, randomValue(&generator)))
            }
            if generator.once(in: 20) {
                fields += (0..<150).map { (utf8("many\($0)"), utf8("\($0)")) }
            }
            var entry = SampleEntry("\(id.0)-\(id.1)", fields)
            if let times = deletedOnceIn { entry.isDeleted = generator.once(in: times) }
            return entry
        }
    }

    private static func randomName(_ generator: inout SeededGenerator) -> [UInt8] {
        switch generator.below(12) {
        case 0: return []
        case 1: return utf8(generator.pick(["_id", "_ts", "_seq"]))
        case 2: return utf8("größe \(generator.below(3))")
        case 3: return [0xFF, 0x00, 0x61 + UInt8(generator.below(3))]
        case 4: return utf8(String(repeating: "n", count: 20 + generator.below(90)))
        default: return utf8("field\(generator.below(40))")
        }
    }

    private static func randomValue(_ generator: inout SeededGenerator) -> [UInt8] {
        switch generator.below(12) {
        case 0: return []
        case 1: return generator.bytes(generator.below(40))
        case 2: return utf8(String(repeating: "long ", count: generator.below(400)))
        case 3: return utf8("\r\n$3\r\n*2\r\n")
        case 4: return utf8("Zürich – 東京 \(generator.below(1000))")
        case 5, 6, 7: return utf8("\(Int64.random(in: .min ... .max, using: &generator))")
        case 8: return utf8("18446744073709551615")
        default: return utf8(String(repeating: "v", count: generator.below(30)))
        }
    }
}
