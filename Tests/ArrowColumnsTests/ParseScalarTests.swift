// SPDX-License-Identifier: Apache-2.0
// Booleans, floats and decimals.
import Testing

@testable import ArrowColumns

@Suite struct ParseScalarTests {
    let memory = GuardedText()

    @Test(
        arguments: [
            ("true", true), ("TRUE", true), ("tRuE", true), ("1", true), ("false", false),
            ("FALSE", false),
            ("FaLsE", false), ("0", false), ("", nil), ("2", nil), ("t", nil), ("truE ", nil),
            (" true", nil),
            ("tru\0", nil), ("true\0", nil), ("T\u{12}UE", nil), ("falsE\0", nil),
            ("fals\u{5}", nil), ("yes", nil),
            ("01", nil), ("falsee", nil), ("TRUF", nil), ("FALSF", nil), ("\u{14}rue", nil),
        ] as [(String, Bool?)])
    func boolean(text: String, expected: Bool?) {
        #expect(memory.parse(text, parseBoolean) == expected)
    }

    @Test(
        arguments: [
            ("0", 0), ("1.5", 1.5), ("+1.5", 1.5), ("-1.5", -1.5), ("1e308", 1e308),
            ("5e-324", .leastNonzeroMagnitude),
            ("0.1", 0.1), (".5", 0.5), ("5.", 5), ("inf", .infinity), ("-inf", -.infinity),
            ("", nil),
            ("+", nil), ("-", nil), (" 1", nil), ("1 ", nil), ("1\0", nil), ("1e", nil),
            ("+-1", nil), ("0x1", nil),
            ("1,5", nil), (".", nil), ("e5", nil),
        ] as [(String, Double?)])
    func double(text: String, expected: Double?) {
        #expect(memory.parse(text, parseDouble) == expected)
        let isTooLarge = text == "1e308"
        #expect(memory.parse(text, parseFloat) == (isTooLarge ? nil : expected.map { Float($0) }))
    }

    @Test(arguments: ["1e309", "-1e309", "+1e400", "1e99999999999", "2e308"])
    func aNumberThatIsTooLargeIsNotInfinity(text: String) {
        #expect(memory.parse(text, parseDouble) == nil)
        #expect(memory.parse(text, parseFloat) == nil)
    }

    @Test func theLargestFloat() {
        #expect(memory.parse("3.4028235e38", parseFloat) == .greatestFiniteMagnitude)
        #expect(memory.parse("3.5e38", parseFloat) == nil)
    }

    @Test(arguments: ["inf", "+inf", "-inf", "Infinity", "-INFINITY", "+infinity"])
    func infinityHasNames(text: String) {
        #expect(memory.parse(text, parseDouble)?.isInfinite == true)
        #expect(memory.parse(text, parseFloat)?.isInfinite == true)
    }

    @Test func nan() {
        let bytes = Array("nan".utf8)
        #expect(parseDouble(memory.place(bytes), 3)?.isNaN == true)
        #expect(parseFloat(memory.place(bytes), 3)?.isNaN == true)
    }

    @Test func floatIsRoundedOnce() {
        // Halfway between two floats and a bit: as a double first it would round to even, down.
        #expect(memory.parse("1.00000005960464477540", parseFloat) == 1 + Float.ulpOfOne)
    }

    static let nines = Int128(99_999_999_999_999_999_999_999_999_999_999_999_999)

    @Test(
        arguments: [
            ("0", 5, 2, 0), ("-0", 5, 2, 0), ("1", 5, 2, 100), ("+1.5", 5, 2, 150),
            ("-1.05", 5, 2, -105),
            (".5", 5, 2, 50), ("5.", 5, 2, 500), ("999.99", 5, 2, 99_999), ("1000", 5, 2, nil),
            ("-999.99", 5, 2, -99_999), ("-1000.00", 5, 2, nil), ("1.234", 5, 2, nil),
            ("1.230", 5, 2, 123),
            ("1.2300000000000000000000000000000000000000000000000000", 5, 2, 123),
            ("0.001", 5, 2, nil),
            ("000000000000000000000000000000000000000000000000000001", 5, 2, 100),
            ("0.000", 5, 2, 0),
            ("1e2", 5, 2, 10_000), ("1E+2", 5, 2, 10_000), ("1.5E-3", 5, 4, 15),
            ("1.5e-3", 5, 3, nil),
            ("15e-1", 5, 2, 150), ("1e3", 5, 2, nil), ("100000e-5", 5, 2, 100),
            ("0e999999999999999999999", 5, 2, 0),
            ("1e999999999999999999999999", 38, 0, nil),
            ("1e-99999999999999999999999999", 38, 38, nil),
            ("1e9223372036854775807", 38, 0, nil), ("1e-9223372036854775808", 38, 38, nil),
            ("5", 1, 0, 5),
            ("10", 1, 0, nil), ("0.5", 1, 1, 5), ("1", 1, 1, nil), ("", 5, 2, nil),
            ("+", 5, 2, nil),
            ("-", 5, 2, nil), (".", 5, 2, nil), ("-.", 5, 2, nil), ("1e", 5, 2, nil),
            ("1e+", 5, 2, nil),
            ("e1", 5, 2, nil), (".e1", 5, 2, nil), ("1.2.3", 5, 2, nil), ("1 ", 5, 2, nil),
            (" 1", 5, 2, nil),
            ("1\0", 5, 2, nil), ("1e1.0", 5, 2, nil), ("1e1e1", 5, 2, nil), ("1,5", 5, 2, nil),
            ("nan", 5, 2, nil),
            ("99999999999999999999999999999999999999", 38, 0, nines),
            ("-99999999999999999999999999999999999999", 38, 0, 0 - nines),
            ("100000000000000000000000000000000000000", 38, 0, nil),
            ("0.99999999999999999999999999999999999999", 38, 38, nines),
            ("0.999999999999999999999999999999999999991", 38, 38, nil),
            ("170141183460469231731687303715884105728", 38, 0, nil),
            ("340282366920938463463374607431768211457", 38, 0, nil),
        ] as [(String, Int32, Int32, Int128?)])
    func decimal(text: String, precision: Int32, scale: Int32, expected: Int128?) {
        #expect(memory.parse(text) { parseDecimal($0, $1, precision, scale) } == expected)
    }

    @Test func decimalOfManyZeros() {
        let zeros = String(repeating: "0", count: 20_000)
        #expect(memory.parse("0.\(zeros)1e20001") { parseDecimal($0, $1, 3, 0) } == 1)
        #expect(memory.parse("1\(zeros)e-20000") { parseDecimal($0, $1, 3, 0) } == 1)
        #expect(memory.parse("1\(zeros)1") { parseDecimal($0, $1, 38, 0) } == nil)
    }

    @Test func decimalsThatWereWritten() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<3_000 {
            let scale = Int.random(in: 0...38, using: &random)
            let value =
                Int128.random(in: 0...Self.nines, using: &random)
                / (0..<Int.random(in: 0...37, using: &random)).reduce(1) { power, _ in power * 10 }
            var digits = String(value)
            digits = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
            let split = digits.index(digits.endIndex, offsetBy: -scale)
            let text = "-\(digits[..<split]).\(digits[split...])"
            let parsed = memory.parse(text) { parseDecimal($0, $1, 38, Int32(scale)) }
            #expect(parsed == 0 - value, "\(text)")
        }
    }
}
