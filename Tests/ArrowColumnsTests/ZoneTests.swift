// SPDX-License-Identifier: Apache-2.0
// Time zones: rules for years to come, and data that is cut or wrong.
import CPlatform
import Testing

@testable import ArrowColumns

@Suite struct ZoneTests {
    @Test(
        arguments: [
            ("CET-1CEST,M3.5.0,M10.5.0/3", 2_024, [1_711_846_800, 1_729_990_800], [7_200, 3_600]),
            ("EST5EDT,M3.2.0,M11.1.0", 2_024, [1_710_054_000, 1_730_613_600], [-14_400, -18_000]),
            // Winter time is the exception in Dublin, and the south has its summer at New Year.
            ("IST-1GMT0,M10.5.0,M3.5.0/1", 2_024, [1_711_846_800, 1_729_990_800], [3_600, 0]),
            (
                "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2_024, [1_712_415_600, 1_728_142_200],
                [37_800, 39_600]
            ),
            (
                "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2_024, [1_711_846_800, 1_729_990_800],
                [-3_600, -7_200]
            ),
            // The 60th day that counts is the 1st of March, in any year; the 60th from 0 is not.
            ("A0B,J60/0,J365/0", 2_024, [1_709_251_200, 1_735_599_600], [3_600, 0]),
            ("A0B,60/0,300/0", 2_024, [1_709_251_200, 1_729_983_600], [3_600, 0]),
        ] as [(String, Int, [Int64], [Int64])])
    func rules(text: String, year: Int, begins: [Int64], offsets: [Int64]) throws {
        let changes = try #require(ZoneRule(Array(text.utf8))).changes(in: year)
        #expect(changes.map { $0.begin } == begins)
        #expect(changes.map { $0.offset } == offsets)
    }

    @Test(arguments: [
        "", "CET-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x",
        "<CET-1CEST,M3.5.0,M10.5.0", "CET-25CEST,M3.5.0,M10.5.0", "CET-1CEST,J0,J366",
        "CET-1CEST,M3.5.0/168,M10.5.0", "-1CEST,M3.5.0,M10.5.0", "A0B,99999999999,1",
    ])
    func noRules(text: String) { #expect(ZoneRule(Array(text.utf8)) == nil) }

    /// A file of version 2 with one change, at `time` from `before` to `after` seconds.
    static func file(
        _ time: Int64, _ before: Int32, _ after: Int32, index: UInt8 = 1, rule: String = ""
    ) -> [UInt8] {
        func big<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            withUnsafeBytes(of: value.bigEndian) { Array($0) }
        }
        let head = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
        let empty = head + [UInt8](repeating: 0, count: 24)
        let counts: [Int32] = [0, 0, 0, 1, 2, 4]
        let types = big(before) + [0, 0] + big(after) + [1, 0]
        return empty + head + counts.flatMap { big($0) } + big(time) + [index] + types
            + Array("LMT\0".utf8) + Array("\n\(rule)\n".utf8)
    }

    @Test func aChange() throws {
        var table = try #require(
            ZoneTests.file(1_000_000, 0, 3_600).withUnsafeBytes { ZoneTable($0) })
        #expect(table.moment(local: 999_999) == 999_999)
        #expect(table.moment(local: 1_000_000) == nil)
        #expect(table.moment(local: 1_003_599) == nil)
        #expect(table.moment(local: 1_003_600) == 1_000_000)
        table = try #require(ZoneTests.file(1_000_000, 3_600, 0).withUnsafeBytes { ZoneTable($0) })
        #expect(table.moment(local: 999_999) == 996_399)
        #expect(table.moment(local: 1_000_000) == nil)
        #expect(table.moment(local: 1_003_599) == nil)
        #expect(table.moment(local: 1_003_600) == 1_003_600)
        for far in [Int64.min, Int64.max] { #expect(table.moment(local: far) == nil) }
        // Without a rule the last offset stays.
        #expect(table.moment(local: 9_000_000_000) == 9_000_000_000)
    }

    @Test func whatWasLookedUpLastChangesNothing() throws {
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3"
        let file = ZoneTests.file(1_000_000, 0, 3_600, rule: rule)
        var table = try #require(file.withUnsafeBytes { ZoneTable($0) })
        var state: UInt64 = 7
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let local = Int64(state >> 33) % 4_200_000_000
            var fresh = try #require(file.withUnsafeBytes { ZoneTable($0) })
            if state & 0xF00 == 0 {
                #expect(table.moment(local: local) == fresh.moment(local: local))
            }
            _ = table.moment(local: local)
        }
        #expect(table.moment(local: 4_102_444_800) == nil)
    }

    @Test func filesThatAreCutOrWrong() {
        let whole = ZoneTests.file(1_000_000, 0, 3_600, rule: "A0B,J60/0,J365/0")
        for count in 0..<(whole.count - 18) {
            #expect(whole[..<count].withUnsafeBytes { ZoneTable($0) } == nil)
        }
        for place in whole.indices {
            for byte in [UInt8(0x00), 0x7F, 0x80, 0xFF] {
                var wrong = whole
                wrong[place] = byte
                var table = wrong.withUnsafeBytes { ZoneTable($0) }
                _ = table?.moment(local: 1_001_000)
            }
        }
        #expect(ZoneTests.file(0, 0, 0, index: 2).withUnsafeBytes { ZoneTable($0) } == nil)
    }
}
