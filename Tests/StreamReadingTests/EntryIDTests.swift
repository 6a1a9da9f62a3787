// SPDX-License-Identifier: Apache-2.0
// Entry ids and the ends of ranges, up to the largest that Redis has.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

private let most = UInt64.max

private func id(_ text: String, _ sequenceIfMissing: UInt64? = nil) -> EntryID? {
    EntryID(text.utf8, sequenceIfMissing: sequenceIfMissing)
}

@Test(arguments: [
    ("0-0", EntryID(0, 0)),
    ("0-1", EntryID(0, 1)),
    ("1704067200000-0", EntryID(1_704_067_200_000, 0)),
    ("1704067200000-12345678901234567890", EntryID(1_704_067_200_000, 12_345_678_901_234_567_890)),
    ("18446744073709551615-18446744073709551615", EntryID(most, most)),
    ("007-08", EntryID(7, 8)),
])
func wholeIDs(_ text: String, _ expected: EntryID) {
    #expect(id(text) == expected)
    #expect(id(text, 5) == expected)
    #expect(id(expected.text) == expected)
}

@Test(arguments: [
    ("0", EntryID(0, 5)), ("18446744073709551615", EntryID(most, 5)), ("12", EntryID(12, 5)),
])
func idsWithoutASequenceNumber(_ text: String, _ expected: EntryID) {
    #expect(id(text, 5) == expected)
    #expect(id(text) == nil)
}

@Test(arguments: [
    "", "-", "--", "1-", "-1", "1-2-3", "1--2", "+1-1", "1-+1", " 1-1", "1-1 ", "1-1\n", "0x1-1",
    "1.0-1",
    "1-1e3", "*", "$", ">", "1-*", "18446744073709551616-0", "0-18446744073709551616",
    "99999999999999999999999999-0", "1,2", "١-٢", "1-\0",
])
func whatIsNoID(_ text: String) {
    #expect(id(text, 0) == nil)
    #expect(id(text) == nil)
}

@Test(arguments: [
    (EntryID(0, 0), EntryID(0, 1)),
    (EntryID(0, most), EntryID(1, 0)),
    (EntryID(5, 5), EntryID(5, 6)),
    (EntryID(most - 1, most), EntryID(most, 0)),
    (EntryID(most, most - 1), EntryID(most, most)),
])
func neighbors(_ id: EntryID, _ after: EntryID) {
    #expect(id.next == after)
    #expect(after.previous == id)
    #expect(id < after && !(after < id) && id != after)
}

@Test func theEndsHaveOneNeighborOnly() {
    #expect(EntryID.smallest.previous == nil)
    #expect(EntryID.largest.next == nil)
    #expect(EntryID.smallest == EntryID(0, 0) && EntryID.largest == EntryID(most, most))
}

@Test func idsAreComparedAsNumbers() {
    let rising = [
        EntryID(0, 0), EntryID(0, 9), EntryID(0, 10), EntryID(9, 0), EntryID(10, 0),
        EntryID(10, most),
        EntryID(1 << 63, 0), EntryID(most, 0), EntryID(most, most),
    ]
    #expect(rising.shuffled().sorted() == rising)
}

@Test(
    arguments: [
        ("-", EntryID.smallest, EntryID.smallest),
        ("+", EntryID.largest, EntryID.largest),
        ("5", EntryID(5, 0), EntryID(5, most)),
        ("5-7", EntryID(5, 7), EntryID(5, 7)),
        ("(5-7", EntryID(5, 8), EntryID(5, 6)),
        ("(5", EntryID(5, 1), EntryID(5, most - 1)),
        ("(5-0", EntryID(5, 1), EntryID(4, most)),
        ("(5-18446744073709551615", EntryID(6, 0), EntryID(5, most - 1)),
        ("(0-0", EntryID(0, 1), nil),
        ("(18446744073709551615-18446744073709551615", nil, EntryID(most, most - 1)),
        ("18446744073709551615", EntryID(most, 0), EntryID(most, most)),
    ] as [(String, EntryID?, EntryID?)])
func boundsOfARange(_ text: String, _ lower: EntryID?, _ upper: EntryID?) throws {
    #expect(try RangeBound.lower(text, name: "start_id") == lower)
    #expect(try RangeBound.upper(text, name: "end_id") == upper)
}

@Test(arguments: [
    "", "(", "((1", "(-", "(+", "x", "1-x", "18446744073709551616", "[1", "1-1)", " 1",
])
func boundsThatAreNone(_ text: String) {
    for (name, bound) in [("start_id", RangeBound.lower), ("end_id", RangeBound.upper)] {
        let error = #expect(throws: RedcolError.self) { try bound(text, name, nil) }
        #expect(error?.cause == .invalidArgument)
        #expect(error?.message.hasPrefix("\(name) is \"") == true)
        #expect(error?.message.contains("milliseconds-sequence") == true)
    }
}

@Test(
    arguments: [
        ("-1ms", 1), ("-0s", 0), ("-1s", 1_000), ("-2m", 120_000), ("-1h", 3_600_000),
        ("-1d", 86_400_000), ("-1w", 604_800_000), ("-1h30m", 5_400_000), ("-1m1ms", 60_001),
        ("-18446744073709551615ms", most),
    ] as [(String, UInt64)])
func timesBeforeNow(_ text: String, _ back: UInt64) throws {
    #expect(RangeBound.millisecondsBack(text) == back)
    let now: UInt64 = 1_704_067_200_000
    let then = now > back ? now - back : 0
    #expect(try RangeBound.lower(text, name: "start_id", now: now) == EntryID(then, 0))
    #expect(try RangeBound.upper(text, name: "end_id", now: now) == EntryID(then, most))
    // Where there is no clock they are no ids.
    #expect(throws: RedcolError.self) { try RangeBound.lower(text, name: "start_id") }
}

@Test(arguments: [
    "", "-", "-1", "-h", "1h", "--1h", "-1hh", "-1h2", "-1y", "-1 h", "+1h", "-1.5h", "-1H", "-5-1",
    "-18446744073709551616ms", "-18446744073709551615s", "-9999999999999999w9999999999999999w",
])
func whatIsNoTimeBeforeNow(_ text: String) {
    #expect(RangeBound.millisecondsBack(text) == nil)
    if text == "-" { return }
    let error = #expect(throws: RedcolError.self) { try RangeBound.lower(text, name: "start_id") }
    #expect(error?.message.contains("a time before now, such as \"-1h\"") == true)
}

@Test func mirroredIDsAreInTheOtherOrder() {
    let rising = [
        EntryID(0, 0), EntryID(0, 1), EntryID(7, most), EntryID(8, 0), EntryID(most, most),
    ]
    #expect(rising.map { $0.mirrored }.reversed() == rising.map { $0.mirrored }.sorted())
    #expect(rising.map { $0.mirrored.mirrored } == rising)
}

@Test func aRangeHasNoNewEntries() {
    let error = #expect(throws: RedcolError.self) { try RangeBound.lower("$", name: "start_id") }
    #expect(error?.message.contains("block_ms") == true)
}

@Test func longTextIsCutInTheMessage() {
    let text = String(repeating: "1", count: 10_000)
    let error = #expect(throws: RedcolError.self) { try RangeBound.lower(text, name: "start_id") }
    #expect((error?.message.utf8.count ?? 0) < 300)
}
