// SPDX-License-Identifier: Apache-2.0
// Bytes that no Redis server sends where entries should be: an error each time, never a trap, and
// never half a row.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

private let good = "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nv\r\n"

/// A reply of two entries, the second of which is `entry`.
private func after(_ entry: String) -> [UInt8] { utf8("*2\r\n" + good + entry) }

private let malformedEntries = [
    "*2\n$3\r\n1-2\r\n*0\r\n", "*2\r$3\r\n1-2\r\n*0\r\n", "*3\r\n$3\r\n1-2\r\n*0\r\n:1\r\n",
    "*1\r\n$3\r\n1-2\r\n", "*0\r\n", "*-2\r\n", "*-1x\r\n", ":1\r\n", "+OK\r\n", "$3\r\n1-2\r\n",
    "x",
    "-ERR in the middle\r\n", "\r\n\r\n", "*2\r\n:1\r\n*0\r\n", "*2\r\n$-1\r\n*0\r\n",
    "*2\r\n*0\r\n*0\r\n", "*2\r\n+1-2\r\n*0\r\n", "*2\r\n$0\r\n\r\n*0\r\n",
    "*2\r\n$1\r\n1\r\n*0\r\n",
    "*2\r\n$3\r\n1+2\r\n*0\r\n", "*2\r\n$3\r\n1-x\r\n*0\r\n", "*2\r\n$4\r\n-1-2\r\n*0\r\n",
    "*2\r\n$2\r\n1-2\r\n*0\r\n", "*2\r\n$4\r\n1-2\r\n*0\r\n", "*2\r\n$3\r\n1-2xy*0\r\n",
    "*2\r\n$22\r\n18446744073709551616-0\r\n*0\r\n",
    "*2\r\n$42\r\n" + String(repeating: "1", count: 42),
    "*2\r\n$99999999999999\r\n", "*2\r\n$3\r\n1-2\r\n*1\r\n$1\r\na\r\n",
    "*2\r\n$3\r\n1-2\r\n*3\r\n$1\r\na\r\n$1\r\nv\r\n$1\r\nb\r\n", "*2\r\n$3\r\n1-2\r\n*-2\r\n",
    "*2\r\n$3\r\n1-2\r\n*9223372036854775806\r\n",
    "*2\r\n$3\r\n1-2\r\n*99999999999999999999\r\n", "*2\r\n$3\r\n1-2\r\n$0\r\n\r\n",
    "*2\r\n$3\r\n1-2\r\n:2\r\n", "*2\r\n$3\r\n1-2\r\n*2\r\n$-1\r\n$1\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$-1\r\n", "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nb\r\n$-1\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n:5\r\n", "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n*0\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n*1\r\n$1\r\na\r\n$1\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nab\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\n\n$1\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\nvw\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$2\r\nv\r\n*2\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$ 1\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$+1\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$\r\nv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$-\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\rxv\r\n",
    "*2\r\n$3\r\n1-2\r\n*2\r\n$999999999999999999999999",
]

@Test(arguments: [
    ("*2147483646\r\n", "more than 1048576 fields (entry_fields_max)"),
    ("*2097154\r\n", "more than 1048576 fields (entry_fields_max)"),
    ("*2\r\n$1\r\na\r\n$536870913\r\n", "a name or a value of more than 536870912 bytes"),
    ("*2\r\n$536870913\r\n", "a name or a value of more than 536870912 bytes"),
])
func entriesBeyondTheLimits(_ rest: String, _ what: String) throws {
    for pieces in [Pieces.whole, .single] {
        let run = try ParserRun()
        try run.feed(after("*2\r\n$3\r\n1-2\r\n" + rest), pieces)
        #expect(run.failure?.cause == .tooLarge)
        #expect(run.failure?.message.hasPrefix("entry 1-2 has \(what): ") == true)
        #expect(run.rows.count == 1)
    }
}

@Test(arguments: malformedEntries, [false, true])
func malformedEntries(_ entry: String, _ hasSchema: Bool) throws {
    for pieces in [Pieces.whole, .single, .sized(5)] {
        let run = try ParserRun(schema: hasSchema ? [.column("a")] : nil)
        // Whatever follows, it makes no good entry of it.
        try run.feed(after(entry) + utf8("$0\r\n\r\n"), pieces)
        #expect(run.failure?.cause == .protocolViolation, "\(run.repliesEnded)")
        #expect(run.failure?.message.contains("stream entries were expected") == true)
        #expect(run.rows.map { $0[utf8("a")] } == [.text("v")])
        #expect(run.refused.isEmpty)
    }
}

@Test(arguments: [
    "+OK\r\n", ":1\r\n", "$3\r\nabc\r\n", "*-2\r\n", "*\r\n", "*x\r\n", "*1.0\r\n", "* 1\r\n", "x",
    "\r\n", "\0\0\0\0",
    "%1\r\n", "*9999999999999\r\n", "*3\n\n", "*-1\n",
])
func repliesThatAreNoArray(_ reply: String) throws {
    for pieces in [Pieces.whole, .single] {
        let run = try ParserRun()
        try run.feed(utf8(reply), pieces)
        #expect(run.failure?.cause == .protocolViolation)
        #expect(run.rows.isEmpty)
    }
}

@Test(arguments: [(0, 1), (1, 2), (10, 11), (10, 100_000), (1_000, 2_147_483_647)])
func moreEntriesThanWereAskedFor(_ asked: Int, _ claimed: Int) throws {
    let run = try ParserRun()
    try run.feed(utf8("*\(claimed)\r\n" + good), .single, entriesMax: asked)
    #expect(run.failure?.cause == .protocolViolation)
    #expect(
        run.failure?.message.contains("\(claimed) entries, but \(asked) were asked for") == true)
    #expect(run.rows.isEmpty)
}

@Test func asManyEntriesAsWereAskedFor() throws {
    let run = try ParserRun()
    try run.feed(after("*2\r\n$3\r\n1-2\r\n*0\r\n"), entriesMax: 2)
    #expect(run.failure == nil && run.rows.count == 2)
}

@Test func aReplyThatWasNotExpected() throws {
    let run = try ParserRun()
    try run.continueFeeding(utf8("*1\r\n" + good))
    #expect(run.failure?.cause == .protocolViolation)
}

@Test(arguments: [
    "*2\r\n$1\r\na\r\n", "*3\r\n*0\r\n", "*1\r\n*1\r\n", "*1\r\n*2\r\n$5\r\nwrong\r\n*0\r\n",
    "*0x\r\n", ":1\r\n",
    "*1\r\n*2\r\n$-1\r\n*0\r\n", "*1\r\n*2\r\n:1\r\n", "*1\r\n*2\r\n$6\r\nevents\r\n:1\r\n",
    "*-2\r\n",
    "*1\r\n*2\r\n$6\r\nevents\r\n*1\r\n*2\r\n:1\r\n", "*1\r\n*2\r\n$99999999999\r\n", "$-1\r\n",
])
func malformedRepliesOfStreams(_ reply: String) throws {
    for pieces in [Pieces.whole, .single] {
        let run = try ParserRun()
        try run.feed(utf8(reply), pieces, as: .streams)
        #expect(run.failure?.cause == .protocolViolation)
    }
}

@Test(arguments: [
    "*-1\r\n", "*1\r\n$3\r\n0-0\r\n", "*4\r\n", "*3\r\n$1\r\n0\r\n*0\r\n*0\r\n", "*3\r\n:0\r\n",
    "*2\r\n$-1\r\n",
    "*3\r\n$3\r\n0-0\r\n:1\r\n", "*3\r\n$3\r\n0-0\r\n*0\r\n*-2\r\n",
    "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n:1\r\n",
    "*3\r\n$3\r\n0-0\r\n*0\r\n*99999999\r\n", "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$1\r\nx\r\n",
    "*3\r\n$42\r\n", "*3\r\n$3\r\n0-0xy*0\r\n*0\r\n", "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$3\r\n1-1xy",
])
func malformedClaims(_ reply: String) throws {
    for pieces in [Pieces.whole, .single] {
        let run = try ParserRun()
        try run.feed(utf8(reply), pieces, as: .claimed(stream: 0), entriesMax: 100)
        #expect(run.failure?.cause == .protocolViolation, "\(reply.debugDescription)")
    }
}

/// A claim of a length costs nothing until the bytes are there.
@Test(arguments: [
    "*1000000\r\n", "*1\r\n*2\r\n$3\r\n1-2\r\n*2097152\r\n",
    "*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$536870912\r\n",
    "*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$536870912\r\nabc",
])
func claimsThatAreWithinTheLimits(_ reply: String) throws {
    let run = try ParserRun()
    try run.feed(utf8(reply), .single)
    #expect(run.failure == nil && run.repliesEnded == 0 && run.rows.isEmpty)
}

/// One byte of a good reply is changed: it fails, or is good in another way, but no row appears
/// that hiredis would not have found in the same bytes.
@Test(arguments: 0..<40)
func spoiltReplies(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed)
    let reply = Resp.entries(SampleEntry.random(5, using: &generator))
    for _ in 0..<100 {
        var bytes = reply
        bytes[generator.below(bytes.count)] = generator.pick(utf8("\r\n*$:+-0129xa"))
        let run = try ParserRun([("on_error", "null")])
        try run.feed(bytes, .random(seed, most: 100))
        if let rows = HiredisReader.reply(bytes)?.rows, run.repliesEnded == 1 {
            let ids = run.rows.compactMap { $0[utf8("_id")] }
            try #require(ids == rows.map { .text($0.id) })
        } else if run.repliesEnded == 1 {
            // hiredis takes no leading zeros in a length.
            try #require(bytes.contains(0x30))
        }
    }
}
