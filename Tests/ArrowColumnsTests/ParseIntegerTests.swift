// SPDX-License-Identifier: Apache-2.0
// Integers: limits, shapes that are none, and a random comparison with the standard library.
import Testing

@testable import ArrowColumns

@Suite struct ParseIntegerTests {
    let memory = GuardedText()

    static let notIntegers = [
        "", "+", "-", " 1", "1 ", "1\0", "\u{0}1", "\0", "+-1", "--1", "1-", "0x1", "1e3", "1.0",
        "1_0",
        "12345678 ", " 12345678", "1234567/", "1234567:", "/2345678", ":2345678",
        "123456789012345x",
        "x23456789012345678", "00000000000000000000000x", "x00000000000000000000001", "１",
        "99999999999999999999999999", "１２３", "1\n", "1234567\u{80}",
    ]

    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("+0", 0), ("7", 7), ("-7", -7), ("+7", 7),
            ("0000000000000000000000012", 12),
            ("12345678", 12_345_678), ("123456789", 123_456_789),
            ("1234567890123456", 1_234_567_890_123_456),
            ("-12345678901234567", -12_345_678_901_234_567), ("9223372036854775807", Int64.max),
            ("+9223372036854775807", Int64.max), ("9223372036854775808", nil),
            ("-9223372036854775808", Int64.min), ("-9223372036854775809", nil),
            ("-00000000000009223372036854775808", Int64.min), ("18446744073709551615", nil),
            ("18446744073709551616", nil), ("99999999999999999999", nil),
            ("-99999999999999999999", nil),
        ] as [(String, Int64?)])
    func signed(text: String, expected: Int64?) {
        #expect(memory.parse(text, parseSigned) == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("+0", 0), ("-0", nil), ("-1", nil), ("+1", 1), ("000", 0),
            ("9223372036854775808", 1 << 63), ("18446744073709551615", UInt64.max),
            ("+0018446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("18446744073709551620", nil), ("20000000000000000000", nil),
            ("28446744073709551616", nil),
            ("99999999999999999999", nil), ("100000000000000000000", nil),
        ] as [(String, UInt64?)])
    func unsigned(text: String, expected: UInt64?) {
        #expect(memory.parse(text, parseUnsigned) == expected)
    }

    static let signed128Limits: [(String, Int128?)] = [
        ("170141183460469231731687303715884105727", .max),
        ("170141183460469231731687303715884105728", nil),
        ("-170141183460469231731687303715884105728", .min),
        ("-0000170141183460469231731687303715884105728", .min),
        ("-170141183460469231731687303715884105729", nil),
        ("340282366920938463463374607431768211456", nil),
        ("-340282366920938463463374607431768211456", nil), ("-0", 0), ("+7", 7),
        ("9999999999999999999", 9_999_999_999_999_999_999),
        ("18446744073709551616", 1 << 64),
    ]

    @Test(arguments: signed128Limits)
    func signed128(text: String, expected: Int128?) {
        #expect(memory.parse(text, parseSigned128) == expected)
    }

    static let unsigned128Limits: [(String, UInt128?)] = [
        ("340282366920938463463374607431768211455", .max),
        ("+00340282366920938463463374607431768211455", .max),
        ("340282366920938463463374607431768211456", nil),
        ("340282366920938463463374607431768211460", nil),
        ("3402823669209384634633746074317682114550", nil), ("-0", nil), ("-1", nil), ("000", 0),
    ]

    @Test(arguments: unsigned128Limits)
    func unsigned128(text: String, expected: UInt128?) {
        #expect(memory.parse(text, parseUnsigned128) == expected)
    }

    @Test(arguments: notIntegers) func refused(text: String) {
        // 26 nines fit 128 bits.
        if text.count != 26 || text.first != "9" {
            #expect(memory.parse(text, parseSigned128) == nil)
            #expect(memory.parse(text, parseUnsigned128) == nil)
        }
        #expect(memory.parse(text, parseSigned) == nil)
        #expect(memory.parse(text, parseUnsigned) == nil)
    }

    @Test func everyByteInEveryPlace() {
        for count in 1...21 {
            for place in 0..<count {
                for byte in UInt8.min...UInt8.max {
                    var bytes = [UInt8](repeating: UInt8(ascii: "0"), count: count)
                    bytes[place] = byte
                    let isDigit = byte >= 0x30 && byte <= 0x39
                    let isSign = place == 0 && count > 1 && (byte == 0x2B || byte == 0x2D)
                    let value = parseSigned(memory.place(bytes), count)
                    if (value != nil) != (isDigit || isSign), !(isDigit && count > 18) {
                        Issue.record("byte \(byte) at \(place) of \(count): \(value as Int64?)")
                    }
                }
            }
        }
    }

    @Test func asTheStandardLibrary() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var text = ["", "+", "-"].randomElement(using: &random) ?? ""
            for _ in 0..<Int.random(in: 1...41, using: &random) {
                text += String(Int.random(in: 0...9, using: &random))
            }
            let bytes = Array(text.utf8)
            let start = memory.place(bytes)
            #expect(parseSigned(start, bytes.count) == Int64(text), "\(text)")
            let unsigned = text.hasPrefix("-") ? nil : UInt64(text)
            #expect(parseUnsigned(start, bytes.count) == unsigned, "\(text)")
            #expect(parseSigned128(start, bytes.count) == Int128(text), "\(text)")
            let unsigned128 = text.hasPrefix("-") ? nil : UInt128(text)
            #expect(parseUnsigned128(start, bytes.count) == unsigned128, "\(text)")
        }
    }
}
