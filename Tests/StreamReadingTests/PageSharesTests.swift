// SPDX-License-Identifier: Apache-2.0
// Which server is asked for which page when several have the stream, and how far a range goes when
// a replica is behind.

import RedcolBase
import Testing

@testable import StreamReading

private func id(_ milliseconds: UInt64) -> EntryID { EntryID(milliseconds, 0) }

/// The servers that are asked for so many pages, of which `depth` are under way: each has to be
/// waited for if `isSlow` says so.
private func asked(
    _ shares: inout PageShares, pages: Int, depth: Int = 12, isSlow: (Int) -> Bool = { _ in false }
) -> [Int] {
    var underWay: [Int] = []
    var counts: [Int] = []
    for _ in 0..<pages {
        if underWay.count == depth {
            let first = underWay.removeFirst()
            if isSlow(first) { shares.waits(for: first) }
            shares.pageEnded(first)
        }
        let chosen = shares.choose(upTo: id(1)) { _ in true }
        underWay.append(chosen)
        while counts.count <= chosen { counts.append(0) }
        counts[chosen] += 1
    }
    return counts
}

private func shares(_ count: Int) -> PageShares {
    var shares = PageShares()
    for _ in 0..<count { shares.add(upTo: .largest) }
    return shares
}

@Test(arguments: 1...4)
func serversThatAreFastShareEvenly(_ count: Int) {
    var all = shares(count)
    let counts = asked(&all, pages: 600)
    #expect(counts.count == count && counts.allSatisfy { abs($0 - 600 / count) <= 12 })
}

@Test func aSlowServerIsAskedForLess() {
    var all = shares(3)
    let counts = asked(&all, pages: 600, isSlow: { $0 == 1 })
    #expect(counts[1] > 0 && counts[1] < 120)
    // It is asked for more again when others are slower.
    let later = asked(&all, pages: 600, isSlow: { $0 != 1 })
    #expect(later[1] > 200)
}

@Test func theFirstIsAskedForWhatNoOtherHas() {
    var shares = PageShares()
    shares.add(upTo: id(100), pagesUnderWay: 3)
    shares.add(upTo: id(50))
    func choose(_ last: UInt64, _ isUsable: (Int) -> Bool = { _ in true }) -> Int {
        shares.choose(upTo: id(last), isUsable)
    }
    #expect(choose(50) == 1)
    #expect(choose(51) == 0)
    #expect(choose(200) == 0)
    #expect(choose(50) { $0 == 0 } == 0)
    shares.add(upTo: .largest)
    #expect(choose(200) == 2)
    shares.remove(2)
    #expect(choose(200) == 0)
    shares.remove(1)
    #expect(choose(1) == 0)
}

@Test func nothingIsKnownBeforeAServerIsAdded() {
    var shares = PageShares()
    #expect(shares.choose(upTo: id(1)) { _ in true } == 0)
    shares.pageEnded(0)
    shares.waits(for: 0)
}

/// A plan that has read `count` entries, one a millisecond, and what it has under way.
private func plan(reading count: Int, last: EntryID) -> (RangePlan, [RangePlan.Page]) {
    var plan = RangePlan(first: .smallest, last: last, count: nil, pageRows: 100)
    var underWay: [RangePlan.Page] = []
    var done = 0
    while done < count || underWay.isEmpty {
        while let page = plan.nextPage(underWay: underWay.count) { underWay.append(page) }
        let page = underWay.removeFirst()
        let isCut = plan.pageEnded(
            page, entries: 100, first: id(UInt64(done)), last: id(UInt64(done) + 99), bytes: 10_000)
        done += 100
        if isCut { underWay = [] }
        while let page = plan.nextPage(underWay: underWay.count) { underWay.append(page) }
    }
    return (plan, underWay)
}

@Test func aReplicaThatHasAllThatWasAsked() throws {
    var (plan, underWay) = plan(reading: 2_000, last: id(1_000_000))
    #expect(plan.isLarge && underWay.count > 1)
    let asked = try #require(underWay.last?.last)
    let mustAskAgain = plan.reaches(asked, lastRead: id(1_999))
    #expect(!mustAskAgain)
    // All up to there was asked: the rest is the primary's.
    var next = plan.nextPage(underWay: 0)
    #expect(!plan.isLarge && next == nil)
    plan.continues(to: id(1_500))
    next = plan.nextPage(underWay: 0)
    #expect(next == nil)
    plan.continues(to: id(900_000))
    next = plan.nextPage(underWay: 0)
    let page = try #require(next)
    #expect(page.first == asked.next && page.last <= id(900_000))
}

@Test func aReplicaThatMayHaveLackedWhatWasAsked() throws {
    var (plan, underWay) = plan(reading: 2_000, last: id(1_000_000))
    let asked = try #require(underWay.last?.last)
    let end = EntryID(asked.milliseconds - 50, 0)
    let mustAskAgain = plan.reaches(end, lastRead: id(1_999))
    #expect(mustAskAgain)
    // No later page may have what an earlier one lacks.
    let next = plan.nextPage(underWay: 0)
    let page = try #require(next)
    #expect(page.first == id(1_999).next)
    #expect(page.last <= end)
}
