// SPDX-License-Identifier: Apache-2.0
// The row parser against hiredis' own reader on the same bytes: random streams, cut in every way.

import ArrowColumns
import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

/// What a read has to give, made from hiredis' tree by obvious steps.
private struct Expected {
    var rows: [[[UInt8]: Cell]] = []
    var refusedIDs: [String] = []
    var columns: [[UInt8]]

    /// `schema`: name and format of each column; nil: every field that is found, as a string.
    init(_ reply: [UInt8], schema: [(name: String, format: String)]?, nullsMisfits: Bool) throws {
        let reserved = ["_id", "_ts"].map { utf8($0) }
        columns = reserved + (schema ?? []).map { utf8($0.name) }
        guard let found = HiredisReader.reply(reply)?.rows else {
            throw ParserFault(what: "no rows")
        }
        for entry in found {
            var row: [[UInt8]: Cell] = [reserved[0]: .text(entry.id)]
            var misfits = 0
            let milliseconds = entry.id.split(separator: "-")[0]
            if let number = Int64(milliseconds) {
                row[reserved[1]] = .integer(number)
            } else {
                misfits += 1
            }
            for name in entry.names {
                guard schema == nil || !reserved.contains(name) else { continue }
                let shown = reserved.contains(name) ? name + utf8("_field") : Expected.shown(name)
                if schema == nil, !columns.contains(shown) { columns.append(shown) }
                guard let value = entry.fields[name] else { continue }
                let format = schema == nil ? "vu" : schema?.first { utf8($0.name) == name }?.format
                guard let format else { continue }
                row[shown] = Expected.cell(value, format)
                if row[shown] == nil { misfits += 1 }
            }
            if misfits > 0, !nullsMisfits { refusedIDs.append(entry.id) } else { rows.append(row) }
        }
    }

    private static func cell(_ value: [UInt8], _ format: String) -> Cell? {
        let text = String(validating: value, as: UTF8.self)
        switch format {
        case "vz": return .bytes(value)
        case "l": return text.flatMap { Int64($0) }.map { .integer($0) }
        default: return text.map { .text($0) }
        }
    }

    /// The generator's only bytes that are no text are FF and 00.
    private static func shown(_ name: [UInt8]) -> [UInt8] {
        name.flatMap { $0 == 0xFF ? utf8("\\xff") : $0 == 0 ? utf8("\\x00") : [$0] }
    }
}

private let schema: [(name: String, format: String)] = [
    ("field3", "vu"), ("field1", "l"), ("größe 1", "vz"), ("field2", "vz"), ("", "vu"),
    ("absent", "l"),
    ("many149", "l"), ("field7", "l"),
]

private func compare(
    _ reply: [UInt8], _ pieces: Pieces, hasSchema: Bool, onError: String, rowsMax: Int = .max
) throws {
    let expected = try Expected(
        reply, schema: hasSchema ? schema : nil, nullsMisfits: onError == "null")
    let columns = try schema.map { try RequestedColumn.column($0.name, format: $0.format) }
    let run = try ParserRun([("on_error", onError)], schema: hasSchema ? columns : nil)
    try run.feed(reply, pieces, rowsMax: rowsMax)
    try #require(run.failure == nil, "\(run.failure?.message ?? "")")
    try #require(run.repliesEnded == 1 && run.waitingCount == 0)
    try #require(run.rows == expected.rows)
    try #require(run.withParser { $0.columns.map { $0.name } } == expected.columns)
    let refused = run.refused.compactMap { $0.details.first?.1 }
    try #require(refused == expected.refusedIDs)
    if rowsMax != .max {
        try #require(run.batches.dropLast().allSatisfy { $0.rows.count == rowsMax })
    }
}

@Test(arguments: 0..<12, ["raise", "null"])
func aStreamInRandomPieces(_ seed: UInt64, _ onError: String) throws {
    var generator = SeededGenerator(seed)
    let entries = SampleEntry.random(150, using: &generator, deletedOnceIn: 30)
    let reply = Resp.entries(entries)
    for hasSchema in [true, false] {
        let most = generator.pick([3, 50, 1_000, 10_000])
        let rowsMax = generator.pick([1, 7, 64, Int.max])
        try compare(
            reply, .random(seed, most: most), hasSchema: hasSchema, onError: onError,
            rowsMax: rowsMax)
        try compare(reply, .whole, hasSchema: hasSchema, onError: onError)
    }
}

@Test(arguments: 100..<106, [true, false])
func aStreamCutAtEveryByte(_ seed: UInt64, _ hasSchema: Bool) throws {
    var generator = SeededGenerator(seed)
    let entries = SampleEntry.random(6, using: &generator, deletedOnceIn: 6)
        .filter { $0.fields.count < 20 }
    let reply = Resp.entries(entries)
    let step = max(1, reply.count / 400)
    for place in stride(from: 0, through: reply.count, by: step) {
        try compare(reply, .cut(at: place), hasSchema: hasSchema, onError: "null", rowsMax: 2)
    }
    try compare(reply, .single, hasSchema: hasSchema, onError: "raise")
}

/// Replies one after the other go into the same batch, which is taken out in the middle of them.
@Test(arguments: 200..<210)
func manyRepliesOneBatch(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed)
    let run = try ParserRun([("on_error", "null")])
    var expected: [[[UInt8]: Cell]] = []
    for page in 0..<5 {
        let reply = Resp.entries(SampleEntry.random(20, using: &generator))
        expected += try Expected(reply, schema: nil, nullsMisfits: true).rows
        try run.feed(reply, .random(seed, most: 300), rowsMax: 1 + 7 * page)
    }
    #expect(run.rows == expected && run.repliesEnded == 5)
}

@Test(arguments: 300..<320)
func repliesOfManyStreams(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed)
    let names = ["first", "", "größe"]
    let parts = names.shuffled(using: &generator).map { name in
        (name, SampleEntry.random(generator.below(8), using: &generator, deletedOnceIn: 4))
    }
    let reply = Resp.array(
        parts.map { name, entries in Resp.array([Resp.bulk(utf8(name)), Resp.entries(entries)]) })
    let run = try ParserRun([("on_error", "null"), ("stream_column", "_stream")], streams: names)
    run.withParser { $0.keepsRowIDs = true }
    try run.feed(reply, .random(seed, most: 40), as: .streams)
    #expect(run.failure == nil && run.repliesEnded == 1)
    let expected = parts.flatMap { name, entries in
        entries.filter { !$0.isDeleted }.map { (name, $0.id) }
    }
    #expect(run.rows.map { $0[utf8("_id")] } == expected.map { .text($0.1) })
    #expect(run.rows.map { $0[utf8("_stream")] } == expected.map { .text($0.0) })
    let rowIDs = run.withParser { $0.takeRows() }
    #expect(rowIDs.map { names[Int($0.stream)] } == expected.map { $0.0 })
    #expect(rowIDs.map { $0.id.text } == expected.map { $0.1 })
    let deleted = run.withParser { $0.takeDeleted() }
    #expect(
        deleted.named.map { $0.id.text }
            == parts.flatMap { $0.1.filter { $0.isDeleted }.map { $0.id } })
}
