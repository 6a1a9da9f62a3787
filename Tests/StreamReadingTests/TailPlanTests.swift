// SPDX-License-Identifier: Apache-2.0
// What is asked to follow streams, without a server: each transition of the plan, and whole reads
// of made-up streams that lose replies and are begun again.

import RedcolBase
import TestSupport
import Testing

@testable import StreamReading

private typealias Pairs = (key: String, value: String)

private func makePlan(
    streams: Int = 1, after: EntryID = .smallest, upper: EntryID? = nil, _ pairs: Pairs...
) throws -> TailPlan {
    var plan = TailPlan(streams: streams, options: try ReadOptions(pairs))
    if let upper { plan.ends(with: Array(repeating: upper, count: streams), whenEmpty: false) }
    plan.begin(
        after: Array(repeating: after, count: streams),
        seen: Array(repeating: nil, count: streams), 0)
    return plan
}

private func moment(
    _ now: Int64, rows: Int = 0, awaits: Bool = false,
    idleness: Idleness = Idleness(.wait, blockMs: nil)
) -> TailPlan.Moment {
    TailPlan.Moment(now: now, rows: rows, awaitsReply: awaits, idleness: idleness)
}

private func row(_ milliseconds: UInt64, _ stream: Int32 = 0) -> RowID {
    RowID(id: EntryID(milliseconds, 0), stream: stream)
}

private func ask(_ after: UInt64, _ count: Int, blockMs: Int64?) -> TailPlan.Step {
    .ask(
        TailPlan.Entries(
            streams: [0], after: [EntryID(after, 0)], count: count, blockMs: blockMs))
}

extension TailPlan {
    /// An answer with entries of one stream.
    fileprivate mutating func came(
        _ rows: [RowID], bytes: Int = 100, isFull: Bool = false, _ now: Int64 = 0
    ) {
        note(rows, leftOut: [], passed: [])
        ended(
            Answer(
                entries: rows.count, bytes: bytes, streams: rows.isEmpty ? 0 : 1,
                fullStreams: isFull ? 1 : 0, hadRows: !rows.isEmpty), now)
    }
}

@Suite struct TailPlanTests {
    // MARK: One transition after the other

    @Test func entriesAfterThoseThatWereRead() throws {
        var plan = try makePlan(after: EntryID(3, 0), ("follow", "true"), ("batch_rows", "10"))
        #expect(plan.next(moment(0)) == ask(3, 10, blockMs: 1_000))
        #expect(plan.next(moment(0, awaits: true)) == .receive)
        plan.came([row(4), row(5)])
        #expect(plan.next(moment(0, rows: 2)) == .handOver(prefetch: nil))
        plan.handedOver(rows: 2)
        #expect(plan.next(moment(0)) == ask(5, 10, blockMs: 1_000))
    }

    @Test func aBacklogIsPrefetchedWithTheBatch() throws {
        var plan = try makePlan(("follow", "true"), ("batch_rows", "10"))
        let rows = (1...10).map { row($0) }
        plan.came(rows, bytes: 1_000, isFull: true)
        guard case .handOver(let prefetch?) = plan.next(moment(0, rows: 10)) else {
            return #expect(Bool(false), "nothing is prefetched")
        }
        // Eight batches, whose answer would have no more than 800 entries.
        #expect(
            prefetch
                == TailPlan.Entries(
                    streams: [0], after: [EntryID(10, 0)], count: 80, blockMs: nil,
                    isPrefetch: true))
        // Not when the reader is behind with large answers, or a look at the streams is due.
        plan.came(rows, bytes: 300_000, isFull: true)
        #expect(plan.next(moment(0, rows: 10)) == .handOver(prefetch: nil))
        plan.came(rows, bytes: 1_000, isFull: true)
        #expect(plan.next(moment(5_000, rows: 10)) == .handOver(prefetch: nil))
        plan.connectionLost()
        #expect(plan.next(moment(0, rows: 10)) == .handOver(prefetch: nil))
    }

    @Test func aReadThatDoesNotFollowWaitsOnlyIfThereIsNothing() throws {
        var plan = try makePlan(("block_ms", "300"))
        #expect(plan.next(moment(0)) == ask(0, 10_000, blockMs: 300))
        plan.came([], 100)
        #expect(plan.next(moment(100)) == ask(0, 10_000, blockMs: 200))
        var late = plan
        late.came([], 300)
        #expect(late.next(moment(300)) == .end)
        plan.came([row(1)], 200)
        // There may be more, which is not waited for.
        #expect(plan.next(moment(200, rows: 1)) == ask(1, 10_000, blockMs: nil))
        plan.came([], 200)
        #expect(plan.next(moment(200, rows: 1)) == .end)
    }

    @Test func aReadThatIsSharedWaitsOnlyIfNobodyHasAnything() throws {
        var plan = try makePlan(("block_ms", "300"))
        plan.shares(othersHaveRows: false)
        #expect(plan.next(moment(0)) == ask(0, 10_000, blockMs: 100))
        plan.came([], 100)
        #expect(plan.next(moment(250)) == ask(0, 10_000, blockMs: 50))
        // What the others have come across meanwhile is what this read was waiting for.
        plan.shares(othersHaveRows: true)
        var empty = plan
        empty.came([], 260)
        #expect(empty.next(moment(260)) == .end)
        plan.came([row(1)], 260)
        #expect(plan.next(moment(260, rows: 1)) == ask(1, 10_000, blockMs: nil))
    }

    @Test func theEndOfWhatIsWanted() throws {
        var plan = try makePlan(upper: EntryID(5, 0), ("follow", "true"))
        plan.note([row(4)], leftOut: [], passed: [])
        guard case .ask = plan.next(moment(0)) else {
            return #expect(Bool(false), "5-0 is wanted")
        }
        var other = plan
        plan.note([], leftOut: [], passed: [0])
        #expect(plan.next(moment(0)) == .end)
        other.note([], leftOut: [row(5)], passed: [])
        #expect(other.next(moment(0)) == .end)
        var counted = try makePlan(("follow", "true"), ("count", "3"), ("batch_rows", "10"))
        #expect(counted.next(moment(0)) == ask(0, 3, blockMs: 1_000))
        counted.came([row(1)])
        #expect(counted.rowsMax(noted: 1) == 3)
        counted.handedOver(rows: 1)
        #expect(counted.next(moment(0)) == ask(1, 2, blockMs: 1_000))
        counted.came([row(2), row(3)])
        #expect(counted.next(moment(0, awaits: true)) == .end)
    }

    @Test func whatIsThereEndsTheRead() throws {
        var plan = try makePlan(streams: 2, ("follow", "true"))
        plan.ends(with: [EntryID(5, 0), .smallest], whenEmpty: true)
        // The second stream was empty, and nothing is waited for.
        #expect(plan.next(moment(0)) == ask(0, 32_768, blockMs: nil))
        plan.came([row(4)])
        #expect(plan.next(moment(0, rows: 1)) == .handOver(prefetch: nil))
        var whole = plan
        whole.came([row(5)])
        #expect(whole.next(moment(0)) == .end)
        // The last entry was deleted meanwhile.
        plan.came([])
        #expect(plan.next(moment(0)) == .askHowFar([TailPlan.Look(stream: 0)]))
        plan.looked(nil, 0)
        #expect(plan.next(moment(0)) == .end)
        var empty = try makePlan(("follow", "true"))
        empty.ends(with: [.smallest], whenEmpty: true)
        #expect(empty.next(moment(0)) == .end)
    }

    @Test func whatTheCallerWantsEndsTheRead() throws {
        var plan = try makePlan(("follow", "true"), ("on_idle", "stop"), ("block_ms", "50"))
        var idleness = Idleness(.stop, blockMs: 50)
        idleness.sent(0)
        #expect(plan.next(moment(0, idleness: idleness)) == ask(0, 65_536, blockMs: 50))
        idleness.answered(50, entries: 0, isFull: false)
        var other = plan
        #expect(
            other.next(moment(50, idleness: idleness)) == .askHowFar([TailPlan.Look(stream: 0)]))
        other.looked(nil, 0)
        #expect(other.next(moment(50, idleness: idleness)) == .end)
        var empty = Idleness(.empty, blockMs: 50)
        empty.isAsked(0)
        empty.answered(50, entries: 0, isFull: false)
        #expect(plan.next(moment(50, idleness: empty)) == .handOver(prefetch: nil))
    }

    @Test func aStreamThatWasBegunAgainIsReadFromItsBeginning() throws {
        var plan = try makePlan(streams: 2, ("follow", "true"))
        plan.note([row(7, 1)], leftOut: [], passed: [])
        // Only of a stream that was seen it is known how far it had come.
        #expect(plan.next(moment(5_000)) == .askHowFar([TailPlan.Look(stream: 1)]))
        #expect(plan.foundLast(EntryID(7, 0), 1) == nil)
        #expect(plan.cursors == [.smallest, EntryID(7, 0)])
        guard case .ask = plan.next(moment(5_000)) else {
            return #expect(Bool(false), "the next look is due later")
        }
        #expect(plan.next(moment(10_000)) == .askHowFar([TailPlan.Look(stream: 1)]))
        #expect(plan.foundLast(EntryID(6, 9), 1) == EntryID(7, 0))
        #expect(plan.cursors == [.smallest, .smallest])
        // It has come to 6-9 now, and is read from there when it has.
        #expect(plan.foundLast(EntryID(6, 9), 1) == nil)
        // A server that comes back may lack what it had.
        plan.connectionLost()
        #expect(plan.next(moment(10_001)) == .askHowFar([TailPlan.Look(stream: 1)]))
    }

    @Test func aBeginningIsLookedAtBeforeItIsRead() throws {
        let looks = TailPlan.Step.askHowFar([TailPlan.Look(stream: 0)])
        let extent = StreamExtent(
            last: EntryID(9, 0), first: EntryID(1, 0), length: 9, added: 9)
        var plan = try makePlan(("follow", "true"))
        plan.looksAtBeginnings()
        #expect(plan.next(moment(0)) == looks)
        // Its answer is lost, and it is asked for again.
        plan.connectionLost()
        #expect(plan.next(moment(0)) == looks)
        #expect(plan.foundLast(EntryID(9, 0), 0) == nil)
        plan.looked(extent, 0)
        #expect(plan.next(moment(0)) == ask(0, 65_536, blockMs: 1_000))
        // The next connection does not look again: it may be good for one command only.
        plan.connectionLost()
        #expect(plan.next(moment(0)) == ask(0, 65_536, blockMs: 1_000))
        plan.came([row(1), row(9)])
        #expect(plan.takeGaps().map(\.gap.entries) == [7])
        // Once it is read from, the other looks are enough; in the middle there is nothing to lose.
        plan.connectionLost()
        let look = TailPlan.Look(stream: 0, entry: EntryID(9, 0))
        #expect(plan.next(moment(0)) == .askHowFar([look]))
        var middle = try makePlan(after: EntryID(3, 0), ("follow", "true"))
        middle.looksAtBeginnings()
        #expect(middle.next(moment(0)) == ask(3, 65_536, blockMs: 1_000))
    }

    @Test func theEndIsLookedAtOnceMore() throws {
        let look = TailPlan.Step.askHowFar([TailPlan.Look(stream: 0)])
        let gone = StreamExtent(last: EntryID(9, 0), first: nil, length: 0, added: 9)
        let whole = StreamExtent(
            last: EntryID(9, 0), first: EntryID(1, 0), length: 9, added: 9)
        func begun(_ upper: EntryID?) throws -> TailPlan {
            var plan = try makePlan(("follow", "true"))
            if let upper { plan.ends(with: [upper], whenEmpty: true) }
            plan.looked(whole, 0)
            plan.came([row(1), row(2)])
            plan.handedOver(rows: 2)
            return plan
        }
        // Nothing comes any more.
        for isDeleted in [false, true] {
            var plan = try begun(EntryID(9, 0))
            plan.came([])
            #expect(plan.next(moment(0)) == look)
            // Its answer is lost.
            plan.connectionLost()
            #expect(plan.next(moment(0)) == look)
            plan.looked(isDeleted ? nil : gone, 0)
            #expect(
                plan.takeGaps().map(\.gap) == [
                    Gap(entries: 7, after: EntryID(2, 0), before: nil)
                ])
            #expect(plan.next(moment(0)) == .end)
        }
        // An entry after the end has come: what was read is handed over before the look.
        var passed = try begun(EntryID(9, 0))
        passed.note([row(3)], leftOut: [], passed: [0])
        #expect(passed.next(moment(0, rows: 1)) == .handOver(prefetch: nil))
        #expect(passed.next(moment(0)) == look)
        passed.looked(gone, 0)
        #expect(passed.takeGaps().map(\.gap.entries) == [6])
        #expect(passed.next(moment(0)) == .end)
        // The last entry has come.
        var read = try begun(EntryID(2, 0))
        #expect(read.next(moment(0)) == .end)
        // There was nothing to read for long enough.
        var idle = try begun(nil)
        var idleness = Idleness(.stop, blockMs: 100)
        idleness.sent(0)
        idle.came([])
        idleness.answered(100, entries: 0, isFull: false)
        #expect(idle.next(moment(100, idleness: idleness)) == look)
        idle.looked(gone, 0)
        #expect(idle.takeGaps().map(\.gap.entries) == [7])
        #expect(idle.next(moment(100, idleness: idleness)) == .end)
    }

    /// The server has lost its data, and the stream has passed the last entry that was read.
    @Test func afterAReconnectTheLastEntryIsLookedFor() throws {
        let last = EntryID(9, 0)
        func plan(found: EntryID?) throws -> TailPlan {
            var plan = try makePlan(after: EntryID(2, 0), ("follow", "true"))
            plan.note([row(4)], leftOut: [row(5)], passed: [])
            plan.handedOver(rows: 1)
            plan.connectionLost()
            let look = TailPlan.Look(stream: 0, entry: EntryID(5, 0))
            #expect(plan.next(moment(0)) == .askHowFar([look]))
            plan.foundEntry(found, 0)
            return plan
        }
        var same = try plan(found: EntryID(5, 0))
        #expect(same.foundLast(last, deleted: .smallest, 0) == nil)
        // Later on the same connection, how far it has come says enough.
        #expect(same.next(moment(5_000)) == .askHowFar([TailPlan.Look(stream: 0)]))
        // All entries up to it were trimmed, or the new stream begins after it: nothing is missed.
        var trimmed = try plan(found: nil)
        #expect(trimmed.foundLast(last, deleted: .smallest, 0) == nil)
        var deleted = try plan(found: EntryID(4, 0))
        #expect(deleted.foundLast(last, deleted: EntryID(5, 0), 0) == nil)
        #expect(deleted.cursors == [EntryID(5, 0)])
        // Redis 6.2 does not say what was deleted, and some users may not ask for anything.
        for (last, deleted) in [(last, .smallest), (last, nil), (nil, nil)]
            as [(EntryID?, EntryID?)]
        {
            var begun = try plan(found: EntryID(4, 0))
            #expect(begun.foundLast(last, deleted: deleted, 0) == EntryID(5, 0))
            #expect(begun.cursors == [.smallest])
            // The beginning of the new stream is no entry to look for.
            begun.connectionLost()
            let look = last.map { _ in TailPlan.Step.askHowFar([TailPlan.Look(stream: 0)]) }
            #expect(begun.next(moment(0)) == look ?? ask(0, 65_536, blockMs: 1_000))
        }
        // An answer that the connection was lost with says nothing on the next one.
        var lost = try plan(found: EntryID(4, 0))
        lost.connectionLost()
        _ = lost.next(moment(0))
        lost.foundEntry(EntryID(5, 0), 0)
        #expect(lost.foundLast(last, 0) == nil)
    }

    @Test func aPlaceThatIsNoEntryIsNotLookedFor() throws {
        let options = try ReadOptions([("follow", "true")])
        var plan = TailPlan(streams: 2, options: options)
        // One begins at an id that was named, the other at its last entry.
        plan.begin(after: [EntryID(3, 0), EntryID(3, 0)], seen: [nil, EntryID(3, 0)], 0)
        plan.connectionLost()
        let look = TailPlan.Look(stream: 1, entry: EntryID(3, 0))
        #expect(plan.next(moment(0)) == .askHowFar([look]))
    }

    @Test func aBatchIsTakenBack() throws {
        var plan = try makePlan(("follow", "true"), ("count", "9"))
        plan.note([row(1), row(2)], leftOut: [row(3)], passed: [])
        plan.handedOver(rows: 2)
        plan.note([row(4)], leftOut: [], passed: [])
        #expect(plan.remaining == 6)
        #expect(plan.takeBack() == 2)
        #expect(plan.cursors == [.smallest])
        #expect(plan.remaining == 8)
        #expect(plan.takeBack() == nil)
        plan.note([row(1)], leftOut: [], passed: [])
        plan.handedOver(rows: 1)
        plan.nextIsAsked()
        #expect(plan.takeBack() == nil)
        // There was no memory to hand over the batch.
        plan.note([row(2)], leftOut: [], passed: [])
        plan.readAgain(rows: 1)
        #expect(plan.cursors == [EntryID(1, 0)])
    }

    @Test func anEntryThatIsRefusedIsPassed() throws {
        var plan = try makePlan(("follow", "true"))
        plan.note([row(1)], leftOut: [], passed: [])
        plan.pass(EntryID(2, 0), 0, isFirst: false)
        #expect(plan.cursors == [EntryID(2, 0)])
        plan.handedOver(rows: 1)
        #expect(plan.takeBack() == 1)
        #expect(plan.cursors == [.smallest])
        plan.pass(EntryID(2, 0), 0, isFirst: true)
        plan.readAgain(rows: 0)
        #expect(plan.cursors == [EntryID(2, 0)])
    }

    @Test func aBatchIsSharedByTheStreamsThatHaveSome() throws {
        var plan = try makePlan(streams: 4, ("follow", "true"), ("batch_rows", "100"))
        func count() -> Int? {
            guard case .ask(let request) = plan.next(moment(0)) else { return nil }
            return request.count
        }
        #expect(count() == 25)
        plan.ended(
            .init(entries: 9, bytes: 900, streams: 2, fullStreams: 0, hadRows: true), 0)
        #expect(count() == 50)
        plan.ended(
            .init(entries: 60, bytes: 6_000, streams: 3, fullStreams: 1, hadRows: true), 0)
        #expect(plan.hasBacklog)
        #expect(count() == 200)
        plan.ended(
            .init(entries: 60, bytes: 6_000_000, streams: 3, fullStreams: 1, hadRows: true), 0)
        #expect(count() == 100)
    }

    // MARK: Whole reads

    /// Follows made-up streams until there is nothing more. `lost`: whether the connection is lost
    /// with the answer to a request, of which so many entries have come.
    private func read(
        _ ids: [[EntryID]], _ pairs: [Pairs], lost: (Int) -> Int? = { _ in nil }
    ) throws -> [RowID] {
        let options = try ReadOptions(
            [("follow", "true"), ("on_idle", "stop"), ("block_ms", "100")] + pairs)
        var plan = TailPlan(streams: ids.count, options: options)
        plan.begin(
            after: ids.map { _ in .smallest }, seen: ids.map { _ in nil }, 0)
        var idleness = Idleness(options.onIdle, blockMs: options.blockMs)
        var (now, asked, batch): (Int64, Int, [RowID]) = (0, 0, [])
        var given: [RowID] = []
        var prefetched: TailPlan.Entries?
        for _ in 0..<10_000 {
            var request: TailPlan.Entries?
            if prefetched != nil {
                (request, prefetched) = (prefetched, nil)
            } else {
                let moment = TailPlan.Moment(now: now, rows: batch.count, idleness: idleness)
                switch plan.next(moment) {
                case .receive: Issue.record("nothing is awaited")
                case .handOver(let prefetch):
                    prefetched = prefetch
                    plan.handedOver(rows: batch.count)
                    given += batch
                    batch = []
                    idleness.handedOver()
                    idleness.isAsked(now)
                case .end: return given + batch
                case .ask(let entries): request = entries
                case .askHowFar(let looks):
                    for look in looks {
                        let ids = ids[look.stream]
                        if let entry = look.entry {
                            plan.foundEntry(ids.last { $0 <= entry }, look.stream)
                        }
                        #expect(plan.foundLast(ids.last, look.stream) == nil)
                        plan.looked(
                            ids.last.map {
                                StreamExtent(
                                    last: $0, first: ids.first, length: Int64(ids.count),
                                    added: Int64(ids.count))
                            }, look.stream)
                        #expect(plan.takeGaps().isEmpty)
                    }
                }
            }
            guard let request else { continue }
            if !request.isPrefetch { idleness.sent(now) }
            let pages = zip(request.streams, request.after).map { stream, after in
                ids[stream].filter { $0 > after }.prefix(request.count).map {
                    RowID(id: $0, stream: Int32(stream))
                }
            }
            let rows = Array(pages.joined())
            if rows.isEmpty { now += request.blockMs ?? 0 }
            if let part = lost(asked) {
                batch += rows.prefix(part)
                plan.note(Array(rows.prefix(part)), leftOut: [], passed: [])
                plan.connectionLost()
            } else {
                batch += rows
                plan.note(rows, leftOut: [], passed: [])
                let full = pages.filter { $0.count == request.count }.count
                plan.ended(
                    .init(
                        entries: rows.count, bytes: rows.count * 100,
                        streams: pages.filter { !$0.isEmpty }.count, fullStreams: full,
                        hadRows: !rows.isEmpty), now)
                idleness.answered(
                    now, entries: rows.count, isFull: full > 0, isPrefetch: request.isPrefetch)
            }
            asked += 1
            now += 1
        }
        Issue.record("a read without end")
        return given
    }

    private func streams(_ count: Int) -> [[EntryID]] {
        var streams: [[EntryID]] = []
        for stream in 1...count {
            var ids: [EntryID] = []
            for number in 0..<(40 * stream) {
                ids.append(EntryID(UInt64(number / 3) + 1, UInt64(number % 3)))
            }
            streams.append(ids)
        }
        return streams
    }

    private func all(_ ids: [[EntryID]]) -> Set<RowID> {
        var rows: Set<RowID> = []
        for (stream, ids) in ids.enumerated() {
            for id in ids { rows.insert(RowID(id: id, stream: Int32(stream))) }
        }
        return rows
    }

    @Test(arguments: [1, 3], [1, 7, 1_000])
    func everyEntryIsReadOnce(_ count: Int, _ batchRows: Int) throws {
        let ids = streams(count)
        let given = try read(ids, [("batch_rows", String(batchRows))])
        #expect(given.count == all(ids).count)
        #expect(Set(given) == all(ids))
    }

    /// The connection is lost with each answer in turn, after some of its entries.
    @Test(arguments: [1, 3], [0, 1, 5])
    func aReplyLostAtEachPoint(_ count: Int, _ part: Int) throws {
        let ids = streams(count)
        for point in 0..<40 {
            let given = try read(ids, [("batch_rows", "7")]) { $0 == point ? part : nil }
            #expect(given.count == all(ids).count, "request \(point)")
            #expect(Set(given) == all(ids), "request \(point)")
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func manyRepliesAreLost(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed)
        let ids = streams(1 + generator.below(3))
        let given = try read(ids, [("batch_rows", String(1 + generator.below(30)))]) { asked in
            asked < 300 && generator.once(in: 2) ? generator.below(10) : nil
        }
        #expect(given.count == all(ids).count)
        #expect(Set(given) == all(ids))
    }
}
