// SPDX-License-Identifier: Apache-2.0
// What texts look like: the first type that is tried for a column of them.

import Testing

@testable import ArrowColumns

private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

/// The formats that are tried for a column with these values, the narrowest first.
private func formats(_ values: [[UInt8]]) -> [String] {
    var guess = TypeGuess()
    for value in values {
        let padded = value + [UInt8](repeating: 0, count: 32)
        padded.withUnsafeBufferPointer { text in
            if let start = text.baseAddress { guess.see(start, value.count) }
        }
    }
    return guess.candidates(for: RequestedColumn(name: utf8("v"), type: .binary)).map {
        String(decoding: $0.format, as: UTF8.self)
    }
}

@Test(
    arguments: [
        (["1", "-5"], ["l", "g", "vu", "vz"]),
        (["1", "2.5"], ["g", "vu", "vz"]),
        (["nan"], ["vu", "vz"]),
        (["nan", "1"], ["g", "vu", "vz"]),
        (["007"], ["vu", "vz"]),
        (["+1"], ["vu", "vz"]),
        (["-0"], ["vu", "vz"]),
        (["-0.0"], ["g", "vu", "vz"]),
        (["9223372036854775808"], ["vu", "vz"]),
        (["123456789012345"], ["l", "g", "vu", "vz"]),
        (["1234567890123456"], ["l", "vu", "vz"]),
        (["true", "FALSE"], ["b", "vu", "vz"]),
        (["true", "1"], ["vu", "vz"]),
        (["2024-01-01"], ["tdD", "tsu:", "vu", "vz"]),
        (["2024-01-01 10:00"], ["tsu:", "vu", "vz"]),
        (["2024-01-01T10:00:00.1234567"], ["tsn:", "vu", "vz"]),
        (["2024-01-01T10:00:00.5+02:00"], ["tsu:UTC", "vu", "vz"]),
        (["2024-01-01", "2024-01-01T10:00Z"], ["vu", "vz"]),
        (["{\"a\": 1}", " {\"b\": null}"], ["+s", "vu", "vz"]),
        (["[1, 2.5]"], ["+L", "vu", "vz"]),
        (["[1", "[2]"], ["vu", "vz"]),
        (["{}"], ["vu", "vz"]),
        ([""], ["vu", "vz"]),
        ([], ["vu", "vz"]),
    ] as [([String], [String])])
func typesOfTexts(_ values: [String], _ expected: [String]) {
    #expect(formats(values.map { utf8($0) }) == expected)
    #expect(formats(values.reversed().map { utf8($0) }) == expected)
}

@Test func bytesThatAreNoText() {
    #expect(formats([utf8("1"), [0xFF]]) == ["vz"])
    #expect(formats([[0xFF], utf8("1")]) == ["vz"])
}

@Test func typesInsideOfJSON() throws {
    var guess = TypeGuess()
    let text = utf8("{\"a\": [{\"b\": 1}, {\"b\": 2.5, \"c\": null}], \"d\": [[]], \"e\": true}")
    (text + [UInt8](repeating: 0, count: 32)).withUnsafeBufferPointer {
        if let start = $0.baseAddress { guess.see(start, text.count) }
    }
    let column = RequestedColumn(name: utf8("v"), type: .binary)
    let found = try #require(guess.candidates(for: column).first)
    func shown(_ column: RequestedColumn) -> String {
        let format = String(decoding: column.format, as: UTF8.self)
        if column.children.isEmpty { return format }
        let inside = column.children.map {
            String(decoding: $0.name, as: UTF8.self) + ":" + shown($0)
        }
        return "\(format)(\(inside.joined(separator: " ")))"
    }
    #expect(
        shown(found)
            == "+s(a:+L(item:+s(b:g c:vu)) d:+L(item:+L(item:vu)) e:b)")
}
