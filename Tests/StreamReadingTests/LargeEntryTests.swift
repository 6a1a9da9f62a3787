// SPDX-License-Identifier: Apache-2.0
// Entries that come in many pieces: they are counted through once, not parsed again for each piece.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

private func largeEntry(_ id: String, fields: Int, valueBytes: Int) -> SampleEntry {
    let value = [UInt8](repeating: 0x76, count: valueBytes)
    return SampleEntry(id, (0..<fields).map { (utf8("f\($0)"), value) })
}

@Test func anEntryOfManyPiecesIsSkimmedOnce() throws {
    let entry = Resp.entry(largeEntry("1-1", fields: 80_000, valueBytes: 90))
    #expect(entry.count > 8_000_000)
    var skim = EntrySkim(isActive: true)
    var received = [UInt8](repeating: 0, count: entry.count + ReceiveBuffer.slack)
    var seen = 0
    for end in stride(from: 4_096, to: entry.count, by: 4_096) {
        received.replaceSubrange((end - 4_096)..<end, with: entry[(end - 4_096)..<end])
        let outcome = received.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { skim.advance($0, $0 + end, EntryLimits()) }
        }
        try #require(outcome == .needsMore)
        // Bytes that were looked through are spoilt: who looks again finds nothing good.
        let looked = min(skim.length, end)
        for index in seen..<looked { received[index] = 0x21 }
        #expect(looked > end - 200)
        seen = looked
    }
}

/// The same through the parser: while pieces arrive, the bytes before the last 4 KiB are spoilt.
@Test func anEntryOfManyPiecesIsParsedOnce() throws {
    let reply = Resp.entries([
        SampleEntry("1-0", "a", "small"), largeEntry("1-1", fields: 40_000, valueBytes: 190),
        SampleEntry("1-2", "a", "small"),
    ])
    #expect(reply.count > 8_000_000)
    let run = try ParserRun(schema: [.column("a"), .column("f0"), .column("f39999")])
    let spoiltMost = reply.count - 100_000
    var spoilt: [UInt8] = []
    var tampered = 0
    run.tamper = { waiting in
        // What was spoilt before is put right when nearly all has come, and never earlier.
        let isNearlyAll = waiting.count > spoiltMost
        guard waiting.count > 2 * EntrySkim.worthwhileBytes || !spoilt.isEmpty else { return }
        if isNearlyAll {
            for (index, byte) in spoilt.enumerated() { waiting[index] = byte }
            spoilt = []
            return
        }
        for index in spoilt.count..<max(spoilt.count, waiting.count - 8_192) {
            spoilt.append(waiting[index])
            waiting[index] = 0x21
        }
        tampered += 1
    }
    try run.feed(reply, .sized(4_096))
    #expect(run.failure == nil, "\(run.failure?.message ?? "")")
    #expect(run.repliesEnded == 1 && tampered > 1_800)
    let value = Cell.bytes([UInt8](repeating: 0x76, count: 190))
    try #require(run.rows.map { $0[utf8("_id")] } == [.text("1-0"), .text("1-1"), .text("1-2")])
    #expect(run.rows[1][utf8("f0")] == value && run.rows[1][utf8("f39999")] == value)
    #expect(run.rows[1][utf8("a")] == nil && run.rows[2][utf8("a")] == .text("small"))
}

@Test(arguments: [(1, 300_000), (3, 70_000), (2_000, 50), (5_000, 0)], [1_000, 65_536, 100_000])
func largeEntriesInPieces(_ shape: (fields: Int, valueBytes: Int), _ piece: Int) throws {
    let entries = (0..<4).map {
        largeEntry("1-\($0)", fields: shape.fields, valueBytes: shape.valueBytes)
    }
    let run = try ParserRun()
    try run.feed(Resp.entries(entries), .sized(piece), rowsMax: 3)
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(run.batches.map { $0.rows.count } == [3, 1])
    for (row, entry) in zip(run.rows, entries) {
        #expect(row.count == 2 + shape.fields)
        #expect(entry.fields.allSatisfy { row[$0.name] == .bytes($0.value) })
    }
}

@Test func aLargeEntryOfOneValueByteByByteAtItsEnd() throws {
    let reply = Resp.entries([
        largeEntry("1-1", fields: 2, valueBytes: 100_000), SampleEntry("1-2"),
    ])
    let run = try ParserRun()
    run.withParser { $0.expect(.entries, entriesMax: 2) }
    try run.continueFeeding(Array(reply.dropLast(200)), .sized(1_000))
    try run.continueFeeding(Array(reply.suffix(200)), .single)
    try #require(run.rows.count == 2 && run.repliesEnded == 1)
    #expect(run.rows[0][utf8("f1")] == .bytes([UInt8](repeating: 0x76, count: 100_000)))
}

@Test(arguments: [
    "*2\r\n$3\r\n1-2\r\n*4\r\n$1\r\na\r\n", "*2\r\n$3\r\n1-2\r\n*3\r\n$1\r\na\r\n",
])
func aLargeEntryThatGoesWrongLate(_ head: String) throws {
    let value = [UInt8](repeating: 0x76, count: 200_000)
    for tail in ["$-1\r\n$1\r\nv\r\n", ":1\r\n", "$536870913\r\n", "$1\r\nxyz\r\n$1\r\nv\r\n"] {
        let reply = utf8("*2\r\n*2\r\n$3\r\n1-1\r\n*0\r\n" + head) + Resp.bulk(value) + utf8(tail)
        for pieces in [Pieces.sized(10_000), .whole] {
            let run = try ParserRun()
            try run.feed(reply + utf8("+\r\n+\r\n"), pieces)
            let isHuge = tail.hasPrefix("$536870913") && head.contains("*4")
            #expect(
                run.failure?.cause == (isHuge ? .tooLarge : .protocolViolation),
                "\(tail.debugDescription)")
            #expect(run.rows.count == 1)
        }
    }
}

@Test func aLargeEntryThatIsPassedOver() throws {
    let run = try ParserRun()
    run.withParser { $0.skipped = [RowID(id: EntryID(1, 1), stream: 0)] }
    let reply = Resp.entries([
        largeEntry("1-1", fields: 3_000, valueBytes: 100), SampleEntry("1-2", "a", "v"),
    ])
    try run.feed(reply, .sized(4_096))
    #expect(run.failure == nil && run.repliesEnded == 1)
    #expect(run.rows.map { $0[utf8("_id")] } == [.text("1-2")])
    #expect(run.columnNames == ["_id", "_ts", "a"])
}
