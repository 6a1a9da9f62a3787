// SPDX-License-Identifier: Apache-2.0
// Lists without a server: what is asked, what answers say, whole and in pieces, and what is
// refused.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import RedisTopology
import TestSupport
import Testing

@testable import StreamInspection

private func int(_ number: Int64) -> [UInt8] { utf8(":\(number)\r\n") }
private func text(_ text: String) -> [UInt8] { Resp.bulk(utf8(text)) }
private let null = utf8("$-1\r\n")

/// A plan that is told what servers answer.
private final class MadeUpList {
    let plan: ListPlan
    private var received = ReceiveBuffer()

    init(
        _ what: ListRequest.What, _ names: [String] = ["s"], isSearch: Bool = false,
        group: String? = nil, options: [(key: String, value: String)] = []
    ) throws {
        let list = names.map { utf8($0) }
        plan = try ListPlan.make(
            ListRequest(
                what, of: .named(list), group: group.map { utf8($0) },
                try ListOptions(options, for: what)))
        plan.names = NameList(list)
        plan.isSearch = isSearch
    }

    func first(_ stream: Int = 0) throws -> ListPlan.Ask {
        try #require(try plan.first(of: stream))
    }

    func words(_ ask: ListPlan.Ask) -> [String] {
        plan.command(ask).arguments.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The answer in pieces of so many bytes; what is asked then. Nil: it was refused.
    func answer(
        _ ask: ListPlan.Ask, _ bytes: [UInt8], pieces: Int = .max
    ) throws -> [ListPlan.Ask]? {
        var walk = ReplyWalk()
        plan.begin()
        var start = 0
        while start < bytes.count {
            let end = start + min(pieces, bytes.count - start)
            let isTaken = bytes[start..<end].withUnsafeBytes { received.append($0) }
            try #require(isTaken)
            start = end
            walking: while let begin = received.waiting.baseAddress {
                var position = begin
                let step = walk.next(&position, begin + received.count)
                var isWrong = false
                if case .part(let part, let depth) = step {
                    isWrong = try !plan.take(part, depth: depth, of: ask)
                }
                received.consume(position - begin)
                switch step {
                case .part where !isWrong: break
                case .needsMore: break walking
                case .end:
                    #expect(received.count == 0 && start == bytes.count)
                    try plan.ended(ask, bytes: bytes.count)
                    return plan.takeFollowing()
                default:
                    received.clear()
                    return nil
                }
            }
        }
        Issue.record("the answer has not ended")
        return nil
    }

    /// The rows, with "null" for null.
    func rows() throws -> [[String]] {
        let table = try plan.finish()
        var (stream, schema, array) = (ArrowArrayStream(), ArrowSchema(), ArrowArray())
        try table.exportStream(requested: nil, into: &stream)
        defer { stream.release(&stream) }
        #expect(stream.get_schema(&stream, &schema) == 0)
        #expect(stream.get_next(&stream, &array) == 0)
        defer {
            schema.release(&schema)
            array.release(&array)
        }
        return try readTable(&array, &schema).rows.map { row in
            row.map { cell in
                switch cell {
                case .null: "null"
                case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
                case .integer(let number): "\(number)"
                case .unsigned(let number): "\(number)"
                }
            }
        }
    }
}

private func streamInfo(
    _ first: [UInt8], _ last: [UInt8], length: Int64 = 2, added: [UInt8]? = int(9)
) -> [UInt8] {
    var parts = [text("length"), int(length), text("radix-tree-keys"), int(1)]
    parts += [text("groups"), int(3)]
    if let added { parts += [text("entries-added"), added] }
    return Resp.array(parts + [text("first-entry"), first, text("last-entry"), last])
}

private let entries = [
    Resp.entry(SampleEntry("1-0", "a", "first-entry", "last-entry", "x")),
    Resp.entry(SampleEntry("18446744073709551615-7", "\r\n*2\r\n", "x")),
]

@Test(arguments: [1, 2, 3, 7, 64, .max])
func streamsInPieces(_ pieces: Int) throws {
    let list = try MadeUpList(.streams, ["a", "b"], isSearch: true)
    let second = try list.first(1)
    #expect(list.words(second) == ["XINFO", "STREAM", "b"])
    let following = try list.answer(second, streamInfo(entries[0], entries[1]), pieces: pieces)
    let usage = try #require(following?.first)
    #expect(list.words(usage) == ["MEMORY", "USAGE", "b"])
    // An empty stream, before Redis 7.0.
    let first = try list.first()
    _ = try list.answer(first, streamInfo(null, utf8("*-1\r\n"), added: nil), pieces: pieces)
    #expect(try list.answer(usage, int(123), pieces: pieces)?.isEmpty == true)
    #expect(
        try list.rows() == [
            ["a", "2", "null", "null", "null", "null", "null", "3", "null"],
            // Milliseconds that no Int64 holds are null.
            ["b", "2", "1-0", "18446744073709551615-7", "1", "null", "9", "3", "123"],
        ])
}

private func group(_ name: String, pending: Int64 = 0, delivered: String = "5-0") -> [UInt8] {
    Resp.array([
        text("name"), text(name), text("consumers"), int(1), text("pending"), int(pending),
        text("last-delivered-id"), text(delivered), text("entries-read"), null, text("lag"), int(4),
    ])
}

@Test func groupsAreCounted() throws {
    let list = try MadeUpList(.groups, options: [("exact", "true")])
    let info = try list.first()
    #expect(list.words(info) == ["XINFO", "GROUPS", "s"])
    let following = try list.answer(
        info, Resp.array([group("g\u{0}1", pending: 2), group("g2", delivered: "9-0")]))
    let asks = try #require(following)
    #expect(
        asks.map { list.words($0) } == [
            ["XPENDING", "s", "g\u{0}1", "-", "+", "1"],
            ["XREVRANGE", "s", "+", "-", "COUNT", "1"],
            ["XREVRANGE", "s", "+", "-", "COUNT", "1"],
        ])
    let oldest = Resp.array([text("5-0"), text("c"), int(77), int(1)])
    #expect(try list.answer(asks[0], Resp.array([oldest]))?.isEmpty == true)
    // The second group has read everything.
    #expect(try list.answer(asks[2], Resp.entries([SampleEntry("9-0", "a", "b")]))?.isEmpty == true)
    var next = try list.answer(asks[1], Resp.entries([SampleEntry("30-0", "a", "b")]))
    var page = try #require(next?.first)
    #expect(list.words(page) == ["XRANGE", "s", "5-1", "30-0", "COUNT", "16"])
    next = try list.answer(page, Resp.entries((6...21).map { SampleEntry("\($0)-0", "a", "b") }))
    page = try #require(next?.first)
    #expect(list.words(page).dropLast() == ["XRANGE", "s", "21-1", "30-0", "COUNT"])
    #expect(try list.answer(page, Resp.entries([SampleEntry("30-0", "a", "b")]))?.isEmpty == true)
    #expect(
        try list.rows() == [
            ["s", "g\\x001", "1", "2", "5-0", "null", "4", "17", "77"],
            ["s", "g2", "1", "0", "9-0", "null", "4", "0", "null"],
        ])
}

@Test func consumersOfAllGroups() throws {
    let list = try MadeUpList(.consumers)
    let asks = try #require(
        try list.answer(try list.first(), Resp.array([group("g1"), group("g2")])))
    #expect(asks.map { list.words($0).last } == ["g1", "g2"])
    func consumer(_ name: String, _ rest: [[UInt8]] = []) -> [UInt8] {
        Resp.array(
            [text("name"), text(name), text("pending"), int(1), text("idle"), int(5)] + rest)
    }
    let recent = consumer("b", [text("inactive"), int(-1), text("new"), Resp.array([int(1)])])
    #expect(try list.answer(asks[1], Resp.array([consumer("c")]))?.isEmpty == true)
    #expect(try list.answer(asks[0], Resp.array([consumer("a"), recent]))?.isEmpty == true)
    #expect(
        try list.rows() == [
            ["s", "g2", "c", "1", "5", "null"], ["s", "g1", "a", "1", "5", "null"],
            ["s", "g1", "b", "1", "5", "null"],
        ])
}

private func pendingLine(_ id: String, idle: Int64 = 5) -> [UInt8] {
    Resp.array([text(id), text("c"), int(idle), int(2)])
}

@Test func pendingEntriesOverALostConnection() throws {
    let list = try MadeUpList(
        .pending, group: "g",
        options: [
            ("consumer", "c"), ("min_idle_ms", "3"), ("start_id", "(1-0"), ("end_id", "9"),
            ("count", "3"),
        ])
    let ask = try list.first()
    #expect(
        list.words(ask) == [
            "XPENDING", "s", "g", "IDLE", "3", "1-1", "9-18446744073709551615", "3", "c",
        ])
    // Of the second entry only a part has come.
    var walk = ReplyWalk()
    var buffer = ReceiveBuffer()
    list.plan.begin()
    let part = utf8("*3\r\n") + pendingLine("2-0") + utf8("*4\r\n") + text("3-0") + text("c")
    let isTaken = part.withUnsafeBytes { buffer.append($0) }
    #expect(isTaken)
    var position = try #require(buffer.waiting.baseAddress)
    let end = position + buffer.count
    while case .part(let part, let depth) = walk.next(&position, end) {
        let isRight = try list.plan.take(part, depth: depth, of: ask)
        #expect(isRight)
    }
    let rest = list.plan.interrupted(ask)
    #expect(list.words(rest).suffix(4) == ["2-1", "9-18446744073709551615", "2", "c"])
    let asks = try list.answer(
        rest, Resp.array([pendingLine("3-0", idle: -1), pendingLine("4-0")]))
    #expect(asks?.isEmpty == true)
    #expect(
        try list.rows() == [
            ["2-0", "2", "c", "5", "2"], ["3-0", "3", "c", "null", "2"],
            ["4-0", "4", "c", "5", "2"],
        ])
}

@Test func aRangeThatCannotBe() throws {
    let list = try MadeUpList(
        .pending, group: "g", options: [("start_id", "5"), ("end_id", "4")])
    let ask = try list.plan.first(of: 0)
    #expect(ask == nil)
    #expect(try list.rows() == [])
}

@Test func answersThatNoServerShouldSend() throws {
    let wrong: [[UInt8]] = [
        int(1), text("x"), Resp.array([text("length")]), utf8("+OK\r\n"), utf8("%1\r\n"),
        Resp.array([text("length"), text("2")]), Resp.array([text("length"), Resp.array([])]),
        Resp.array([int(1), int(1)]), Resp.array([text("first-entry"), int(1)]),
        Resp.array([text("first-entry"), Resp.array([text("x"), Resp.array([])])]),
        Resp.array([text("first-entry"), Resp.array([text("1-1")])]),
        utf8("*-2\r\n"), utf8("*2\r\n$-5\r\n"), utf8("*2\r\n$1\r\nabc"),
        utf8("*2\r\n$999999999999\r\n"),
    ]
    for (number, bytes) in wrong.enumerated() {
        let list = try MadeUpList(.streams)
        #expect(try list.answer(try list.first(), bytes) == nil, "\(number)")
    }
    for lines in [
        [pendingLine("4-0")], [pendingLine("6-0"), pendingLine("6-0")],
        [pendingLine("6-0"), pendingLine("7-0"), pendingLine("8-0")],
        [Resp.array([text("6-0"), text("c"), int(1)])], [text("6-0")],
    ] {
        let list = try MadeUpList(
            .pending, group: "g", options: [("count", "2"), ("start_id", "5-0")])
        #expect(try list.answer(try list.first(), Resp.array(lines)) == nil)
    }
}

@Test func arraysInArraysWithoutEnd() throws {
    let list = try MadeUpList(.streams)
    let deep = utf8("*2\r\n") + text("new") + utf8(String(repeating: "*1\r\n", count: 20))
    #expect(try list.answer(try list.first(), deep) == nil)
}

extension ListPlan.Ask: Equatable {
    public static func == (one: ListPlan.Ask, other: ListPlan.Ask) -> Bool {
        "\(one)" == "\(other)"
    }
}

@Test(arguments: [1, 2, 7, .max])
func partsOfStreams(_ pieces: Int) throws {
    let list = try MadeUpList(
        .partitions, ["a", "b"], isSearch: true, options: [("rows", "1"), ("end_id", "9")])
    let info = try list.first(1)
    #expect(list.words(info) == ["XINFO", "STREAM", "b"])
    let entry = { (id: String) in Resp.entry(SampleEntry(id, "a", "x")) }
    let first = try list.answer(info, streamInfo(entry("1-0"), entry("9-1")), pieces: pieces)
    let probes = try #require(first)
    #expect(
        probes.map(list.words) == [
            ["XRANGE", "b", "1-0", "9-1", "COUNT", "1"],
            ["XREVRANGE", "b", "9-1", "1-0", "COUNT", "1"],
        ])
    #expect(try list.answer(probes[0], Resp.array([entry("1-0")]), pieces: pieces)?.isEmpty == true)
    let second = try list.answer(probes[1], Resp.array([entry("9-1")]), pieces: pieces)
    let halves = try #require(second)
    #expect(
        halves.map(list.words) == [
            ["XREVRANGE", "b", "5-0", "1-0", "COUNT", "1"],
            ["XRANGE", "b", "5-1", "9-1", "COUNT", "1"],
        ])
    _ = try list.answer(halves[0], Resp.array([entry("1-0")]), pieces: pieces)
    let third = try list.answer(halves[1], Resp.array([entry("9-1")]), pieces: pieces)
    #expect(third?.isEmpty == true)
    // One that is small enough, and one that has nothing in the range.
    let small = try list.answer(
        try list.first(), streamInfo(entry("3-0"), entry("3-0"), length: 1), pieces: pieces)
    #expect(small?.isEmpty == true)
    #expect(
        try list.rows() == [
            ["a", "3-0", "3-0", "1"], ["b", "1-0", "9-0", "1"], ["b", "9-1", "9-1", "1"],
        ])
}

@Test func wrongAnswersToProbes() throws {
    let entry = { (id: String) in Resp.entry(SampleEntry(id, "a", "x")) }
    let wrong: [[[UInt8]]] = [
        [entry("0-9")], [entry("9-2")], [entry("2-0"), entry("1-0")], [entry("2-0"), entry("2-0")],
        (1...3).map { entry("\($0)-0") }, [text("1-0")], [int(1)],
    ]
    for answer in wrong {
        let list = try MadeUpList(.partitions, options: [("rows", "16"), ("entries", "99")])
        let first = try list.answer(try list.first(), streamInfo(entry("1-0"), entry("9-1")))
        let probes = try #require(first)
        #expect(list.words(probes[0]).last == "2")
        #expect(try list.answer(probes[0], Resp.array(answer)) == nil)
        let other = try list.answer(probes[1], Resp.array(answer.reversed()))
        #expect(other == nil)
    }
    let list = try MadeUpList(.partitions, options: [("start_id", "5"), ("end_id", "4")])
    #expect(try list.plan.first(of: 0) == nil)
}
