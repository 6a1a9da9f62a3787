// SPDX-License-Identifier: Apache-2.0
// What is asked of the server to read ranges of many streams, driven without one: made-up streams
// answer the pages, many of which are under way at once.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

/// An entry of one of the streams.
private struct Given: Hashable {
    var stream: Int
    var id: EntryID
}

/// Answers the pages of a plan as a server and a reader would.
private struct MadeUpStreams {
    var sizes: [Int]
    var asked = 0
    var underWayMost = 0
    var given: [Given] = []
    var entriesInVain = 0

    /// Every `lossEvery`-th page is lost in the middle, with the connection.
    mutating func answer(_ plan: inout ManyRangesPlan, lossEvery: Int? = nil) {
        plan.found(streams: sizes.count)
        var underWay: [ManyRangesPlan.Page] = []
        var answered = 0
        while asked < 1_000_000 {
            while let page = plan.nextPage(underWay: underWay.count) {
                underWay.append(page)
                asked += 1
            }
            underWayMost = max(underWayMost, underWay.count)
            guard let page = underWay.first else { return }
            let inPage = entries(of: page)
            if page.range.asksForEnd {
                plan.found(end: EntryID(UInt64(sizes[page.stream]), 0))
            }
            answered += 1
            let isLost = lossEvery.map { answered % $0 == 0 } ?? false
            let wanted = min(plan.wanted(page), plan.remaining, isLost ? inPage.count / 2 : .max)
            let received = inPage.prefix(wanted)
            given += received.map { Given(stream: page.stream, id: $0) }
            if isLost {
                plan.interrupted(
                    page, upTo: received.last, rows: received.count, isEndTold: true)
                underWay = []
                continue
            }
            underWay.removeFirst()
            let mustPassOver = plan.pageEnded(
                page, entries: received.count, first: received.first, last: received.last,
                bytes: received.count * 100)
            if mustPassOver || wanted < inPage.count {
                for page in underWay { entriesInVain += entries(of: page).count }
                underWay = []
            }
            if plan.remaining == 0 { return }
        }
    }

    /// Entries are 1-0, 2-0, …
    private func entries(of page: ManyRangesPlan.Page) -> [EntryID] {
        let from = max(page.range.first.milliseconds, 1)
        let skips: UInt64 =
            page.range.first.sequence > 0 && page.range.first.milliseconds > 0 ? 1 : 0
        let to = min(page.range.last.milliseconds, UInt64(sizes[page.stream]))
        guard from + skips <= to else { return [] }
        return ((from + skips)...to).prefix(page.range.count).map { EntryID($0, 0) }
    }

    func expected(from first: Int = 1, to last: Int = .max, perStream: Int = .max) -> [Given] {
        var all: [Given] = []
        for (stream, size) in sizes.enumerated() where min(size, last) >= first {
            for id in (first...min(size, last)).prefix(perStream) {
                all.append(Given(stream: stream, id: EntryID(UInt64(id), 0)))
            }
        }
        return all
    }
}

private func plan(
    first: EntryID? = .smallest, last: EntryID? = .largest, count: Int? = nil,
    perStream: Int? = nil, pageRows: Int = 0, streamsMost: Int = 0
) -> ManyRangesPlan {
    ManyRangesPlan(
        first: first, last: last, count: count, countPerStream: perStream, pageRows: pageRows,
        streamsMost: streamsMost)
}

private func randomSizes(_ seed: UInt64) -> [Int] {
    var generator = SeededGenerator(seed)
    let kinds = [0, 1, 3, 10, 64, 256, 257, 2_000, 2_001, 9_000]
    let few = Int.random(in: 1...kinds.count, using: &generator)
    return (0..<Int.random(in: 0...120, using: &generator)).map { _ in
        kinds[Int.random(in: 0..<few, using: &generator)]
    }
}

@Test(arguments: UInt64(1)...60)
func everyEntryOfManyStreamsOnce(seed: UInt64) {
    for lossEvery in [nil, 2, 3, 7] as [Int?] {
        var streams = MadeUpStreams(sizes: randomSizes(seed))
        var whole = plan()
        streams.answer(&whole, lossEvery: lossEvery)
        #expect(streams.given == streams.expected())

        for (count, perStream, pageRows, streamsMost) in [
            (nil, 1, 0, 0), (nil, 300, 0, 0), (777, nil, 0, 3), (1, 1, 0, 0), (5_000, 2_500, 0, 0),
            (nil, nil, 1, 0), (nil, 100, 7, 1), (0, nil, 0, 0), (nil, 0, 0, 0),
        ] as [(Int?, Int?, Int, Int)] where pageRows != 1 || seed % 10 == 0 {
            var part = plan(
                first: EntryID(2, 0), last: EntryID(8_000, 5), count: count, perStream: perStream,
                pageRows: pageRows, streamsMost: streamsMost)
            streams.given = []
            streams.underWayMost = 0
            streams.answer(&part, lossEvery: lossEvery)
            let expected = streams.expected(from: 2, to: 8_000, perStream: perStream ?? .max)
            #expect(streams.given == Array(expected.prefix(count ?? .max)))
            if perStream ?? .max <= 1, streamsMost > 0 {
                #expect(streams.underWayMost <= streamsMost)
            }
        }
    }
}

@Test func smallStreamsAreAskedForInFewRounds() {
    var streams = MadeUpStreams(sizes: Array(repeating: 10, count: 10_000))
    var many = plan()
    streams.answer(&many)
    #expect(streams.asked == 10_000 && streams.entriesInVain == 0)
    #expect((500...1_000).contains(streams.underWayMost))
    // A far server gets more of them at once.
    var far = plan()
    far.measured(roundTripMs: 10)
    streams.answer(&far)
    #expect(streams.underWayMost > 3_000)
    var few = plan(streamsMost: 5)
    streams.underWayMost = 0
    streams.answer(&few)
    #expect(streams.underWayMost == 5)
}

@Test func requestsAreSentTogether() {
    var many = plan()
    many.found(streams: 10_000)
    var underWay = 0
    var runs: [Int] = []
    for _ in 0..<10_000 {
        var run = 0
        while many.nextPage(underWay: underWay) != nil {
            underWay += 1
            run += 1
        }
        if run > 0 { runs.append(run) }
        if underWay == 0 { break }
        underWay -= 1
        let page = ManyRangesPlan.Page(
            stream: 0,
            range: RangePlan.Page(first: .smallest, last: .largest, count: 64, asksForEnd: false))
        _ = many.pageEnded(
            page, entries: 10, first: EntryID(1, 0), last: EntryID(10, 0), bytes: 1_000)
    }
    #expect(runs.reduce(0, +) == 10_000)
    #expect(runs.count < 60)
}

@Test(arguments: [5, 20, 100])
func noMoreIsPassedOverThanIsRead(every: Int) {
    let sizes = (0..<1_000).map { $0 % every == every - 1 ? 5_000 : 10 }
    var streams = MadeUpStreams(sizes: sizes)
    var mixed = plan()
    streams.answer(&mixed)
    #expect(streams.given == streams.expected())
    #expect(streams.entriesInVain <= streams.given.count)
}

@Test func nothingInTheRange() {
    for (first, last) in [
        (nil, EntryID.largest), (.smallest, nil), (EntryID(5, 0), EntryID(4, 0)),
    ] as [(EntryID?, EntryID?)] {
        var nothing = plan(first: first, last: last)
        #expect(nothing.isEmpty)
        nothing.found(streams: 5)
        let page = nothing.nextPage(underWay: 0)
        #expect(page == nil)
    }
}

@Test func aStreamThatIsGoneInTheMiddle() throws {
    var many = plan()
    many.found(streams: 2)
    let asked = many.nextPage(underWay: 0)
    let first = try #require(asked)
    let isCut = many.pageEnded(
        first, entries: 256, first: EntryID(1, 0), last: EntryID(256, 0), bytes: 25_600)
    #expect(isCut)
    let rest = many.nextPage(underWay: 0)
    let second = try #require(rest)
    #expect(second.stream == 0 && second.range.first == EntryID(256, 1))
    let isPassedOver = many.streamEnded(second)
    #expect(isPassedOver)
    let other = many.nextPage(underWay: 0)
    let third = try #require(other)
    #expect(third.stream == 1 && third.range.first == .smallest)
    let isOtherPassedOver = many.streamEnded(third)
    let last = many.nextPage(underWay: 0)
    #expect(!isOtherPassedOver && last == nil)
}

private func names(_ list: NameList) -> [[UInt8]] { (0..<list.count).map { Array(list[$0]) } }

@Test func namesInOrder() {
    var generator = SeededGenerator(3)
    for _ in 0..<300 {
        let given = (0..<generator.below(40)).map { _ in
            (0..<generator.below(4)).map { _ in generator.pick([0, 1, 0x7F, 0x80, 0xFF] as [UInt8])
            }
        }
        #expect(names(NameList(given)) == given)
        let expected = Set(given).sorted { $0.lexicographicallyPrecedes($1) }
        #expect(names(NameList(given).sortedAndUnique()) == expected)
    }
}

@Test func theKeysThatAreFound() {
    var scan = KeyScan(pattern: utf8("a*"), count: 7)
    #expect(
        scan.commands.map { $0.arguments }
            == [["SCAN", "0", "MATCH", "a*", "COUNT", "7", "TYPE", "stream"].map { utf8($0) }])
    func page(_ cursor: String, _ keys: String...) -> Reply {
        .array([.bulk(utf8(cursor)), .array(keys.map { .bulk(utf8($0)) })])
    }
    func isTaken(_ reply: Reply) -> Bool { scan.take(reply) }
    #expect(isTaken(page("18446744073709551615", "ab", "a")))
    #expect(scan.commands[0].arguments[1] == utf8("18446744073709551615"))
    #expect(isTaken(page("5")) && !scan.isDone)
    // A cursor belongs to one run of the server.
    scan.interrupted()
    #expect(scan.commands[0].arguments[1] == utf8("0"))
    #expect(isTaken(page("0", "a", "", "aa", "ab")) && scan.isDone)
    #expect(names(scan.sortedKeys()) == ["", "a", "aa", "ab"].map { utf8($0) })
    for wrong in [
        .null, page(""), page("-1"), page("184467440737095516150"), .array([.bulk(utf8("0"))]),
        .array([.integer(WireInteger(0)), .array([])]),
        .array([.bulk(utf8("0")), .array([.integer(WireInteger(1))])]),
    ] as [Reply] {
        #expect(!isTaken(wrong))
    }
}

@Test func theKeysOfOtherTypes() {
    var scan = KeyScan(pattern: utf8("*"), count: 7, countsOthers: true)
    func asked() -> [[UInt8]] { scan.commands.map { $0.arguments[1] } }
    func take(_ cursor: String, _ keys: String...) -> Bool {
        scan.take(.array([.bulk(utf8(cursor)), .array(keys.map { .bulk(utf8($0)) })]))
    }
    #expect(scan.commands.map { $0.arguments.count } == [8, 6])
    #expect(take("5", "a") && !scan.isDone && asked() == [utf8("0"), utf8("0")])
    #expect(take("5", "a", "x", "y") && asked() == [utf8("5"), utf8("5")])
    // Lost between two answers: begun again, and each key counts once.
    #expect(take("0", "b") && !scan.isDone)
    scan.interrupted()
    #expect(take("5", "a") && take("5", "x", "a") && !scan.isDone && asked()[0] == utf8("5"))
    // The first answer says where to continue.
    #expect(take("0", "b") && take("9", "z", "b") && scan.isDone)
    #expect(names(scan.sortedKeys()) == ["a", "b"].map { utf8($0) } && scan.otherKeys == 3)
}

@Test func theKeysOfANodeThatSlotsCameTo() {
    func slots(_ mine: String) -> Reply {
        .bulk(utf8("aa 127.0.0.1:1@2 myself,master - 0 0 1 connected \(mine)\n"))
    }
    func scanned(_ before: Reply, _ now: Reply) -> (commands: [[Int]], keys: [[UInt8]]) {
        var scan = KeyScan(pattern: utf8("*"), count: 7, ofNode: true)
        var commands: [[Int]] = []
        func take(_ replies: Reply...) {
            commands.append(scan.commands.map { $0.arguments.count })
            for reply in replies where !scan.take(reply) { commands.append([]) }
        }
        func page(_ cursor: String, _ key: String) -> Reply {
            .array([.bulk(utf8(cursor)), .array([.bulk(utf8(key))])])
        }
        take(before, page("5", "a"))
        take(page("0", "b"))
        guard scan.isDone, scan.lookAgain(), !scan.isDone else { return (commands, []) }
        take(now)
        while !scan.isDone { take(page("0", "c")) }
        return (commands, names(scan.sortedKeys()))
    }
    #expect(scanned(slots("0-9"), slots("0-9")) == ([[2, 8], [8], [2]], ["a", "b"].map(utf8)))
    #expect(
        scanned(slots("0-9"), slots("0-10")) == (
            [[2, 8], [8], [2], [8]], ["a", "b", "c"].map(utf8)
        ))
    // Who may not ask for the slots finds what is there.
    let denied = Reply.error(utf8("NOPERM"))
    #expect(scanned(denied, denied) == ([[2, 8], [8]], []))
    #expect(scanned(slots("0-9"), denied) == ([[2, 8], [8], [2]], ["a", "b"].map(utf8)))
}

@Test(arguments: [("a", true), ("", true), ("a*", false), ("[a]", false), ("\\a", false)])
func aPatternThatIsAKey(pattern: String, isKey: Bool) {
    let scan = KeyScan(pattern: utf8(pattern), count: 1)
    #expect(scan.isDone == isKey)
    #expect(names(scan.sortedKeys()) == (isKey ? [utf8(pattern)] : []))
}
