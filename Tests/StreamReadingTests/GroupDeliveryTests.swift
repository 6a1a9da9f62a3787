// SPDX-License-Identifier: Apache-2.0
// What the plan of a group does with batches that are handed over or taken back, and with entries
// that cannot be handed over, without a server.

import RedcolBase
import Testing

@testable import StreamReading

private func makePlan(
    _ pairs: (key: String, value: String)...
) throws -> (GroupPlan, PendingEntries) {
    let pending = try PendingEntries.make()
    let options = try ReadOptions([("group", "g"), ("consumer", "me")] + pairs)
    var plan = GroupPlan(streams: 1, options: options, pending: pending)
    plan.connected(0)
    return (plan, pending)
}

private func row(_ milliseconds: UInt64) -> RowID {
    RowID(id: EntryID(milliseconds, 0), stream: 0)
}

private func rows(_ milliseconds: ClosedRange<UInt64>) -> [RowID] { milliseconds.map { row($0) } }

private let own = GroupRequest.own(stream: 0, after: .smallest, count: 10)

/// After which entry the group is created again, when it is lost and the stream is the same.
private func beginning(_ plan: GroupPlan) -> EntryID? {
    var plan = plan
    guard plan.groupLost(own, 0) else { return nil }
    plan.foundFirst(0, EntryID(1, 0))
    plan.foundHandled(0, isThere: true)
    let moment = GroupPlan.Moment(now: 0, idleness: Idleness(.wait, blockMs: nil))
    guard case .ask(.create(_, let id), _) = plan.next(moment) else { return nil }
    return id
}

@Suite struct GroupDeliveryTests {
    // MARK: Batches

    @Test func aBatchIsInHandUntilTheNextIsAskedFor() throws {
        var (plan, pending) = try makePlan(("follow", "true"), ("auto_ack", "true"))
        plan.handedOver(rows(1...3), leftOut: [row(4)])
        #expect(pending.handedOver() == rows(1...4))
        #expect(pending.takeUnsent(most: 10).isEmpty)
        plan.nextIsAsked()
        #expect(pending.takeUnsent(most: 10) == rows(1...4))
        #expect(plan.takeBack() == nil)
    }

    @Test func withoutAutoAckTheCallerAcknowledges() throws {
        var (plan, pending) = try makePlan(("follow", "true"))
        plan.handedOver(rows(1...3))
        plan.nextIsAsked()
        #expect(pending.takeUnsent(most: 10).isEmpty)
        #expect(pending.handedOver() == rows(1...3))
    }

    @Test func aBatchIsTakenBack() throws {
        var (plan, pending) = try makePlan(("follow", "true"), ("count", "9"))
        #expect(plan.takeBack() == nil)
        plan.handedOver(rows(1...2))
        plan.handedOver(rows(3...5), leftOut: [row(6)])
        #expect(plan.remaining == 4)
        pending.acknowledged([row(4)])
        #expect(plan.takeBack() == 2)
        #expect(plan.remaining == 6)
        #expect(pending.handedOver() == rows(1...2))
        #expect(plan.takeBack() == nil)
        // The group would be created again before what comes again.
        pending.acknowledged(rows(1...2))
        #expect(beginning(plan) == EntryID(2, 0))
    }

    @Test func withoutABatchEntriesThatGaveNoRowAreAcknowledged() throws {
        for autoAck in ["true", "false"] {
            var (plan, pending) = try makePlan(("follow", "true"), ("auto_ack", autoAck))
            plan.hasNoBatch(leftOut: rows(1...2))
            #expect(pending.handedOver() == rows(1...2))
            #expect(pending.unansweredCount == (autoAck == "true" ? 2 : 0))
            // Else they go with whatever is acknowledged next, or with the end.
            plan.queueRowless()
            #expect(pending.unansweredCount == 2)
            #expect(plan.takeBack() == nil)
        }
    }

    @Test func atTheEndOfAReadThatDoesNotFollowEntriesWithoutRowsAreAcknowledged() throws {
        for follows in ["true", "false"] {
            var (plan, pending) = try makePlan(("follow", follows))
            plan.handedOver([row(1)], leftOut: [row(2)])
            plan.queueRowless()
            #expect(pending.takeUnsent(most: 10) == (follows == "true" ? [] : [row(2)]))
        }
    }

    // MARK: Entries that cannot be handed over

    private func refuse(
        _ onError: String, follows: Bool, isTooLarge: Bool
    ) throws -> (RefusedEntry.Step, rests: Bool) {
        var pairs = [("group", "g"), ("consumer", "me"), ("on_error", onError)]
        if follows { pairs.append(("follow", "true")) }
        if onError == "dead_letter" { pairs.append(("dead_letter", "dead")) }
        let pending = try PendingEntries.make()
        let options = try ReadOptions(pairs.map { (key: $0.0, value: $0.1) })
        var plan = GroupPlan(streams: 1, options: options, pending: pending)
        let step = plan.refused(RefusedEntry(row: row(3), isTooLarge: isTooLarge), 100)
        #expect(pending.all(30_100).isEmpty)
        return (step, pending.all(30_099) == [row(3)])
    }

    @Test func aRefusedEntryEndsAReadThatDoesNotFollow() throws {
        for (onError, isTooLarge) in [("raise", false), ("raise", true), ("null", true)] {
            let (step, rests) = try refuse(onError, follows: false, isTooLarge: isTooLarge)
            #expect(step == .raise && !rests)
        }
    }

    /// The caller is told once, and the entry is tried again later; but the connection that an
    /// entry which is too large came on is closed anyway.
    @Test func aRefusedEntryIsLeftAloneForAWhile() throws {
        for (onError, isTooLarge) in [("raise", false), ("raise", true), ("null", true)] {
            let (step, rests) = try refuse(onError, follows: true, isTooLarge: isTooLarge)
            #expect(step == .raiseLater && rests == !isTooLarge)
        }
    }

    @Test func anEntryThatIsTooLargeIsSkipped() throws {
        for follows in [true, false] {
            let (step, rests) = try refuse("skip", follows: follows, isTooLarge: true)
            #expect(step == .skip && !rests)
        }
    }

    @Test func aRefusedEntryBecomesADeadLetter() throws {
        for (follows, isTooLarge) in [(true, false), (true, true), (false, false), (false, true)] {
            let (step, rests) = try refuse(
                "dead_letter", follows: follows, isTooLarge: isTooLarge)
            #expect(step == .move(DeadLetter(row: row(3), consumer: Array("me".utf8))) && !rests)
        }
    }

    private func planOfDeadLetters() throws -> (GroupPlan, PendingEntries) {
        try makePlan(("follow", "true"), ("on_error", "dead_letter"), ("dead_letter", "dead"))
    }

    /// A group that is created again delivers an entry that is a dead letter already.
    @Test func aDeadLetterThatComesAgainIsAcknowledged() throws {
        for outcome in [DeadLetterTransaction.Outcome.kept, .deleted] {
            var (plan, _) = try planOfDeadLetters()
            let entry = RefusedEntry(row: row(3))
            guard case .move(let letter) = plan.refused(entry, 0) else {
                return #expect(Bool(false), "it is not moved")
            }
            plan.letterEnded(letter, outcome)
            #expect(plan.refused(entry, 0) == .acknowledge)
            // Once it is handled, no group delivers it again.
            plan.hasNoBatch(leftOut: [])
            #expect(beginning(plan) == EntryID(3, 0))
            #expect(plan.refused(entry, 0) != .acknowledge)
        }
    }

    @Test func aDeadLetterIsKnownWhileAnEarlierEntryIsInHand() throws {
        var (plan, pending) = try planOfDeadLetters()
        let letter = DeadLetter(row: row(3), consumer: [])
        plan.letterEnded(letter, .kept)
        plan.handedOver([row(2)])
        #expect(beginning(plan) == EntryID(1, .max))
        #expect(plan.refused(RefusedEntry(row: row(3)), 0) == .acknowledge)
        // The stream is begun again: its entry of the same id is another one.
        #expect(plan.groupLost(own, 0) == true)
        plan.foundFirst(0, EntryID(9, 0))
        plan.foundHandled(0, isThere: false)
        #expect(plan.refused(RefusedEntry(row: row(3)), 0) != .acknowledge)
        pending.acknowledged([row(2)])
    }

    @Test func anEntryThatWasMovedByOthersMayComeAgain() throws {
        var (plan, _) = try planOfDeadLetters()
        plan.letterEnded(DeadLetter(row: row(3), consumer: []), .moved)
        #expect(plan.refused(RefusedEntry(row: row(3)), 0) != .acknowledge)
    }
}
