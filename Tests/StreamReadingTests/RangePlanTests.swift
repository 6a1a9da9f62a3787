// SPDX-License-Identifier: Apache-2.0
// What is asked of the server to read a range, driven without one: a made-up stream answers the
// pages, several of which are under way at once.

import RedcolBase
import TestSupport
import Testing

@testable import StreamReading

/// Answers the pages of a plan as a server and a reader would, and remembers what was asked.
private struct MadeUpStream {
    var ids: [EntryID]
    var entryBytes = 100
    var roundTripMs: Int64 = 0
    var asked: [RangePlan.Page] = []
    var given: [EntryID] = []
    var entriesInVain = 0
    var underWayMost = 0

    /// Answers pages until the plan has none. `beforePage` may add entries to the stream, and says
    /// after how many entries of the page the connection is lost.
    mutating func answer(
        _ plan: inout RangePlan, beforePage: (inout MadeUpStream) -> Int? = { _ in nil }
    ) {
        var underWay: [RangePlan.Page] = []
        var isFirst = true
        while asked.count < 100_000 {
            while let page = plan.nextPage(underWay: underWay.count) {
                underWay.append(page)
                asked.append(page)
            }
            underWayMost = max(underWayMost, underWay.count)
            guard let page = underWay.first else { return }
            let lostAfter = beforePage(&self)
            let entries = entries(of: page)
            if page.asksForEnd, lostAfter == nil { plan.found(end: ids.last) }
            let received = entries.prefix(min(lostAfter ?? .max, plan.remaining))
            given += received
            if lostAfter != nil {
                plan.interrupted(page, upTo: received.last, rows: received.count)
                underWay = []
                continue
            }
            if isFirst { plan.measured(roundTripMs: roundTripMs) }
            isFirst = false
            underWay.removeFirst()
            let isCut = plan.pageEnded(
                page, entries: received.count, first: received.first, last: received.last,
                bytes: received.count * entryBytes)
            if isCut {
                for page in underWay { entriesInVain += self.entries(of: page).count }
                underWay = []
            }
            if plan.remaining == 0 { return }
        }
    }

    private func entries(of page: RangePlan.Page) -> ArraySlice<EntryID> {
        let from = ids.partitioningIndex { $0 >= page.first }
        let to = ids.partitioningIndex { $0 > page.last }
        return ids[from..<max(from, to)].prefix(page.count)
    }
}

extension Array {
    /// The first place where a condition holds that holds from there on.
    fileprivate func partitioningIndex(where holds: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// The first place where two lists differ; in words, since a failure would print them all.
private func difference(_ given: [EntryID], _ expected: [EntryID]) -> String? {
    if given == expected { return nil }
    let place = zip(given, expected).enumerated().first { $1.0 != $1.1 }?.offset
    return "\(given.count) of \(expected.count), different from \(place ?? -1) on"
}

private func ids(_ count: Int, perMillisecond: Int = 3) -> [EntryID] {
    (0..<count).map {
        EntryID(UInt64($0 / perMillisecond), UInt64($0 % perMillisecond) + 1)
    }
}

private func readAll(_ all: [EntryID], count: Int? = nil, pageRows: Int = 0) -> MadeUpStream {
    var plan = RangePlan(first: .smallest, last: .largest, count: count, pageRows: pageRows)
    var stream = MadeUpStream(ids: all)
    stream.answer(&plan)
    return stream
}

@Test(arguments: [0, 1, 2, 255, 256, 257, 5_000, 100_000])
func allEntriesAreReadOnce(_ count: Int) {
    let stream = readAll(ids(count))
    #expect(difference(stream.given, ids(count)) == nil)
    #expect(
        stream.asked.first == .init(first: .smallest, last: .largest, count: 256, asksForEnd: false)
    )
}

@Test(arguments: [0, 1, 9, 10, 11, 20, 25, 100], [1, 10, 1_000])
func countIsKept(_ count: Int, _ pageRows: Int) {
    let stream = readAll(ids(50), count: count, pageRows: pageRows)
    #expect(difference(stream.given, Array(ids(50).prefix(count))) == nil)
    #expect(stream.asked.allSatisfy { $0.count <= min(pageRows, count) })
}

@Test func aSmallCountAsksForLittleMore() {
    let stream = readAll(ids(100_000), count: 10_000)
    #expect(stream.given.count == 10_000)
    let most = stream.asked.reduce(0) { $0 + $1.count }
    #expect(most < 30_000)
}

/// Streams of all kinds: dense, sparse, in bursts, in a single millisecond, with gaps of years.
private func someStream(_ seed: UInt64) -> [EntryID] {
    var generator = SeededGenerator(seed)
    var ids: [EntryID] = []
    var id = EntryID(UInt64(generator.below(1_000)), 1)
    while ids.count < 12_000 {
        let burst = generator.pick([1, 10, 300, 5_000])
        let step = generator.pick([0, 0, 1, 20, 5_000]) as UInt64
        for _ in 0..<burst {
            ids.append(id)
            let isSame = step == 0 || generator.once(in: 3)
            id =
                isSame
                ? EntryID(id.milliseconds, id.sequence + generator.pick([1, 1, 7]))
                : EntryID(id.milliseconds + step, 0)
        }
        if generator.once(in: 3) {
            id = EntryID(id.milliseconds + generator.pick([1, 1_000, 40_000_000_000]), 0)
        }
    }
    return ids
}

@Test(arguments: 0..<60)
func anyDensityIsReadInOrder(_ seed: UInt64) {
    let all = someStream(seed)
    let stream = readAll(all)
    #expect(difference(stream.given, all) == nil)
    // What is asked in vain stays within what is read.
    #expect(stream.entriesInVain < all.count)
    #expect(stream.asked.count < 5_000)
}

@Test(arguments: [(1, 1), (1, 1_000), (100, 1), (5_000, 1), (1_000_000, 1)])
func evenStreamsAreReadWithoutWaste(_ perMillisecond: Int, _ apart: UInt64) {
    let all = ids(200_000, perMillisecond: perMillisecond)
        .map { EntryID(1_700_000_000_000 + $0.milliseconds * apart, $0.sequence) }
    let stream = readAll(all)
    #expect(difference(stream.given, all) == nil)
    #expect(stream.entriesInVain <= all.count / 2)
    if perMillisecond != 5_000 {
        #expect(stream.entriesInVain == 0)
        #expect(stream.asked.count < 260)
    }
}

@Test func aFarServerHasMoreUnderWay() {
    let all = ids(300_000).map { EntryID(1_700_000_000_000 + $0.milliseconds, $0.sequence) }
    var most: [Int] = []
    for roundTripMs in [0, 1, 10, 1_000] as [Int64] {
        var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 0)
        var stream = MadeUpStream(ids: all, roundTripMs: roundTripMs)
        stream.answer(&plan)
        #expect(difference(stream.given, all) == nil)
        most.append(stream.underWayMost)
    }
    #expect(most == [19, 25, 77, 128])
}

/// One page that it makes, and the next: it would make more of them at once, and then sleep.
@Test(arguments: [(0, 2), (1, 2), (2, 10)] as [(Int64, Int)])
func aLocalServerHasTwoPages(_ roundTripMs: Int64, _ pages: Int) {
    let all = ids(100_000)
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 0, isLocal: true)
    var stream = MadeUpStream(ids: all, roundTripMs: roundTripMs)
    stream.answer(&plan)
    #expect(difference(stream.given, all) == nil)
    #expect(stream.underWayMost == pages)
}

@Test func pagesBeginAfterTheEntryBefore() {
    var plan = RangePlan(first: EntryID(1, 1), last: EntryID(2, 3), count: nil, pageRows: 2)
    var stream = MadeUpStream(ids: ids(30))
    stream.answer(&plan)
    #expect(difference(stream.given, Array(ids(30)[3...8])) == nil)
    #expect(stream.asked.allSatisfy { $0.last <= EntryID(2, 3) && !$0.asksForEnd })
}

@Test func theLastEntryOfTheRangeEndsIt() {
    var plan = RangePlan(first: .smallest, last: EntryID(1, 3), count: nil, pageRows: 6)
    var stream = MadeUpStream(ids: ids(30))
    stream.answer(&plan)
    #expect(stream.asked.count == 1)
    stream = readAll([.largest], pageRows: 1)
    #expect(difference(stream.given, [.largest]) == nil)
    #expect(stream.asked.count == 1)
    stream = readAll([EntryID(.max, 5), EntryID(.max, .max - 1), .largest], pageRows: 1)
    #expect(stream.given.count == 3)
}

@Test func aStreamThatGrowsAsFastAsItIsReadHasAnEnd() {
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 10)
    var stream = MadeUpStream(ids: ids(35))
    stream.answer(&plan) { stream in
        let last = stream.ids.last?.milliseconds ?? 0
        stream.ids += (1...20).map { EntryID(last + $0, 0) }
        return nil
    }
    // The end is asked for once, with the pages that follow the first.
    #expect(stream.asked.filter { $0.asksForEnd }.count == 1)
    #expect(stream.given.count >= 55 && stream.given.count < 200)
    #expect(difference(stream.given, Array(stream.ids.prefix(stream.given.count))) == nil)
}

@Test(arguments: 0..<60)
func lostConnectionsLoseNoEntry(_ seed: UInt64) {
    var generator = SeededGenerator(seed)
    let all = seed % 2 == 0 ? ids(900) : someStream(seed)
    let count = generator.pick([nil, 100, 777])
    var plan = RangePlan(
        first: .smallest, last: .largest, count: count, pageRows: generator.pick([0, 1, 7, 100]))
    var stream = MadeUpStream(ids: seed % 2 == 0 ? all : Array(all.prefix(3_000)))
    let expected = Array(stream.ids.prefix(count ?? .max))
    stream.answer(&plan) { _ in generator.once(in: 2) ? generator.below(30) : nil }
    #expect(difference(stream.given, expected) == nil)
}

@Test func pagesFollowTheSizeOfTheEntries() {
    for (entryBytes, rows) in [(100, 2_000), (1_000, 524), (1 << 19, 1), (1 << 24, 1)] {
        var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 0)
        var stream = MadeUpStream(ids: ids(3_000), entryBytes: entryBytes)
        stream.answer(&plan)
        #expect(stream.given.count == 3_000)
        #expect(stream.asked.dropFirst().allSatisfy { $0.count <= 2 * rows })
    }
    let fixed = readAll(ids(600), pageRows: 50)
    #expect(fixed.asked.allSatisfy { $0.count == 50 })
}

@Test(arguments: 0..<20 as Range<UInt64>, [0, 1, 700, 5_000, 20_000])
func theNewestEntriesAreReadFromTheEnd(_ seed: UInt64, _ newest: Int) {
    let all = someStream(seed)
    // In mirrored ids the end is where reading begins; 0-0 is no entry.
    var plan = RangePlan(
        first: EntryID.largest.mirrored, last: EntryID(0, 1).mirrored, count: newest, pageRows: 0)
    var stream = MadeUpStream(ids: all.map { $0.mirrored }.sorted())
    var pages = 0
    stream.answer(&plan) { stream in
        // An entry that is added while it is read is not among them.
        if pages > 0, let first = stream.ids.first?.previous { stream.ids.insert(first, at: 0) }
        pages += 1
        return nil
    }
    let given = Array(stream.given.map { $0.mirrored }.reversed())
    #expect(difference(given, Array(all.suffix(newest))) == nil)
    #expect(stream.asked.allSatisfy { !$0.asksForEnd })
}

@Test func emptyRanges() {
    for (first, last) in [
        (nil, EntryID.largest), (.smallest, nil), (nil, nil), (EntryID(2, 0), EntryID(1, 9)),
    ] as [(EntryID?, EntryID?)] {
        var plan = RangePlan(first: first, last: last, count: nil, pageRows: 0)
        #expect(plan.nextPage(underWay: 0) == nil)
    }
    var none = RangePlan(first: .smallest, last: .largest, count: 0, pageRows: 0)
    #expect(none.nextPage(underWay: 0) == nil)
}
