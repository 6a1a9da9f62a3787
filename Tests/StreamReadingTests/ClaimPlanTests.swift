// SPDX-License-Identifier: Apache-2.0
// Which pages of entries are claimed, without a server: the tests answer.

import RedcolBase
import Testing

@testable import StreamReading

private func ids(_ numbers: UInt64...) -> [EntryID] { numbers.map { EntryID($0, 0) } }

@Test func namedEntriesAreClaimedInTheirOrder() {
    var plan = ClaimPlan(.named(ids(5, 1, 3, 1, 9)), count: nil)
    let request = ClaimPlan.Request.named(ids(1, 3, 5, 9)[...])
    #expect(plan.next == request)
    #expect(plan.next == request)
    #expect(plan.ended(request, entries: 2, bytes: 100, cursor: .smallest) == true)
    #expect(plan.next == nil)
    #expect(ClaimPlan(.named([]), count: nil).next == nil)
    #expect(ClaimPlan(.named(ids(1)), count: 0).next == nil)
}

@Test func pagesAreOfBoundedSize() throws {
    var plan = ClaimPlan(.named((0..<5_000).map { EntryID($0, 0) }), count: nil)
    func claim(_ entries: Int, of bytes: Int) throws -> Int {
        let request = try #require(plan.next)
        guard case .named(let page) = request else { return 0 }
        #expect(
            plan.ended(request, entries: entries, bytes: entries * bytes, cursor: .smallest) == true
        )
        return page.count
    }
    #expect(try claim(100, of: 10) == ClaimPlan.firstPageRows)
    #expect(try claim(0, of: 0) == ClaimPlan.pageRowsMost)
    #expect(try claim(800, of: 1024) == ClaimPlan.pageRowsMost)
    #expect(try claim(1, of: 1 << 30) == 128)
    #expect(try claim(1, of: 1 << 10) == 1)
    #expect(try claim(128, of: 1 << 10) == 128)
}

@Test func idleEntriesAreSearchedToTheEnd() {
    var plan = ClaimPlan(.idle, count: 150)
    let first = ClaimPlan.Request.idle(from: .smallest, count: 100)
    #expect(plan.next == first)
    #expect(plan.ended(first, entries: 0, bytes: 20, cursor: EntryID(7, 1)) == true)
    let second = ClaimPlan.Request.idle(from: EntryID(7, 1), count: 100)
    #expect(plan.next == second)
    #expect(plan.ended(second, entries: 100, bytes: 10_000, cursor: EntryID(7, 1)) == false)
    #expect(plan.ended(second, entries: 0, bytes: 0, cursor: EntryID(8, 0)) == true)
    let third = ClaimPlan.Request.idle(from: EntryID(8, 0), count: 50)
    #expect(plan.next == third)
    #expect(plan.ended(third, entries: 20, bytes: 2_000, cursor: .smallest) == true)
    #expect(plan.next == nil)
}
