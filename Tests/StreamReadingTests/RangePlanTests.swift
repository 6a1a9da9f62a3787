// What is asked of the server to read a range, driven without one: a made-up stream answers the pages.

import TestSupport
import Testing

@testable import StreamReading

/// Answers the pages of a plan as a server would, and remembers what was asked.
private struct MadeUpStream {
    var ids: [EntryID]
    var entryBytes = 100
    var asked: [RangePlan.Page] = []
    var given: [EntryID] = []

    /// Answers pages until the plan has none; `beforePage` may add entries to the stream, and says
    /// after how many entries of the page the connection is lost.
    mutating func answer(
        _ plan: inout RangePlan, beforePage: (inout MadeUpStream) -> Int? = { _ in nil }
    ) {
        while let page = plan.nextPage(), asked.count < 10_000 {
            let lostAfter = beforePage(&self)
            asked.append(page)
            let entries = ids.filter { $0 >= page.first && $0 <= page.last }.prefix(page.count)
            if page.asksForEnd, lostAfter == nil { plan.found(end: ids.last) }
            let received = entries.prefix(lostAfter ?? entries.count)
            given += received
            if let last = received.last { plan.read(upTo: last, entries: received.count) }
            guard lostAfter == nil else { continue }
            plan.pageEnded(
                asked: page.count, entries: entries.count, bytes: entries.count * entryBytes)
        }
    }
}

private func ids(_ count: Int) -> [EntryID] {
    // Some share their milliseconds.
    (0..<count).map { EntryID(UInt64($0 / 3), UInt64($0 % 3) + 1) }
}

@Test(arguments: [0, 1, 2, 255, 256, 257, 5_000])
func allEntriesAreReadOnce(_ count: Int) {
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 0)
    var stream = MadeUpStream(ids: ids(count))
    stream.answer(&plan)
    #expect(stream.given == ids(count))
    #expect(
        stream.asked.first == .init(first: .smallest, last: .largest, count: 256, asksForEnd: false)
    )
    #expect(plan.nextPage() == nil)
}

@Test(arguments: [0, 1, 9, 10, 11, 20, 25, 100], [1, 10, 1_000])
func countIsKept(_ count: Int, _ pageRows: Int) {
    var plan = RangePlan(first: .smallest, last: .largest, count: count, pageRows: pageRows)
    var stream = MadeUpStream(ids: ids(50))
    stream.answer(&plan)
    #expect(stream.given == Array(ids(50).prefix(count)))
    #expect(stream.asked.allSatisfy { $0.count <= min(pageRows, count) })
}

@Test func aShortPageIsTheLast() {
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 10)
    var stream = MadeUpStream(ids: ids(15))
    stream.answer(&plan)
    #expect(stream.asked.map { $0.count } == [10, 10])
}

@Test func pagesBeginAfterTheEntryBefore() {
    var plan = RangePlan(first: EntryID(1, 1), last: EntryID(2, 3), count: nil, pageRows: 2)
    var stream = MadeUpStream(ids: ids(30))
    stream.answer(&plan)
    #expect(stream.given == Array(ids(30)[3...8]))
    #expect(stream.asked.map { $0.first } == [EntryID(1, 1), EntryID(1, 3), EntryID(2, 2)])
    #expect(stream.asked.allSatisfy { $0.last == EntryID(2, 3) && !$0.asksForEnd })
}

@Test func theLastEntryOfTheRangeEndsIt() {
    var plan = RangePlan(first: .smallest, last: EntryID(1, 3), count: nil, pageRows: 6)
    var stream = MadeUpStream(ids: ids(30))
    stream.answer(&plan)
    #expect(stream.asked.count == 1)
    plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 1)
    stream = MadeUpStream(ids: [.largest])
    stream.answer(&plan)
    #expect(stream.given == [.largest])
    #expect(stream.asked.count == 1)
}

@Test func aStreamThatGrowsAsFastAsItIsReadHasAnEnd() {
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 10)
    var stream = MadeUpStream(ids: ids(35))
    stream.answer(&plan) { stream in
        let last = stream.ids.last?.milliseconds ?? 0
        stream.ids += (1...20).map { EntryID(last + $0, 0) }
        return nil
    }
    // The end is asked for with the second page, when 75 are there; a page may go past it.
    #expect(
        stream.asked.map { $0.asksForEnd } == [false, true]
            + stream.asked.dropFirst(2).map { _ in false })
    #expect(stream.given.count >= 75 && stream.given.count < 85)
    #expect(stream.given == Array(stream.ids.prefix(stream.given.count)))
}

@Test func anEndThatIsNotTold() {
    var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 10)
    plan.read(upTo: EntryID(3, 1), entries: 10)
    plan.pageEnded(asked: 10, entries: 10, bytes: 1_000)
    #expect(plan.nextPage()?.asksForEnd == true)
    plan.found(end: nil)
    #expect(
        plan.nextPage() == .init(first: EntryID(3, 2), last: .largest, count: 10, asksForEnd: false)
    )
    // It is asked for once.
    plan.found(end: EntryID(1, 0))
    #expect(plan.nextPage()?.last == .largest)
}

@Test(arguments: 0..<30)
func lostConnectionsLoseNoEntry(_ seed: UInt64) {
    var generator = SeededGenerator(seed)
    let count = generator.pick([nil, 100, 777])
    var plan = RangePlan(
        first: .smallest, last: .largest, count: count, pageRows: generator.pick([0, 1, 7, 100]))
    var stream = MadeUpStream(ids: ids(900))
    stream.answer(&plan) { _ in generator.once(in: 2) ? generator.below(30) : nil }
    #expect(stream.given == Array(ids(900).prefix(count ?? 900)))
}

@Test func pagesFollowTheSizeOfTheEntries() {
    for (entryBytes, rows) in [(100, 10_000), (1_000, 4_194), (1 << 22, 1), (1 << 24, 1)] {
        var plan = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 0)
        var stream = MadeUpStream(ids: ids(600), entryBytes: entryBytes)
        stream.answer(&plan)
        #expect(stream.given.count == 600)
        #expect(stream.asked.dropFirst().allSatisfy { $0.count == rows })
    }
    var fixed = RangePlan(first: .smallest, last: .largest, count: nil, pageRows: 50)
    var stream = MadeUpStream(ids: ids(600), entryBytes: 1 << 24)
    stream.answer(&fixed)
    #expect(stream.asked.allSatisfy { $0.count == 50 })
}

@Test func emptyRanges() {
    for (first, last) in [
        (nil, EntryID.largest), (.smallest, nil), (nil, nil), (EntryID(2, 0), EntryID(1, 9)),
    ] as [(EntryID?, EntryID?)] {
        #expect(RangePlan(first: first, last: last, count: nil, pageRows: 0).nextPage() == nil)
    }
    let one = RangePlan(first: EntryID(1, 1), last: EntryID(1, 1), count: nil, pageRows: 0)
    #expect(one.nextPage()?.count == 256)
}
