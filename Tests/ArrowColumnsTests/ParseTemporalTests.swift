// SPDX-License-Identifier: Apache-2.0
// Dates against a count of all days, and tables of what is a time, timestamp or duration.
import Testing

@testable import ArrowColumns

@Suite struct ParseTemporalTests {
    let memory = GuardedText()

    @Test func everyDayFromYear0To2400() {
        var text = Array("0000-00-00".utf8)
        var expected: Int32 = -719_528  // 0000-01-01, from Python: -date(1, 1, 1) less 366 days
        for year in 0...2_400 {
            var rest = year
            for place in [3, 2, 1, 0] {
                text[place] = 0x30 + UInt8(rest % 10)
                rest /= 10
            }
            let isLeap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0)
            let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            for month in 0...13 {
                text[5] = 0x30 + UInt8(month / 10)
                text[6] = 0x30 + UInt8(month % 10)
                let length = (1...12).contains(month) ? lengths[month - 1] : 0
                for day in [0] + Array(1...max(length, 1)) + [length + 1] {
                    text[8] = 0x30 + UInt8(day / 10)
                    text[9] = 0x30 + UInt8(day % 10)
                    let days = parseDate(memory.place(text), 10)
                    if day >= 1, day <= length {
                        if days != expected {
                            Issue.record("\(year)-\(month)-\(day): \(days ?? -1)")
                        }
                        expected += 1
                    } else if days != nil {
                        Issue.record("\(year)-\(month)-\(day) is no day")
                    }
                }
            }
        }
        #expect(expected == 157_420)  // 2401-01-01, from Python
    }

    @Test(
        arguments: [
            ("1970-01-01", 0), ("1969-12-31", -1), ("9999-12-31", 2_932_896), ("+1970-01-01", 0),
            ("+001970-01-02", 1), ("-0001-12-31", -719_529), ("-0001-01-01", -719_893),
            ("-0004-02-29", -720_930), ("+10000-01-01", 2_932_897),
            ("+999999-12-31", 364_522_971), ("-999999-01-01", -365_961_662), ("-0001-02-29", nil),
            ("", nil), ("-", nil), ("1970-1-1", nil), ("1970-01-0", nil), ("1970-01-011", nil),
            ("1970/01/01", nil), ("19700101", nil), ("1970-01-32", nil), ("1970-13-01", nil),
            ("1970-00-01", nil),
            ("1900-02-29", nil), ("2023-02-29", nil), ("2023-04-31", nil), ("10000-01-01", nil),
            ("+1000000-01-01", nil), ("+197-01-01", nil), ("1970-01-01 ", nil),
            (" 1970-01-01", nil),
            ("1970-01-0\0", nil), ("-1970-0a-01", nil), ("1970-01-0a", nil), ("a970-01-01", nil),
            ("1970-01:01", nil), ("+-970-01-01", nil), ("1970--1-01", nil), ("99/99-99-99", nil),
            ("++1970-01-01", nil), ("+1970-01-1", nil), ("19-0-01-01", nil),
        ] as [(String, Int32?)])
    func date(text: String, expected: Int32?) {
        #expect(memory.parse(text, parseDate) == expected)
    }

    @Test(
        arguments: [
            ("00:00", 0), ("23:59", 86_340_000_000_000), ("01:02:03", 3_723_000_000_000),
            ("23:59:59.999999999", 86_399_999_999_999), ("00:00:00.1", 100_000_000),
            ("00:00:00.123456789", 123_456_789), ("00:00:00.000000001", 1), ("24:00", nil),
            ("00:60", nil),
            ("00:00:60", nil), ("", nil), ("0", nil), ("00", nil), ("0:00", nil), ("00:0", nil),
            ("00:00:", nil),
            ("00:00:0", nil), ("00:00:00.", nil), ("00:00:00.1234567890", nil),
            ("00:00:00.1a", nil),
            ("00:00:00 ", nil), (" 00:00", nil), ("0000", nil), ("000000", nil), ("-1:00", nil),
            ("00:00Z", nil),
            ("00:00:00\0", nil), ("00-00", nil), ("00:00.5", nil), ("00:00:00,5", nil),
            ("a0:00", nil), ("00:0a", nil),
        ] as [(String, Int64?)])
    func time(text: String, nanoseconds: Int64?) {
        #expect(memory.parse(text) { parseTime($0, $1, .nanosecond) } == nanoseconds)
        // Finer digits are cut off.
        let micro = memory.parse(text) { parseTime($0, $1, .microsecond) }
        let milli = memory.parse(text) { parseTime($0, $1, .millisecond) }
        let whole = memory.parse(text) { parseTime($0, $1, .second) }
        #expect(micro == nanoseconds.map { $0 / 1_000 })
        #expect(milli == nanoseconds.map { $0 / 1_000_000 })
        #expect(whole == nanoseconds.map { $0 / 1_000_000_000 })
    }

    typealias Unit = ColumnType.Unit

    @Test(
        arguments: [
            ("0", .second, 0), ("-5", .nanosecond, -5), ("+5", .millisecond, 5),
            ("1700000000123", .millisecond, 1_700_000_000_123), ("20240101", .second, 20_240_101),
            ("9223372036854775807", .second, Int64.max),
            ("-9223372036854775808", .second, Int64.min),
            ("9223372036854775808", .second, nil), ("2024-02-29", .second, 1_709_164_800),
            ("2024-02-29T12:30", .second, 1_709_209_800),
            ("2024-02-29 12:30:01", .second, 1_709_209_801),
            ("2024-02-29t12:30:01z", .second, 1_709_209_801),
            ("2024-02-29T12:30:01Z", .second, 1_709_209_801),
            ("2024-02-29T12:30:01+02", .second, 1_709_202_601),
            ("2024-02-29T12:30+02:30", .second, 1_709_200_800),
            ("2024-02-29T12:30-0230", .second, 1_709_218_800),
            ("2024-02-29Z", .second, 1_709_164_800),
            ("2024-02-29T12:30:01.987654321Z", .millisecond, 1_709_209_801_987),
            ("2024-02-29T12:30:01.987654321-00:01", .nanosecond, 1_709_209_861_987_654_321),
            ("1969-12-31T23:59:59.9999", .millisecond, -1), ("1969-12-31T23:59:59.9", .second, -1),
            ("1969-12-31T23:59:58.0001", .millisecond, -2_000),
            ("1969-12-31T23:59:59", .second, -1),
            ("1969-12-31T23:59:59.25", .millisecond, -750),
            ("1970-01-01T00:00:00.25+00:01", .millisecond, -59_750),
            ("1677-09-21T00:12:43.145224192Z", .nanosecond, Int64.min),
            ("1677-09-21T00:12:43.145224191Z", .nanosecond, nil),
            ("1677-09-21T00:12:43Z", .nanosecond, nil),
            ("1677-09-21T00:12:44Z", .nanosecond, -9_223_372_036_000_000_000),
            ("2262-04-11T23:47:16.854775807Z", .nanosecond, Int64.max),
            ("2262-04-11T23:47:16.854775808Z", .nanosecond, nil),
            ("2262-04-11T23:47:17Z", .nanosecond, nil),
            ("-290308-12-21T19:59:05.224192Z", .microsecond, Int64.min),
            ("-290308-12-21T19:59:05.224191Z", .microsecond, nil),
            ("+294247-01-10T04:00:54.775807Z", .microsecond, Int64.max),
            ("+294247-01-10T04:00:54.775808Z", .microsecond, nil),
            ("+999999-12-31T23:59:59.999Z", .millisecond, 31_494_784_780_799_999),
            ("-0001-12-31T00:00", .second, -62_167_305_600),
            ("-0001-12-31", .second, -62_167_305_600),
            ("0000-01-01T00:00:00Z", .nanosecond, nil),
            ("9999-12-31T23:59:59Z", .second, 253_402_300_799),
            ("", .second, nil), ("-", .second, nil), ("2024-02-30", .second, nil),
            ("2024-02-29T", .second, nil),
            ("2024-02-29T12", .second, nil), ("2024-02-29X12:30", .second, nil),
            ("2024-02-29\u{0}12:30", .second, nil),
            ("2024-02-29T12:30ZZ", .second, nil), ("2024-02-29T12:30+", .second, nil),
            ("2024-02-29T12:30+2", .second, nil), ("2024-02-29T12:30+02:3", .second, nil),
            ("2024-02-29T12:30+02-30", .second, nil), ("2024-02-29T12:30+02:30:00", .second, nil),
            ("2024-02-29T12:30+24", .second, nil), ("2024-02-29T12:30+02:60", .second, nil),
            ("2024-02-29T12:30 Z", .second, nil), ("2024-02-29T12:30\0", .second, nil),
            ("2024-02-29T12:30:01.+02", .second, nil), ("12:30", .second, nil),
            ("1.5", .second, nil),
            ("now", .second, nil), ("2024-02-2", .second, nil), ("-290308-12-2", .second, nil),
            ("T", .second, nil), ("----------", .second, nil), ("-2024", .second, -2_024),
            ("-20240", .second, -20_240),
            ("2024-02-29T12:30:01:", .second, nil), ("2024-02-29T24:00", .second, nil),
            ("2024-02-29\u{54}12:30\u{5A}", .second, 1_709_209_800),
            ("2024-02-29:12:30", .second, nil),
        ] as [(String, Unit, Int64?)])
    func timestamp(text: String, unit: Unit, expected: Int64?) {
        #expect(memory.parse(text) { parseTimestamp($0, $1, unit, .fixed(0)) } == expected)
    }

    @Test(
        arguments: [
            ("0", .second, 0), ("-17", .microsecond, -17), ("+17", .microsecond, 17),
            ("-9223372036854775808", .nanosecond, Int64.min),
            ("9223372036854775808", .nanosecond, nil),
            ("P1W", .second, 604_800), ("P1D", .second, 86_400), ("PT1H", .second, 3_600),
            ("PT1M", .second, 60),
            ("PT1S", .nanosecond, 1_000_000_000), ("P1W2DT3H4M5.6S", .millisecond, 788_645_600),
            ("-P1DT1S", .millisecond, -86_401_000), ("PT0.000000001S", .nanosecond, 1),
            ("P0D", .second, 0),
            ("PT36H", .second, 129_600), ("PT1H1S", .second, 3_601), ("P2DT1M", .second, 172_860),
            ("PT0.0009S", .millisecond, 0), ("-PT0.0019S", .millisecond, -1),
            ("-PT0.5S", .millisecond, -500),
            ("PT9223372036.854775807S", .nanosecond, Int64.max),
            ("PT9223372036.854775808S", .nanosecond, nil),
            ("-PT9223372036.854775808S", .nanosecond, Int64.min),
            ("-PT9223372036.854775809S", .nanosecond, nil),
            ("PT9223372036854775807S", .second, Int64.max),
            ("PT9223372036854775808S", .second, nil),
            ("-PT9223372036854775808S", .second, Int64.min),
            ("PT9223372036854775807S", .millisecond, nil),
            ("P99999999999999999W", .second, nil), ("PT9223372036854775807M", .second, nil),
            ("PT1M9223372036854775807S", .second, nil), ("", .second, nil), ("-", .second, nil),
            ("P", .second, nil),
            ("-P", .second, nil), ("PT", .second, nil), ("P1", .second, nil),
            ("P1DT", .second, nil), ("P1M", .second, nil),
            ("P1Y", .second, nil), ("P1H", .second, nil), ("PT1D", .second, nil),
            ("PT1W", .second, nil), ("1D", .second, nil),
            ("PT1S1M", .second, nil), ("P1D1W", .second, nil), ("P1D1D", .second, nil),
            ("PT1.5M", .second, nil),
            ("P1.5D", .second, nil), ("PT.5S", .second, nil), ("PT1.S", .second, nil),
            ("PT1.5", .second, nil),
            ("PT1.1234567890S", .second, nil), ("PTT1S", .second, nil), ("PT1ST1S", .second, nil),
            ("PT1HT1S", .second, nil),
            ("P-1D", .second, nil), ("P+1D", .second, nil), ("+P1D", .second, nil),
            ("--P1D", .second, nil),
            ("P1D ", .second, nil), (" P1D", .second, nil), ("P1D\0", .second, nil),
            ("p1d", .second, nil),
            ("PD", .second, nil), ("P1DT1S1S", .second, nil), ("01:00:00", .second, nil),
        ] as [(String, Unit, Int64?)])
    func duration(text: String, unit: Unit, expected: Int64?) {
        #expect(memory.parse(text) { parseDuration($0, $1, unit) } == expected)
    }
}
