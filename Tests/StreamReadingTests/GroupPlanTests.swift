// SPDX-License-Identifier: Apache-2.0
// What a member of a group does next, without a server: each transition of the plan, and whole
// reads of made-up groups that lose connections, groups and entries at every point.

import RedcolBase
import TestSupport
import Testing

@testable import StreamReading

private typealias Pairs = (key: String, value: String)

private func makePlan(streams: Int = 1, _ pairs: Pairs...) throws -> (GroupPlan, PendingEntries) {
    let pending = try PendingEntries.make()
    let options = try ReadOptions([("group", "g"), ("consumer", "me")] + pairs)
    return (GroupPlan(streams: streams, options: options, pending: pending), pending)
}

private func moment(
    _ now: Int64, rows: Int = 0, awaits: GroupPlan.Awaits = .nothing, entriesMax: Int = .max,
    idleness: Idleness = Idleness(.wait, blockMs: nil)
) -> GroupPlan.Moment {
    GroupPlan.Moment(
        now: now, rows: rows, awaits: awaits, entriesMax: entriesMax, idleness: idleness)
}

private func ask(_ request: GroupRequest, with companion: GroupRequest? = nil) -> GroupPlan.Step {
    .ask(request, companion: companion)
}

private func row(_ milliseconds: UInt64, _ stream: Int32 = 0) -> RowID {
    RowID(id: EntryID(milliseconds, 0), stream: stream)
}

private func page(_ ids: ClosedRange<UInt64>, _ consumer: String = "me", _ deliveries: Int64 = 1)
    -> [PendingLine]
{
    ids.compactMap { pendingEntry(EntryID($0, 0), consumer, deliveries) }
}

extension GroupPlan {
    /// An answer with entries that had so many of them.
    fileprivate mutating func came(_ request: GroupRequest, _ entries: Int, last: EntryID? = nil) {
        ended(request, entries: entries, last: last, hasNameless: false, rows: [])
    }

    /// Reads the own pending entries of all streams, of which there are none.
    fileprivate mutating func begin(_ now: Int64, streams: Int = 1) {
        connected(now)
        for _ in 0..<streams {
            guard case .ask(let request, _) = next(moment(now)) else { return }
            came(request, 0)
        }
    }

    fileprivate mutating func mustAsk(_ now: Int64) throws -> GroupRequest {
        guard let request = request(now) else { throw NothingIsAsked() }
        return request
    }

    fileprivate mutating func request(_ now: Int64, rows: Int = 0) -> GroupRequest? {
        guard case .ask(let request, _) = next(moment(now, rows: rows)) else { return nil }
        return request
    }
}

private struct NothingIsAsked: Error {}

@Suite struct GroupPlanTests {
    // MARK: One transition after the other

    @Test func ownEntriesComeFirstThenNewOnes() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("batch_rows", "10"))
        plan.connected(0)
        let own = GroupRequest.own(stream: 0, after: .smallest, count: 10)
        #expect(plan.next(moment(0)) == ask(own))
        #expect(plan.next(moment(0, awaits: .answers)) == .receive)
        // A full page: there may be more.
        plan.came(own, 10, last: EntryID(7, 0))
        let rest = GroupRequest.own(stream: 0, after: EntryID(7, 0), count: 10)
        #expect(plan.next(moment(0)) == ask(rest))
        plan.came(rest, 9, last: EntryID(9, 0))
        let new = GroupRequest.new(streams: [0], count: 10, blockMs: 1_000)
        #expect(plan.next(moment(0)) == ask(new))
    }

    @Test func aBatchIsHandedOverWhenNothingIsAwaited() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("batch_rows", "10"))
        plan.begin(0)
        #expect(plan.next(moment(0, rows: 3)) == .handOver)
        #expect(plan.next(moment(0, rows: 3, awaits: .answers)) == .receive)
        #expect(plan.next(moment(0, rows: 3, awaits: .acknowledgements)) == .receive)
        #expect(plan.isBatchReady(moment(0, rows: 10, awaits: .answers)))
        #expect(!plan.isBatchReady(moment(0, rows: 9, awaits: .answers)))
    }

    @Test func aReadThatDoesNotFollowFillsItsBatch() throws {
        var (plan, _) = try makePlan(("batch_rows", "10"), ("count", "15"))
        plan.begin(0)
        #expect(plan.request(0, rows: 3) == .new(streams: [0], count: 12, blockMs: nil))
        #expect(plan.next(moment(0, rows: 10)) == .handOver)
        plan.handedOver((0..<10).map { row($0) })
        #expect(plan.rowsMax == 5)
        #expect(plan.request(0) == .new(streams: [0], count: 5, blockMs: nil))
        #expect(plan.next(moment(0, rows: 5)) == .handOver)
        plan.handedOver((10..<15).map { row($0) })
        #expect(plan.next(moment(0)) == .finish)
        #expect(plan.isEnding)
    }

    @Test func aReadThatDoesNotFollowWaitsOnlyIfThereIsNothing() throws {
        var (plan, _) = try makePlan(("count", "15"), ("block_ms", "300"))
        plan.begin(0)
        let now = try plan.mustAsk(0)
        #expect(now == .new(streams: [0], count: 15, blockMs: nil))
        plan.came(now, 0)
        #expect(plan.cameEmpty)
        #expect(plan.request(100) == .new(streams: [0], count: 15, blockMs: 300))
        plan.came(now, 0)
        #expect(plan.request(250) == .new(streams: [0], count: 15, blockMs: 150))
        plan.came(now, 0)
        #expect(plan.next(moment(400)) == .finish)
        var (other, _) = try makePlan(("count", "15"), ("block_ms", "300"))
        other.begin(0)
        other.came(try other.mustAsk(0), 2)
        other.handedOver([row(1), row(2)])
        other.came(try other.mustAsk(0), 0)
        #expect(other.next(moment(1)) == .finish)
    }

    @Test func aBacklogIsAskedForWhileAcknowledgementsAreAwaited() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("batch_rows", "10"))
        plan.begin(0)
        let request = try plan.mustAsk(0)
        plan.came(request, 10)
        #expect(plan.mayHaveMore)
        let more = GroupRequest.new(streams: [0], count: 10, blockMs: nil)
        #expect(plan.next(moment(0, awaits: .acknowledgements)) == ask(more))
        #expect(plan.readsBacklog(more))
        #expect(!plan.readsBacklog(request))
        #expect(plan.next(moment(0, awaits: .deadLetters)) == .receive)
        plan.came(more, 9)
        #expect(plan.next(moment(0, awaits: .acknowledgements)) == .receive)
        // A connection that is lost takes that knowledge with it.
        plan.came(more, 10)
        plan.connectionLost(rows: [])
        #expect(plan.next(moment(0, awaits: .acknowledgements)) == .receive)
    }

    @Test func whatTheCallerWantsEndsTheRead() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("on_idle", "stop"), ("block_ms", "50"))
        plan.begin(0)
        var idleness = Idleness(.stop, blockMs: 50)
        idleness.sent(0)
        guard case .ask(.new(_, _, let blockMs), _) = plan.next(moment(0, idleness: idleness))
        else { return #expect(Bool(false), "no new entries are asked for") }
        #expect(blockMs == 50)
        idleness.answered(50, entries: 0, isFull: false)
        #expect(plan.next(moment(50, idleness: idleness)) == .finish)
        var empty = Idleness(.empty, blockMs: 50)
        empty.isAsked(0)
        empty.answered(50, entries: 0, isFull: false)
        #expect(plan.next(moment(50, idleness: empty)) == .handOver)
    }

    @Test func lessIsAskedForWhereAnswersDoNotGetThrough() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("batch_rows", "10"))
        plan.connected(0)
        #expect(
            plan.next(moment(0, entriesMax: 3))
                == ask(.own(stream: 0, after: .smallest, count: 3)))
    }

    @Test func thePendingListIsLookedAtAgainAfterAReconnect() throws {
        var (plan, _) = try makePlan(("follow", "true"))
        plan.begin(0)
        #expect(plan.request(1_249) == .new(streams: [0], count: 65_536, blockMs: 1))
        let look = GroupRequest.look(stream: 0, after: .smallest, count: 1_000)
        #expect(plan.request(1_250) == look)
        // A page that is full, with an entry that nobody has in hand in its midst.
        let isLast = plan.looked(page(1...1_000), look, inHand: [row(1), row(2)], 1_250)
        #expect(!isLast)
        let own = try plan.mustAsk(1_250)
        #expect(own == .own(stream: 0, after: EntryID(2, .max), count: 65_536))
        plan.came(own, 998)
        let next = GroupRequest.look(stream: 0, after: EntryID(1_000, 0), count: 1_000)
        #expect(plan.request(1_250) == next)
        #expect(plan.looked(page(1_001...1_001), next, inHand: [row(1_001)], 1_250) == true)
        guard case .new = plan.request(1_250 + 29_999) else {
            return #expect(Bool(false), "nothing is strange")
        }
        #expect(plan.request(1_250 + 30_000) == look)
    }

    @Test func whatOthersHaveAcknowledgedIsForgotten() throws {
        var (plan, pending) = try makePlan(("follow", "true"))
        plan.begin(0)
        pending.hold([row(1), row(2), row(3)])
        let look = GroupRequest.look(stream: 0, after: .smallest, count: 1_000)
        let isLast = plan.looked(page(2...2), look, inHand: pending.all(0), 0)
        #expect(isLast)
        #expect(pending.handedOver() == [row(2)])
    }

    // MARK: Claiming

    @Test func idleEntriesAreCountedWithTheOwnOnesAndClaimedBetweenNewOnes() throws {
        var (plan, _) = try makePlan(
            ("follow", "true"), ("batch_rows", "2"), ("claim_idle_ms", "500"))
        plan.connected(0)
        let own = GroupRequest.own(stream: 0, after: .smallest, count: 2)
        let idle = GroupRequest.deliveries(
            stream: 0, after: .smallest, count: 1_000, idleMs: 500)
        #expect(plan.next(moment(0)) == ask(own, with: idle))
        plan.came(own, 0)
        let letters = plan.counted(page(1...5, "you"), idle, inHand: [row(3)], rows: 0, 0)
        #expect(letters.isEmpty)
        let claim = GroupRequest.claim(
            stream: 0, first: EntryID(1, 0), last: EntryID(2, 0), count: 2, idleMs: 500)
        #expect(plan.next(moment(0)) == ask(claim))
        plan.came(claim, 2, last: EntryID(2, 0))
        // New ones next, and without waiting: there is more to claim.
        let new = GroupRequest.new(streams: [0], count: 2, blockMs: nil)
        #expect(plan.next(moment(0)) == ask(new))
        plan.came(new, 0)
        #expect(!plan.cameEmpty)
        #expect(plan.mayHaveMore)
        let rest = GroupRequest.deliveries(
            stream: 0, after: EntryID(2, 0), count: 1_000, idleMs: 500)
        #expect(plan.next(moment(0)) == ask(rest))
        // All others are in hand, and no page comes after this one.
        _ = plan.counted(page(3...5, "you"), rest, inHand: [row(3), row(4), row(5)], rows: 0, 0)
        guard case .ask(.new(_, _, blockMs: 250), _) = plan.next(moment(0)) else {
            return #expect(Bool(false), "claiming is due again in half of the idle time")
        }
    }

    @Test func aFullPageWithoutAnEntryToClaimIsFollowedByTheNext() throws {
        var (plan, _) = try makePlan(
            ("follow", "true"), ("batch_rows", "10"), ("claim_idle_ms", "500"))
        plan.begin(0)
        let idle = try plan.mustAsk(0)
        let inHand = Set((1...1_000).map { row($0) })
        _ = plan.counted(page(1...1_000), idle, inHand: inHand, rows: 0, 0)
        #expect(
            plan.request(0)
                == .deliveries(stream: 0, after: EntryID(1_000, 0), count: 1_000, idleMs: 500))
    }

    @Test func entriesWithoutAnIDAreInTheOwnListNow() throws {
        var (plan, _) = try makePlan(("follow", "true"), ("claim_idle_ms", "500"))
        plan.begin(0)
        let idle = try plan.mustAsk(0)
        _ = plan.counted(page(4...5, "you"), idle, inHand: [], rows: 0, 0)
        let claim = try plan.mustAsk(0)
        plan.ended(claim, entries: 2, last: nil, hasNameless: true, rows: [])
        #expect(plan.request(0) == .own(stream: 0, after: EntryID(3, .max), count: 65_536))
    }

    /// Between XPENDING and XAUTOCLAIM their consumer acknowledges some of the entries.
    @Test(arguments: 0...5)
    func aClaimThatRacesWithAnAcknowledgement(_ acknowledged: Int) throws {
        var group = MadeUpGroup(perStream: 5)
        let rows = group.rows
        _ = group.answer(.new(streams: [0], count: 5, blockMs: nil))
        for row in rows { group.streams[0].group?.pending[row.id]?.consumer = "you" }
        group.now += 1_000
        var member = try MadeUpMember(("claim_idle_ms", "500"), now: group.now)
        var claims = 0
        member.read(&group) { group, _, request in
            guard case .claim = request else { return false }
            if claims == 0 { group.acknowledge(Array(rows.prefix(acknowledged))) }
            claims += 1
            return false
        }
        #expect(member.given == Array(rows.dropFirst(acknowledged)))
        #expect(claims > 0 && claims < 4)
        #expect(member.hasEnded && group.pendingCount == 0)
    }

    // MARK: Deliveries that are counted

    @Test func whatWasDeliveredTooOftenBecomesADeadLetter() throws {
        var (plan, _) = try makePlan(
            ("follow", "true"), ("max_deliveries", "3"), ("dead_letter", "dead"))
        plan.connected(0)
        let count = GroupRequest.deliveries(
            stream: 0, after: .smallest, count: 20_000, idleMs: nil)
        #expect(plan.next(moment(0)) == ask(count))
        let counted = page(1...1, "me", 3) + page(2...2, "me", 2)
        let letters = plan.counted(counted, count, inHand: [], rows: 0, 0)
        #expect(letters == [DeadLetter(row: row(1), consumer: Array("me".utf8), deliveries: 3)])
        #expect(plan.next(moment(0)) == ask(.own(stream: 0, after: .smallest, count: 10_000)))
    }

    @Test func noMoreOwnEntriesAreReadThanWereCounted() throws {
        var (plan, _) = try makePlan(
            ("follow", "true"), ("max_deliveries", "3"), ("dead_letter", "dead"),
            ("batch_rows", "900"))
        plan.connected(0)
        let count = try plan.mustAsk(0)
        #expect(count == .deliveries(stream: 0, after: .smallest, count: 1_800, idleMs: nil))
        let full = page(1...1_790, "me", 3) + page(1_791...1_800, "me", 1)
        #expect(plan.counted(full, count, inHand: [], rows: 0, 0).count == 1_790)
        #expect(plan.request(0) == .own(stream: 0, after: .smallest, count: 10))
        // A page of dead letters only is followed by the next.
        plan.connected(0)
        _ = plan.request(0)
        let dead = plan.counted(page(1...1_800, "me", 9), count, inHand: [], rows: 0, 0)
        #expect(dead.count == 1_800)
        #expect(
            plan.request(0)
                == .deliveries(stream: 0, after: EntryID(1_800, 0), count: 1_800, idleMs: nil))
    }

    // MARK: Groups that are lost

    @Test func aGroupIsMadeAgainWhereAllWasHandled() throws {
        var (plan, pending) = try makePlan(("follow", "true"))
        plan.begin(0)
        plan.handedOver([row(10), row(20), row(30)])
        pending.acknowledged([row(10), row(20), row(30)])
        let new = try plan.mustAsk(0)
        #expect(plan.groupLost(new, 0) == true)
        let entry = GroupRequest.entry(stream: 0, id: EntryID(30, 0))
        #expect(plan.next(moment(0)) == ask(.firstEntry(stream: 0), with: entry))
        var other = plan
        plan.foundFirst(0, EntryID(10, 0))
        plan.foundHandled(0, isThere: true)
        #expect(plan.next(moment(0)) == ask(.create(stream: 0, at: EntryID(30, 0))))
        plan.created(0, at: EntryID(30, 0), isNew: true, 0)
        #expect(plan.request(0) == .own(stream: 0, after: .smallest, count: 65_536))

        // Not so far, if the caller is not done with all of them.
        pending.hold([row(20)])
        other.foundFirst(0, EntryID(10, 0))
        other.foundHandled(0, isThere: true)
        let before = EntryID(19, .max)
        #expect(other.next(moment(0)) == ask(.create(stream: 0, at: before)))
        // Somebody else has made it: what is in hand may still be pending.
        other.created(0, at: before, isNew: false, 0)
        #expect(pending.handedOver() == [row(20)])
        other.created(0, at: before, isNew: true, 0)
        #expect(pending.handedOver().isEmpty)
    }

    @Test(
        arguments: [
            (10, true, 30), (10, false, 0), (30, true, 0), (31, false, 0), (nil, true, 0),
            (10, nil, 0),
        ] as [(UInt64?, Bool?, UInt64)])
    func aStreamThatWasBegunAgain(_ first: UInt64?, _ isThere: Bool?, _ at: UInt64) throws {
        var (plan, pending) = try makePlan(("follow", "true"))
        plan.begin(0)
        plan.handedOver([row(30)])
        pending.acknowledged([row(30)])
        #expect(plan.groupLost(.own(stream: 0, after: .smallest, count: 1), 0) == true)
        plan.foundFirst(0, first.map { EntryID($0, 0) })
        plan.foundHandled(0, isThere: isThere)
        #expect(plan.request(0) == .create(stream: 0, at: EntryID(at, 0)))
    }

    @Test func aRefusedEntryHoldsTheNewGroupBack() throws {
        var (plan, _) = try makePlan(("follow", "true"))
        plan.begin(0)
        #expect(plan.refused(RefusedEntry(row: row(20)), 0) == .raiseLater)
        plan.handedOver([row(30)])
        #expect(plan.groupLost(.own(stream: 0, after: .smallest, count: 1), 0) == true)
        plan.foundFirst(0, EntryID(1, 0))
        plan.foundHandled(0, isThere: true)
        #expect(plan.request(0) == .create(stream: 0, at: EntryID(19, .max)))
    }

    @Test func aGroupThatSomebodyElseMakesIsWaitedFor() throws {
        var (plan, _) = try makePlan(streams: 2, ("follow", "true"), ("create_group", "false"))
        plan.begin(0, streams: 2)
        let own = { GroupRequest.own(stream: $0, after: .smallest, count: 65_536) }
        #expect(plan.groupLost(own(0), 0) == true)
        #expect(plan.request(0) == .new(streams: [1], count: 65_536, blockMs: 1_000))
        #expect(plan.request(1_000) == own(0))
        #expect(plan.groupLost(own(0), 1_000) == true)
        // Without any group it is an error.
        let isRaised = !plan.groupLost(own(1), 1_500)
        #expect(isRaised)
        #expect(plan.next(moment(1_500)) == .pause(until: 2_000))
        #expect(plan.pauseUntil == 2_000)
        #expect(plan.next(moment(1_999)) == .pause(until: 2_000))
        // What is awaited when the time has come is waited for, not the time.
        var other = plan
        #expect(other.next(moment(2_001, awaits: .acknowledgements)) == .receive)
        #expect(other.pauseUntil == nil)
        #expect(plan.request(2_000) == own(0))
        plan.connectionLost(rows: [])
        plan.connected(2_100)
        #expect(plan.pauseUntil == nil)
        #expect(plan.request(2_100) == own(0))
    }

    /// The error names the stream in a text for people, and the group too.
    @Test func aStreamNamedLikeItsGroup() throws {
        var group = MadeUpGroup(streams: 3, perStream: 9)
        var member = try MadeUpMember(streams: 3)
        var asked = 0
        member.read(&group) { group, _, request in
            guard case .new = request else { return false }
            asked += 1
            if asked == 2 { group.streams[1].group = nil }
            return false
        }
        #expect(Set(member.given) == Set(group.rows))
        #expect(member.hasEnded && group.pendingCount == 0)
        let made = member.asked.compactMap { request -> Int? in
            guard case .create(let stream, _) = request else { return nil }
            return stream
        }
        #expect(made == [1])
    }

    // MARK: Whole reads

    private static let kinds: [[(key: String, value: String)]] = [
        [], [("claim_idle_ms", "10000")], [("max_deliveries", "5"), ("dead_letter", "dead")],
        [("count", "1000")],
    ]

    private func read(
        _ kind: Int, streams: Int = 1, perStream: Int = 23,
        _ before: (inout MadeUpGroup, Int, GroupRequest) -> Bool = { _, _, _ in false }
    ) throws -> (MadeUpGroup, MadeUpMember) {
        var group = MadeUpGroup(streams: streams, perStream: perStream)
        var member = try MadeUpMember(streams: streams, pairs: GroupPlanTests.kinds[kind])
        member.read(&group, before: before)
        #expect(member.hasEnded && !member.hasFailed)
        #expect(group.pendingCount == 0)
        #expect(member.letters.isEmpty)
        return (group, member)
    }

    @Test(arguments: 0..<4, [1, 3])
    func everyEntryIsHandedOverOnce(_ kind: Int, _ streams: Int) throws {
        let (group, member) = try read(kind, streams: streams)
        #expect(member.given.count == group.rows.count)
        #expect(Set(member.given) == Set(group.rows))
    }

    /// The request is executed, and its answer does not come: once for each request of the read.
    @Test(arguments: 0..<4, [1, 3])
    func aReplyLostAtEachPoint(_ kind: Int, _ streams: Int) throws {
        let requests = try read(kind, streams: streams).1.asked.count
        for point in 0..<requests {
            let (group, member) = try read(kind, streams: streams) { _, number, _ in
                number == point
            }
            #expect(member.given.count == group.rows.count, "request \(point)")
            #expect(Set(member.given) == Set(group.rows), "request \(point)")
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func manyRepliesAreLost(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let (group, member) = try read(Int(seed % 2), streams: 1 + Int(seed % 3)) { _, _, _ in
            generator.once(in: 3)
        }
        #expect(member.given.count == group.rows.count)
        #expect(Set(member.given) == Set(group.rows))
    }

    /// The group is destroyed before each request of the read in turn: what was not acknowledged
    /// comes again, and nothing is left out.
    @Test(arguments: 0..<4, [1, 3])
    func noGroupAtEachPoint(_ kind: Int, _ streams: Int) throws {
        let requests = try read(kind, streams: streams).1.asked.count
        for point in 0..<requests {
            for stream in 0..<streams {
                let (group, member) = try read(kind, streams: streams) { group, number, _ in
                    if number == point { group.streams[stream].group = nil }
                    return false
                }
                #expect(Set(member.given) == Set(group.rows), "request \(point)")
            }
        }
    }

    /// The group and the connection go together, and the group goes again while it is made.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func groupsAndConnectionsAreLost(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let streams = 1 + Int(seed % 3)
        let (group, member) = try read(Int(seed % 3), streams: streams, perStream: 40) {
            group, number, _ in
            guard number < 200 else { return false }
            if generator.once(in: 6) { group.streams[generator.below(streams)].group = nil }
            return generator.once(in: 6)
        }
        #expect(Set(member.given) == Set(group.rows))
    }

    /// The stream is deleted and begun again with other entries, some of whose ids were handled.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func streamsAreBegunAgain(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        var rest = 3
        let (group, member) = try read(0, perStream: 30) { group, number, _ in
            guard rest > 0, generator.once(in: 4) else { return false }
            rest -= 1
            let first = UInt64(100 * (3 - rest) + generator.below(50))
            group.streams[0].ids = (0..<10).map { EntryID(first + $0, 0) }
            group.streams[0].group = nil
            return false
        }
        #expect(Set(group.rows).isSubset(of: Set(member.given)))
    }

    /// Entries that are deleted while they are pending give no row, and are acknowledged.
    @Test func entriesDeletedWhileTheyArePending() throws {
        var isLost = false
        let (group, member) = try read(0) { group, _, request in
            guard case .new = request, !isLost else { return false }
            isLost = true
            group.streams[0].ids.removeFirst(2)
            return true
        }
        #expect(Set(member.given) == Set(group.rows))
    }
}
