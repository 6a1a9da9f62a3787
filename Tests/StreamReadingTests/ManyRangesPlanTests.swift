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
