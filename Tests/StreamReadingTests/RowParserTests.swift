// SPDX-License-Identifier: Apache-2.0
// Entries become rows: recorded replies, schemas, late columns, values that do not fit.

import ArrowColumns
import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

private func row(_ id: String, _ milliseconds: Int64?, _ cells: (String, Cell)...) -> [[UInt8]:
    Cell]
{
    var row: [[UInt8]: Cell] = [utf8("_id"): .text(id)]
    if let milliseconds { row[utf8("_ts")] = .integer(milliseconds) }
    for (name, cell) in cells { row[utf8(name)] = cell }
    return row
}

private let plain = [("include_id", "true"), ("include_timestamp", "false")]
private let null = [("on_error", "null"), ("include_timestamp", "false")]

/// What redis-server 7.0.15 sent.
private enum Recorded {
    static let range = """
        *3\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ntwo\r\n\
        *2\r\n$3\r\n1-2\r\n*4\r\n$1\r\na\r\n$0\r\n\r\n$1\r\nc\r\n$10\r\nline\nbreak\r\n\
        *2\r\n$41\r\n18446744073709551615-18446744073709551614\r\n\
        *6\r\n$12\r\nnaïve field\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\n3\r\n$1\r\na\r\n$1\r\n4\r\n
        """
    static let pending = """
        *1\r\n*2\r\n$1\r\ns\r\n*3\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n\
        $3\r\ntwo\r\n*2\r\n$3\r\n1-2\r\n*-1\r\n*2\r\n$41\r\n18446744073709551615-184467440737095516\
        14\r\n*6\r\n$12\r\nnaïve field\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\n3\r\n$1\r\na\r\n$1\r\n4\r\n
        """
    static let claimed = """
        *3\r\n$3\r\n0-0\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n\
        $3\r\ntwo\r\n*1\r\n$3\r\n1-2\r\n
        """
}

@Test(arguments: [Pieces.whole, .single, .sized(7)])
func aRecordedRange(_ pieces: Pieces) throws {
    let run = try ParserRun(null)
    try run.feed(utf8(Recorded.range), pieces)
    #expect(run.failure == nil && run.repliesEnded == 1 && run.refused.isEmpty)
    #expect(
        run.rows == [
            row("1-1", nil, ("a", .text("1")), ("b", .text("two"))),
            row("1-2", nil, ("a", .text("")), ("c", .text("line\nbreak"))),
            row(
                "18446744073709551615-18446744073709551614", nil, ("a", .text("4")),
                ("naïve field", .text("x"))),
        ])
    #expect(run.columnNames == ["_id", "a", "b", "c", "naïve field"])
    #expect(run.withParser { $0.lastID } == EntryID(.max, .max - 1))
    #expect(run.withParser { $0.entriesParsed } == 3)
}

@Test(arguments: [Pieces.whole, .single, .sized(7)])
func recordedPendingEntries(_ pieces: Pieces) throws {
    let run = try ParserRun(null, streams: ["other", "s"])
    try run.feed(utf8(Recorded.pending), pieces, as: .streams)
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(run.rows.map { $0[utf8("b")] } == [.text("two"), nil])
    let deleted = run.withParser { $0.takeDeleted() }
    #expect(deleted.named == [RowID(id: EntryID(1, 2), stream: 1)] && deleted.nameless == 0)
}

@Test(arguments: [Pieces.whole, .single, .sized(7)])
func recordedClaimedEntries(_ pieces: Pieces) throws {
    let run = try ParserRun(null)
    try run.feed(utf8(Recorded.claimed), pieces, as: .claimed(stream: 0))
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(run.rows.count == 1)
    let frame = run.withParser { $0.replyFrame }
    #expect(frame?.claimCursor == .smallest)
    #expect(frame?.deletedIDs == [EntryID(1, 2)])
}

@Test(arguments: ["*0\r\n", "*-1\r\n"])
func noEntries(_ reply: String) throws {
    let run = try ParserRun(schema: [.column("a")])
    try run.feed(utf8(reply), .single)
    #expect(run.repliesEnded == 1 && run.rows.isEmpty && run.failure == nil)
    #expect(run.columnNames == ["_id", "_ts", "a"])
}

@Test func aRecordedErrorIsLeftForAnother() throws {
    let reply = utf8("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
    let run = try ParserRun()
    try run.feed(reply)
    #expect(run.sawServerError && run.waitingCount == reply.count && run.failure == nil)
}

@Test func allColumnsOfTheID() throws {
    let run = try ParserRun([("include_sequence", "true")])
    try run.feed(
        Resp.entries([
            SampleEntry("0-1"), SampleEntry("1704067200000-7"),
            SampleEntry("00000000000000000001704067200000-08"),
            SampleEntry("9223372036854775807-18446744073709551615"),
        ]))
    #expect(run.batches.first?.formats == ["vu", "l", "L"])
    #expect(
        run.batches.first?.rows == [
            [.text("0-1"), .integer(0), .unsigned(1)],
            [.text("1704067200000-7"), .integer(1_704_067_200_000), .unsigned(7)],
            [
                .text("00000000000000000001704067200000-08"), .integer(1_704_067_200_000),
                .unsigned(8),
            ],
            [.text("9223372036854775807-18446744073709551615"), .integer(.max), .unsigned(.max)],
        ])
}

@Test func millisecondsBeyondATimestamp() throws {
    let reply = Resp.entries([
        SampleEntry("9223372036854775808-0", "a", "1"), SampleEntry("9223372036854775809-0"),
    ])
    let strict = try ParserRun()
    try strict.feed(reply)
    #expect(strict.rows.isEmpty && strict.refused.count == 2 && strict.repliesEnded == 1)
    #expect(strict.refused.first?.cause == .value)
    #expect(strict.refused.first?.message.contains("\"_ts\"") == true)
    let lenient = try ParserRun([("on_error", "null")])
    try lenient.feed(reply)
    #expect(lenient.rows.map { $0[utf8("_ts")] } == [nil, nil])
}

@Test func aSchemaDecidesNamesOrderAndTypes() throws {
    let schema: [RequestedColumn] = [
        try .column("n", format: "l"), .column("none"), try .column("raw", format: "z"),
        .column("a"),
    ]
    let run = try ParserRun(plain, schema: schema)
    try run.feed(
        Resp.entries([
            SampleEntry("1-0", "a", "x", "ignored", "y", "n", "-5"),
            SampleEntry("2-0"),
            SampleEntry("3-0", "n", "1", "raw", "r", "n", "2", "a", "", "more", ""),
        ]))
    #expect(run.batches.first?.names == ["_id", "n", "none", "raw", "a"].map { utf8($0) })
    #expect(run.batches.first?.formats == ["vu", "l", "vu", "vz", "vu"])
    #expect(
        run.batches.first?.rows == [
            [.text("1-0"), .integer(-5), .null, .null, .text("x")],
            [.text("2-0"), .null, .null, .null, .null],
            [.text("3-0"), .integer(2), .null, .text("r"), .text("")],
        ])
}

@Test func fieldsNamedAsIDColumnsOverwriteNothing() throws {
    let run = try ParserRun()
    try run.feed(Resp.entries([SampleEntry("1-0", "_id", "mine", "_ts", "mine", "_seq", "mine")]))
    let own = [("_id_field", Cell.text("mine")), ("_ts_field", .text("mine"))]
    #expect(run.rows == [row("1-0", 1, own[0], own[1], ("_seq", .text("mine")))])
    #expect(run.columnNames == ["_id", "_ts", "_id_field", "_ts_field", "_seq"])
    let renamed = try ParserRun([("id_column", "key"), ("include_timestamp", "false")])
    try renamed.feed(Resp.entries([SampleEntry("1-0", "_id", "mine", "key", "mine")]))
    #expect(
        renamed.rows == [
            [
                utf8("key"): .text("1-0"), utf8("_id"): .text("mine"),
                utf8("key_field"): .text("mine"),
            ]
        ])
}

/// What each column of one entry is, found and then asked for by the names that were found.
@Test(
    arguments: [
        (["_id_field", "_id"], ["_id_field", "_id_field2"]),
        (["_id_field2", "_id"], ["_id_field2", "_id_field3"]),
        (["_id_field02", "_id"], ["_id_field02", "_id_field"]),
        (["_id_field7", "_id", "_id_field3"], ["_id_field7", "_id_field8", "_id_field3"]),
        (["_id", "x", "_id"], ["_id_field", "x"]),
    ])
func columnsOfFieldsWhoseNameIsTaken(_ fields: [String], _ columns: [String]) throws {
    let pairs = fields.enumerated().map { (utf8($1), utf8("value \($0)")) }
    let reply = Resp.entries([SampleEntry("1-0", pairs)])
    let found = try ParserRun(plain)
    try found.feed(reply)
    #expect(found.columnNames == ["_id"] + columns)
    let asked = try ParserRun(plain, schema: (["_id"] + columns.reversed()).map { .column($0) })
    try asked.feed(reply)
    #expect(asked.rows == found.rows && found.rows.count == 1)
}

/// A field whose name another field's column has, or would be taken for, is kept, too.
@Test(
    arguments: [
        (["_id", "_id_field"], ["_id_field", "_id_field_field"]),
        (["_id_field", "_id", "_id_field2"], ["_id_field", "_id_field2", "_id_field2_field"]),
        (["_id", "_id_field2"], ["_id_field", "_id_field2_field"]),
        (
            ["_id_field_field", "_id", "_id_field"],
            ["_id_field_field", "_id_field", "_id_field_field2"]
        ),
    ])
func columnsOfFieldsThatComeLate(_ fields: [String], _ columns: [String]) throws {
    let pairs = fields.enumerated().map { (utf8($1), utf8("value \($0)")) }
    let run = try ParserRun(plain)
    try run.feed(Resp.entries([SampleEntry("1-0", pairs)]))
    #expect(run.columnNames == ["_id"] + columns)
    for (index, column) in columns.enumerated() {
        #expect(run.rows.first?[utf8(column)] == .text("value \(index)"))
    }
}

@Test(arguments: [["_id", "_id_field"], ["_id_field", "_id"], ["_id", "_id_field", "_id"]])
func aFieldOfTheColumnsOwnNameGoesBefore(_ fields: [String]) throws {
    let pairs = fields.map { (utf8($0), utf8($0)) }
    let run = try ParserRun(plain, schema: [.column("_id_field")])
    try run.feed(Resp.entries([SampleEntry("1-0", pairs), SampleEntry("1-1", "_id", "x")]))
    let own = fields == ["_id", "_id_field", "_id"] ? "_id" : "_id_field"
    #expect(run.rows.map { $0[utf8("_id_field")] } == [.text(own), .text("x")])
}

@Test func namesThatAreNoTextAreAskedForAsTheyAreShown() throws {
    let run = try ParserRun(plain, schema: [.column("\\xff"), .column("a")])
    try run.feed(
        Resp.entries([
            SampleEntry("1-0", [([0xFF], utf8("bytes")), (utf8("a"), utf8("b"))]),
            SampleEntry("1-1", [([0xFF], utf8("bytes")), (utf8("\\xff"), utf8("letters"))]),
            SampleEntry("1-2", [([0xFE], utf8("other")), (utf8("\\xff"), utf8("letters"))]),
        ]))
    #expect(
        run.rows.map { $0[utf8("\\xff")] } == [.text("bytes"), .text("letters"), .text("letters")])
}

@Test func columnsFoundLateAreNullBefore() throws {
    let run = try ParserRun(plain)
    let first = (0..<100).map { SampleEntry("\($0)-1", "a", "\($0)") }
    try run.feed(Resp.entries(first + [SampleEntry("100-1", "b", "late", "a", "x")]))
    try run.feed(Resp.entries([SampleEntry("101-1", "c", "later")]))
    #expect(run.batches.map { $0.names.count } == [3, 4])
    try #require(run.rows.count == 102)
    #expect(run.rows[99] == row("99-1", nil, ("a", .text("99"))))
    #expect(run.rows[100] == row("100-1", nil, ("a", .text("x")), ("b", .text("late"))))
    #expect(run.rows[101] == row("101-1", nil, ("c", .text("later"))))
}

@Test func aColumnFoundInAPieceStaysWhereItWasFound() throws {
    let reply = Resp.entries([SampleEntry("1-1", "b", "1", "a", "2"), SampleEntry("1-2", "a", "3")])
    for place in 0...reply.count {
        let run = try ParserRun(plain)
        try run.feed(reply, .cut(at: place))
        #expect(run.columnNames == ["_id", "b", "a"])
        #expect(run.rows.count == 2)
    }
}

@Test(arguments: [
    ([0x61, 0x00], "a\\x00"), ([0xFF], "\\xff"), ([0xC3, 0x28], "\\xc3("),
    ([0x61, 0xE2, 0x82], "a\\xe2\\x82"),
    (utf8("größe") + [0x80], "größe\\x80"), ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"), ([], ""),
    ([0xF0, 0x9F, 0x98, 0x80, 0xFE], "😀\\xfe"), ([0xC3], "\\xc3"),
])
func namesThatAreNoText(_ name: [UInt8], _ shown: String) throws {
    let run = try ParserRun(plain)
    try run.feed(Resp.entries([SampleEntry("1-1", [(name, utf8("v"))])]))
    #expect(run.columnNames == ["_id", shown])
    #expect(run.rows == [row("1-1", nil, (shown, .text("v")))])
}

@Test func twoNamesThatLookAlikeEscaped() throws {
    let run = try ParserRun()
    try run.feed(
        Resp.entries([
            SampleEntry("1-1", [([0xFF], utf8("v"))]),
            SampleEntry("1-2", [(utf8("\\xff"), utf8("w"))]),
        ]))
    #expect(run.failure == nil && run.rows.count == 2)
    #expect(run.columnNames == ["_id", "_ts", "\\xff", "\\xff_field"])
}

@Test func moreColumnsThanAllowed() throws {
    let run = try ParserRun([("columns_max", "4")])
    try run.feed(
        Resp.entries([SampleEntry("1-1", "a", "", "b", ""), SampleEntry("1-2", "a", "", "c", "")]),
        .single)
    #expect(run.failure?.cause == .schema)
    #expect(run.failure?.message.contains("there are at most 4") == true)
    #expect(run.rows.count == 1)
}

@Test func aValueThatDoesNotFitSaysAllAboutItself() throws {
    let run = try ParserRun(schema: [.column("n", .int64), .column("s")])
    let long = String(repeating: "9", count: 200)
    try run.feed(
        Resp.entries([
            SampleEntry("1-1", "n", "1"), SampleEntry("1-2", "n", "x\n", "s", "ok"),
            SampleEntry("1-3", "n", long), SampleEntry("1-4", [(utf8("s"), [0xFF])]),
            SampleEntry("1-5", "n", "bad", "n", "2"), SampleEntry("1-6", "n", "2", "n", "bad"),
        ]), .single)
    #expect(run.repliesEnded == 1 && run.failure == nil)
    #expect(run.rows.map { $0[utf8("_id")] } == [.text("1-1"), .text("1-5")])
    #expect(run.rows.map { $0[utf8("n")] } == [.integer(1), .integer(2)])
    try #require(run.refused.count == 4 && run.refused.allSatisfy { $0.cause == .value })
    let details = run.refused.map { error in error.details.map { $0.1 } }
    #expect(details[0] == ["1-2", "n", "l", "x\\x0a"])
    #expect(details[1] == ["1-3", "n", "l", String(repeating: "9", count: 80) + "…"])
    #expect(details[2] == ["1-4", "s", "vu", "\\xff"])
    #expect(details[3] == ["1-6", "n", "l", "bad"])
    #expect(run.refused[0].message.contains("entry 1-2, field \"n\": the value \"x\\x0a\""))
}

@Test func aValueThatDoesNotFitAsNull() throws {
    let run = try ParserRun(null, schema: [.column("n", .int64), .column("s")])
    try run.feed(
        Resp.entries([
            SampleEntry("1-1", "n", "x", "s", "stays"), SampleEntry("1-2", [(utf8("s"), [0xFF])]),
            SampleEntry("1-3", "n", "bad", "n", "2"), SampleEntry("1-4", "n", "2", "n", "bad"),
        ]), .single)
    #expect(run.refused.isEmpty)
    #expect(
        run.rows == [
            row("1-1", nil, ("s", .text("stays"))), row("1-2", nil),
            row("1-3", nil, ("n", .integer(2))),
            row("1-4", nil),
        ])
}

@Test func entriesThatArePassedOver() throws {
    let run = try ParserRun(plain)
    run.withParser {
        $0.keepsRowIDs = true
        $0.skipped = [RowID(id: EntryID(1, 2), stream: 0)]
        $0.upperBound = EntryID(1, 3)
    }
    try run.feed(
        Resp.entries((1...5).map { SampleEntry("1-\($0)", "field\($0)", "v") }), .single)
    #expect(run.rows.map { $0[utf8("_id")] } == [.text("1-1"), .text("1-3")])
    #expect(run.columnNames == ["_id", "field1", "field3"])
    #expect(run.withParser { $0.streamsPassed == [0] } && run.withParser { $0.entriesParsed } == 5)
    #expect(run.withParser { $0.takeRows() }.map { $0.id } == [EntryID(1, 1), EntryID(1, 3)])
}

@Test func aReplyThatIsGivenUpLeavesItsRows() throws {
    let reply = Resp.entries((1...4).map { SampleEntry("1-\($0)", "a", "v\($0)") })
    let run = try ParserRun(plain)
    try run.feed(Array(reply.dropLast(10)))
    #expect(run.rows.count == 3 && run.withParser { $0.lastID } == EntryID(1, 3))
    let rest = try ParserRun(plain)
    rest.withParser { $0.expect(.entries, entriesMax: 10) }
    rest.withParser { $0.abandonReply() }
    try rest.feed(reply)
    #expect(rest.rows.count == 4)
}

/// Cut anywhere, a reply shows each of the columns that were discovered before, or is refused.
@Test(arguments: [Pieces.whole, .single, .sized(7), .random(5, most: 9)])
func columnsDiscoveredBefore(_ pieces: Pieces) throws {
    let wanted = [RequestedColumn(name: utf8("b"), type: .string)]
    let known = null + [("discovered", "1:a,1:b,1:c,12:naïve field,")]
    let run = try ParserRun(known, schema: wanted)
    try run.feed(utf8(Recorded.range), pieces)
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(
        run.rows == [
            row("1-1", nil, ("b", .text("two"))), row("1-2", nil),
            row("18446744073709551615-18446744073709551614", nil),
        ])

    let strict = try ParserRun(null + [("discovered", "1:a,1:b,1:c,")], schema: wanted)
    try strict.feed(utf8(Recorded.range), pieces)
    #expect(strict.failure?.cause == .schema)
    #expect(strict.failure?.message.contains("\"naïve field\"") == true)
}

/// No two fields have the same spelling, whatever bytes they are made of.
@Test func eachFieldHasItsSpelling() {
    let fields: [[UInt8]] = [
        utf8("a"), utf8("\\"), utf8("\\x"), utf8("\\x4"), utf8("\\x41"), utf8("\\x4G"),
        utf8("\\x00"), utf8("\\x5cx41"), utf8("\\\\x41"), utf8("é"), utf8("\\xc3\\xa9"), [0],
        [0xFF], [0x5C, 0xFF],
        [0xC3], utf8("\\xc3"), [0x5C] + utf8("x41") + [0], utf8("\\xFF"),
    ]
    let spelled = fields.map { $0.withUnsafeBufferPointer { fieldSpelling($0) } }
    #expect(Set(spelled).count == fields.count)
    let texts = spelled.map { String(decoding: $0, as: UTF8.self) }
    #expect(texts[4] == "\\x5cx41" && texts[11] == "\\x00" && texts[12] == "\\xff")
    #expect(texts[3] == "\\x4" && texts[9] == "é")
}

@Test(arguments: ["raise", "null", "skip"])
func anEntryThatLacksAField(_ onError: String) throws {
    let schema = [
        RequestedColumn(name: utf8("a"), type: .int64),
        RequestedColumn(name: utf8("b"), type: .string),
    ]
    let options = [("missing_field", "raise"), ("on_error", onError)]
    let entries = [
        SampleEntry("1-1", "a", "1", "b", ""), SampleEntry("1-2", "a", "2", "c", "x"),
        SampleEntry("1-3", "b", "y"), SampleEntry("1-4", "b", "z", "a", "4"),
    ]
    let run = try ParserRun(options, schema: schema)
    try run.feed(Resp.entries(entries), .sized(7))
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(run.rows.map { $0[utf8("_id")] } == [.text("1-1"), .text("1-4")])
    #expect(run.refused.count == (onError == "skip" ? 0 : 2))
    #expect(run.withParser { $0.leftOut.takeCount() } == (onError == "skip" ? 2 : 0))
    for (error, field) in zip(run.refused, ["b", "a"]) {
        #expect(error.cause == .value)
        #expect(error.message.contains("field \"\(field)\": the entry has no such field; "))
        #expect(!error.details.contains { $0.0 == .value })
    }
}
