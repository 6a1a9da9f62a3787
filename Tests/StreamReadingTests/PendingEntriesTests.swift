// SPDX-License-Identifier: Apache-2.0
// What a reader has of its consumer's pending entries: each way in, and each way out.

import RedcolBase
import TestSupport
import Testing

@testable import StreamReading

private func row(_ milliseconds: UInt64, _ stream: Int32 = 0) -> RowID {
    RowID(id: EntryID(milliseconds, 0), stream: stream)
}

private func rows(_ range: ClosedRange<UInt64>, _ stream: Int32 = 0) -> [RowID] {
    range.map { row($0, stream) }
}

@Suite struct PendingEntriesTests {
    private let pending: PendingEntries

    init() throws { pending = try PendingEntries.make() }

    @Test func whatIsHandedOverIsAcknowledgedWhenTheNextIsAskedFor() {
        pending.hold(rows(1...3))
        #expect(pending.takeUnsent(most: 10).isEmpty)
        #expect(pending.unansweredCount == 0)
        pending.queueHeld()
        #expect(pending.unansweredCount == 3)
        #expect(pending.takeUnsent(most: 2) == rows(1...2))
        #expect(pending.takeUnsent(most: 2) == rows(3...3))
        #expect(pending.takeUnsent(most: 2).isEmpty)
        #expect(pending.all(0) == Set(rows(1...3)))
        pending.answered(2)
        #expect(pending.all(0) == [row(3)])
        pending.answered(1)
        #expect(pending.all(0).isEmpty)
        #expect(pending.unansweredCount == 0)
    }

    @Test func oneCommandIsAboutOneStream() {
        pending.hold(rows(1...2) + rows(1...2, 1) + rows(3...3))
        pending.queueHeld()
        #expect(pending.takeUnsent(most: 10) == rows(1...2))
        #expect(pending.takeUnsent(most: 10) == rows(1...2, 1))
        #expect(pending.takeUnsent(most: 10) == rows(3...3))
    }

    @Test(arguments: 0...4)
    func whatWasNotAnsweredIsSentAgain(_ answered: Int) {
        pending.hold(rows(1...4))
        pending.queueHeld()
        _ = pending.takeUnsent(most: 4)
        pending.answered(answered)
        pending.connectionLost()
        #expect(pending.takeUnsent(most: 4).count == 4 - answered)
        #expect(pending.all(0).count == 4 - answered)
    }

    @Test func aCallerAcknowledgesByItself() {
        pending.hold(rows(1...3))
        pending.acknowledged([row(2)])
        #expect(pending.handedOver() == [row(1), row(3)])
        pending.queueHeld()
        #expect(pending.takeUnsent(most: 10) == [row(1), row(3)])
    }

    @Test func aCallerAcknowledgesLater() {
        pending.hold(rows(1...3))
        #expect(pending.queue([row(3)]))
        #expect(pending.handedOver() == [row(1), row(2), row(3)])
        #expect(pending.takeUnsent(most: 10) == [row(3)])
        #expect(pending.queueHeld())
        #expect(pending.takeUnsent(most: 10) == [row(1), row(2)])
        pending.close()
        #expect(!pending.queue([row(1)]))
        #expect(!pending.queueHeld())
    }

    private func holdBatch(_ rows: [RowID], rowless: [RowID]) {
        pending.hold(rows)
        pending.holdRowless(rowless, batch: rows)
    }

    @Test func entriesWithoutARowGoWithTheRowsOfTheirBatch() {
        holdBatch(rows(2...4), rowless: [row(1), row(3, 1), row(5)])
        holdBatch(rows(7...8), rowless: [row(6), row(9)])
        #expect(pending.rowless(with: [row(8)]) == [row(6), row(9)])
        // A row within the bounds of a batch, but not its own.
        #expect(pending.rowless(with: [row(3, 1)]).isEmpty)
        #expect(pending.rowless(with: [row(3)]) == [row(1), row(3, 1), row(5)])
        // Until they are acknowledged, they are found again.
        pending.acknowledged([row(3), row(1), row(3, 1), row(5)])
        #expect(pending.rowless(with: [row(2)]).isEmpty)
        #expect(pending.handedOver() == [row(2), row(4), row(7), row(8), row(6), row(9)])
        #expect(pending.queue([row(7)]))
        #expect(pending.takeUnsent(most: 10) == [row(7), row(6), row(9)])
        pending.queueHeld()
        #expect(pending.takeUnsent(most: 10) == [row(2), row(4), row(8)])
    }

    @Test func aBatchWithoutRowsGoesWithWhateverIsAcknowledgedNext() {
        pending.hold(rows(1...1))
        pending.holdRowless(rows(2...3), batch: [])
        holdBatch(rows(5...5, 1), rowless: [row(4)])
        #expect(pending.rowless(with: [row(1)]) == rows(2...3))
        #expect(pending.queue([]))
        #expect(pending.takeUnsent(most: 10) == rows(2...3))
        pending.queueRowless()
        #expect(pending.takeUnsent(most: 10) == [row(4)])
        #expect(pending.handedOver() == [row(1), row(5, 1), row(2), row(3), row(4)])
        pending.acknowledged(rows(1...1))
        pending.queueHeld()
        #expect(pending.takeUnsent(most: 10) == rows(5...5, 1))
    }

    @Test func deletedEntriesAreAcknowledgedThoughNobodyHadThem() {
        pending.queueDeleted(rows(1...2))
        #expect(pending.handedOver() == rows(1...2))
        #expect(pending.takeUnsent(most: 10) == rows(1...2))
    }

    @Test func aBatchIsTakenBack() {
        pending.hold(rows(1...4))
        pending.holdRowless([row(5)], batch: rows(3...4))
        pending.acknowledged([row(2)])
        #expect(pending.takeBack(rows(3...4) + [row(2)], others: [row(5)]) == 2)
        #expect(pending.all(0) == [row(1)])
    }

    @Test func aPageOfOneStreamHasOnlyLaterEntries() {
        pending.hold(rows(1...4) + rows(3...6, 1))
        pending.queueHeld()
        pending.hold(rows(7...9, 1))
        pending.refuse(row(10, 1), until: 100)
        pending.refuse(row(2, 1), until: 100)
        let page = (stream: 1, after: EntryID(4, 0))
        #expect(pending.all(0, in: page) == Set(rows(5...10, 1)))
        #expect(pending.all(100, in: page) == Set(rows(5...9, 1)))
    }

    @Test func aRefusedEntryRestsForAWhile() {
        pending.refuse(row(4), until: 100)
        #expect(pending.all(99) == [row(4)])
        #expect(pending.all(100).isEmpty)
        #expect(pending.oldest(stream: 0) == row(4).id)
        #expect(pending.handedOver().isEmpty)
        // Another reader's schema may have had a place for it.
        pending.hold([row(4)])
        pending.acknowledged([row(4)])
        #expect(pending.oldest(stream: 0) == nil)
        pending.refuse(row(5), until: 100)
        pending.forgetRefused(row(5))
        #expect(pending.oldest(stream: 0) == nil)
        pending.refuse(row(6), until: 100)
        #expect(pending.takeBack([], others: []) == 0)
        #expect(pending.oldest(stream: 0) == nil)
    }

    @Test func theOldestIsAnyThatIsNotAnswered() {
        #expect(pending.oldest(stream: 0) == nil)
        pending.hold(rows(1...2) + rows(1...1, 1))
        pending.queueHeld()
        pending.hold(rows(3...3))
        #expect(pending.oldest(stream: 0) == row(1).id)
        _ = pending.takeUnsent(most: 10)
        pending.answered(2)
        #expect(pending.oldest(stream: 0) == row(3).id)
        #expect(pending.oldest(stream: 1) == row(1).id)
        #expect(pending.oldest(stream: 2) == nil)
    }

    /// A group that is gone takes its acknowledgements with it, sent or not.
    @Test(arguments: 0...6, 0...3)
    func aStreamIsForgotten(_ sent: Int, _ answered: Int) {
        pending.hold((1...3).flatMap { [row($0), row($0, 1)] })
        pending.queueHeld()
        for _ in 0..<sent { _ = pending.takeUnsent(most: 1) }
        pending.answered(answered)
        pending.hold([row(7), row(7, 1)])
        pending.forget(stream: 1)
        let left = pending.handedOver()
        #expect(left.allSatisfy { $0.stream == 0 })
        let gone = (0..<min(sent, answered)).filter { $0 % 2 == 0 }.count
        #expect(left.count == 4 - gone)
        var unsent: [RowID] = []
        while let next = [pending.takeUnsent(most: 9)].first, !next.isEmpty { unsent += next }
        #expect(unsent.allSatisfy { $0.stream == 0 })
        #expect(unsent.count == 3 - (0..<sent).filter { $0 % 2 == 0 }.count)
    }

    @Test func onlyWhatIsPendingIsKept() {
        pending.hold(rows(1...6) + rows(3...3, 1))
        pending.keepOnly([row(3)], stream: 0, after: row(1).id, through: row(5).id)
        #expect(pending.handedOver() == [row(1), row(3), row(6), row(3, 1)])
    }

    @Test func memoryGrowsWithWhatIsInHand() {
        let none = pending.memory(for: 0)
        pending.hold(rows(1...10))
        #expect(pending.memory(for: 0) > none)
        #expect(pending.memory(for: 10) == 2 * pending.memory(for: 0))
        #expect(pending.hasRoom(for: 10))
    }

    /// Any order of events keeps each entry either in hand or acknowledged.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func noEntryIsLost(_ seed: UInt64) {
        var generator = SeededGenerator(seed)
        var held: Set<RowID> = []
        var unanswered: [RowID] = []
        var done: Set<RowID> = []
        var number: UInt64 = 1
        for _ in 0..<200 {
            switch generator.below(6) {
            case 0, 1:
                let new = rows(number...(number + UInt64(generator.below(5))))
                number += UInt64(new.count)
                pending.hold(new)
                held.formUnion(new)
            case 2: pending.queueHeld()
            case 3: unanswered += pending.takeUnsent(most: 1 + generator.below(5))
            case 4:
                let count = min(unanswered.count, generator.below(5))
                pending.answered(count)
                done.formUnion(unanswered.prefix(count))
                unanswered.removeFirst(count)
            default:
                guard generator.once(in: 4) else { continue }
                pending.connectionLost()
                unanswered = []
            }
            // In words, since a failure would print them all.
            let difference = pending.all(0).symmetricDifference(held.subtracting(done))
            #expect(difference.isEmpty, "\(difference.count) of \(held.count)")
        }
    }
}
