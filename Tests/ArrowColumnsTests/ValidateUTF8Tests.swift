// SPDX-License-Identifier: Apache-2.0
// UTF-8 as the standard library judges it; bytes stand directly in front of a forbidden page.
import Testing

@testable import ArrowColumns

@Suite struct ValidateUTF8Tests {
    let memory = GuardedText()
    /// Bytes on both sides of every border in the definition of UTF-8.
    let borders: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]

    private func check(_ bytes: some Collection<UInt8>) {
        let isValid = isValidUTF8(memory.place(bytes, spare: 0), bytes.count)
        if isValid != (String(validating: bytes, as: UTF8.self) != nil) {
            Issue.record("\(Array(bytes)) is judged \(isValid)")
        }
    }

    @Test func oneAndTwoBytes() {
        #expect(isValidUTF8(memory.place([], spare: 0), 0))
        for first in UInt8.min...UInt8.max {
            check([first])
            for second in UInt8.min...UInt8.max { check([first, second]) }
        }
    }

    @Test func threeBytes() {
        for first in UInt8(0xC0)...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for third in borders { check([first, second, third]) }
            }
            for second in borders {
                for third in UInt8.min...UInt8.max { check([first, second, third]) }
            }
        }
    }

    @Test func fourBytes() {
        for first in UInt8(0xED)...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for third in [0x7F, 0x80, 0xBF, 0xC0] as [UInt8] {
                    for fourth in [0x7F, 0x80, 0xBF, 0xC0] as [UInt8] {
                        check([first, second, third, fourth])
                    }
                }
            }
        }
    }

    @Test func everyPlaceOfEveryLength() {
        let characters: [[UInt8]] = [
            [0x80], [0xC3, 0xA4], [0xC3], [0xE2, 0x82, 0xAC], [0xE2, 0x82], [0xED, 0xA0, 0x80],
            [0xF0, 0x9F, 0x98, 0x80], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80],
        ]
        for count in 0...40 {
            for place in 0...count {
                for character in characters {
                    var bytes = [UInt8](repeating: 0x61, count: count)
                    bytes.insert(contentsOf: character, at: place)
                    check(bytes)
                }
            }
        }
    }

    @Test func randomText() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<10_000 {
            var text = ""
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let limit = [0x80, 0x800, 0x1_0000, 0x11_0000].randomElement(using: &random) ?? 1
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<UInt32(limit), using: &random))
                {
                    text.unicodeScalars.append(scalar)
                }
            }
            var bytes = Array(text.utf8)
            check(bytes)
            if let place = bytes.indices.randomElement(using: &random) {
                bytes[place] = UInt8.random(in: 0...255, using: &random)
                check(bytes)
            }
        }
    }
}
