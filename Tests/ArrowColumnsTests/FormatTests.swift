// SPDX-License-Identifier: Apache-2.0
// Values as text, compared with what the text must be.

import RedcolBase
import Testing

@testable import ArrowColumns

/// What `write` writes, with nothing written behind it.
func written(_ write: (UnsafeMutablePointer<UInt8>) -> Int?) -> String? {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 80) { buffer in
        buffer.initialize(repeating: 0xEE)
        guard let start = buffer.baseAddress, let count = write(start) else { return nil }
        #expect(count <= 64 && buffer[64...].allSatisfy { $0 == 0xEE })
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

@Suite struct FormatTests {
    @Test(arguments: [0, 9, 10, 99, 100, 12_345, Int64.max, -1, -10, Int64.min])
    func integers(_ value: Int64) {
        #expect(written { writeDecimal(value, to: $0) } == String(value))
        #expect(written { writeDecimal(value.magnitude, to: $0) } == String(value.magnitude))
    }

    @Test(arguments: [0, -1, Int128.max, Int128.min, 10_000_000_000_000_000_000, 1 << 70])
    func wideIntegers(_ value: Int128) {
        #expect(written { writeDecimal(value, to: $0) } == String(value))
        #expect(written { writeDecimal(value.magnitude, to: $0) } == String(value.magnitude))
    }

    @Test func decimals() {
        let cases: [(Int128, Int, String)] = [
            (0, 0, "0"), (0, 2, "0.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (150, 2, "1.50"),
            (-12_345, 1, "-1234.5"), (99, 2, "0.99"), (100, 2, "1.00"), (7, 0, "7"),
            (1, 38, "0." + String(repeating: "0", count: 37) + "1"),
        ]
        for (value, scale, text) in cases {
            #expect(written { writeScaled(value, scale: scale, to: $0) } == text)
        }
    }

    @Test func floats() {
        let cases: [(Double, String)] = [
            (0, "0.0"), (-0.0, "-0.0"), (1, "1.0"), (0.1, "0.1"), (1e15, "1000000000000000.0"),
            (1e16, "1e+16"), (1.5e300, "1.5e+300"), (1e-5, "0.00001"), (1.23e-6, "1.23e-6"),
            (5e-324, "5e-324"), (-.infinity, "-inf"), (.nan, "NaN"), (123.456, "123.456"),
            (1_234_567_890_123_456.8, "1234567890123456.8"), (100, "100.0"),
        ]
        for (value, text) in cases { #expect(written { writeFloat(value, to: $0) } == text) }
        let short: [(Float, String)] = [
            (0.1, "0.1"), (1e12, "1000000000000.0"), (1e13, "1e+13"), (1e-6, "0.000001"),
            (1e-7, "1e-7"), (16_777_216, "16777216.0"),
        ]
        for (value, text) in short { #expect(written { writeFloat(value, to: $0) } == text) }
    }

    @Test func halfFloats() {
        let cases: [(UInt16, Float)] = [
            (0x3C00, 1), (0xC000, -2), (0x0001, 1 / 16_777_216), (0x7BFF, 65_504),
            (0x7C00, .infinity), (0xFC00, -.infinity), (0x8000, -0.0), (0x2E66, 0.099975586),
        ]
        for (bits, value) in cases { #expect(halfFloat(bits) == value) }
        #expect(halfFloat(0x7E00).isNaN)
        #expect(halfFloat(0x8000).sign == .minus)
    }

    @Test func dates() {
        let cases: [(Int64, String?)] = [
            (0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (19_782, "2024-02-29"),
            (-719_528, "0000-01-01"), (-719_529, "-0001-12-31"), (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"), (364_522_971, "+999999-12-31"), (364_522_972, nil),
            (Int64(Int32.max), nil), (Int64(Int32.min), nil),
        ]
        for (days, text) in cases { #expect(written { writeDate(days, to: $0) } == text) }
    }

    @Test func everyDayIsTheNextOne() throws {
        // Four centuries, in which each day of the calendar comes.
        var (year, month, day) = (1_600, 1, 1)
        for days in Int64(-135_140)...Int64(10_957) {
            let text = try #require(written { writeDate(days, to: $0) })
            let shown = text.split(separator: "-").map { Int($0) }
            #expect(shown == [year, month, day])
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day += 1
            if day > lengths[month - 1] { (month, day) = (month + 1, 1) }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
    }

    @Test func timestamps() {
        let cases: [(Int64, ColumnType.Unit, Bool, String?)] = [
            (0, .second, false, "1970-01-01T00:00:00"),
            (-1, .millisecond, false, "1969-12-31T23:59:59.999"),
            (1, .nanosecond, true, "1970-01-01T00:00:00.000000001+0000"),
            (.max, .nanosecond, false, "2262-04-11T23:47:16.854775807"),
            (.min, .nanosecond, false, "1677-09-21T00:12:43.145224192"),
            (.max, .microsecond, true, "+294247-01-10T04:00:54.775807+0000"),
            (.max, .millisecond, false, nil), (.min, .second, false, nil),
        ]
        for (ticks, unit, isUTC, text) in cases {
            #expect(written { writeTimestamp(ticks, unit, isUTC: isUTC, to: $0) } == text)
        }
    }

    @Test func times() {
        #expect(written { writeTime(86_399, .second, to: $0) } == "23:59:59")
        #expect(written { writeTime(1, .nanosecond, to: $0) } == "00:00:00.000000001")
        #expect(written { writeTime(86_400, .second, to: $0) } == nil)
        #expect(written { writeTime(-1, .millisecond, to: $0) } == nil)
    }

    @Test func durations() {
        let cases: [(Int64, ColumnType.Unit, String)] = [
            (0, .microsecond, "PT0S"), (1_500, .millisecond, "PT1.5S"), (86_400, .second, "P1D"),
            (-1, .nanosecond, "-PT0.000000001S"), (90_061, .second, "P1DT1H1M1S"),
            (3_600, .second, "PT1H"), (60, .second, "PT1M"),
            (.min, .microsecond, "-P106751991DT4H54.775808S"),
        ]
        for (ticks, unit, text) in cases {
            #expect(written { writeDuration(ticks, unit, to: $0) } == text)
        }
    }
}
