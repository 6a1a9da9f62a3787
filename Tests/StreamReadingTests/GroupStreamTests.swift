// SPDX-License-Identifier: Apache-2.0
// Each event of a stream in each phase of its group, without a server.

import RedcolBase
import Testing

@testable import StreamReading

private let id5 = EntryID(5, 0)
private let id8 = EntryID(8, 0)

/// A stream in each phase, with deliveries that are counted and without.
private func stream(_ phase: String, counts: Bool = false) -> GroupStream {
    var stream = GroupStream(countsDeliveries: counts, claimIdleMs: 500)
    switch phase {
    case "lost": stream.groupLost(0, creates: true)
    case "creating 5": stream.create(at: id5)
    case "missing": stream.groupLost(0, creates: false)
    case "counting 0", "own 0": stream.connected(0)
    default: break
    }
    return stream
}

private func shown(_ stream: GroupStream) -> String {
    switch stream.phase {
    case .lost: return "lost"
    case .creating(let id): return "creating \(id.milliseconds)"
    case .missing: return "missing"
    case .counting(let after): return "counting \(after.milliseconds)"
    case .own(let after): return "own \(after.milliseconds)"
    case .ready: return "ready"
    }
}

private let phases = ["lost", "creating 5", "missing", "own 0", "ready"]

@Suite struct GroupStreamTests {
    /// Does `event` in each phase, and compares what changes; a phase that is not named stays.
    private func expect(
        _ changes: [String: String], _ location: SourceLocation = #_sourceLocation,
        _ event: (inout GroupStream) -> Void
    ) {
        for phase in phases {
            var stream = stream(phase)
            #expect(shown(stream) == phase)
            event(&stream)
            #expect(shown(stream) == changes[phase] ?? phase, sourceLocation: location)
        }
    }

    @Test func connected() {
        expect(["missing": "own 0", "ready": "own 0"]) { $0.connected(10) }
        #expect(shown(stream("counting 0", counts: true)) == "counting 0")
    }

    @Test func aMissingGroupIsLookedForAgain() {
        expect([:]) { $0.retryIfDue(999) }
        expect(["missing": "own 0"]) { $0.retryIfDue(1_000) }
        #expect(phases.filter { stream($0).isMissing } == ["missing"])
    }

    @Test func theGroupIsLost() {
        let lost = Dictionary(uniqueKeysWithValues: phases.map { ($0, "lost") })
        expect(lost) { $0.groupLost(0, creates: true) }
        expect(lost.mapValues { _ in "missing" }) { $0.groupLost(0, creates: false) }
    }

    /// What was known of idle entries is about a group that is gone.
    @Test func aLostGroupHasNothingToClaim() {
        var stream = stream("ready")
        let run = GroupStream.Claimable(first: id5, last: id8, count: 2)
        stream.countedIdle(0, run: run, last: nil)
        #expect(stream.claimable == run)
        stream.groupLost(0, creates: true)
        #expect(stream.claimable == nil && stream.claimCursor == .smallest)
    }

    @Test func theGroupIsMade() {
        let creating = Dictionary(uniqueKeysWithValues: phases.map { ($0, "creating 8") })
        expect(creating) { $0.create(at: id8) }
        expect(creating.mapValues { _ in "own 0" }) { $0.created(0) }
    }

    @Test func aPageOfOwnEntries() {
        expect(["own 0": "ready"]) { $0.ownPage(last: nil) }
        expect(["own 0": "own 8"]) { $0.ownPage(last: id8) }
        var counting = stream("counting 0", counts: true)
        // They are counted before they are read.
        counting.ownPage(last: nil)
        #expect(shown(counting) == "counting 0")
        counting.countedOwn(next: id8)
        #expect(shown(counting) == "counting 8")
        counting.countedOwn(next: nil)
        #expect(shown(counting) == "own 8")
        counting.ownPage(last: EntryID(9, 0))
        #expect(shown(counting) == "counting 9")
        expect([:]) { $0.countedOwn(next: id8) }
    }

    @Test func idleEntriesAreClaimed() {
        var stream = stream("ready")
        #expect(stream.isClaimDue(0))
        stream.claimed(hasNameless: true)  // nothing was to be claimed
        #expect(shown(stream) == "ready" && stream.claimCursor == .smallest)
        stream.countedIdle(0, run: .init(first: id5, last: id8, count: 2), last: nil)
        stream.claimed(hasNameless: false)
        #expect(shown(stream) == "ready" && stream.claimCursor == id8 && stream.claimable == nil)
        stream.countedIdle(0, run: nil, last: EntryID(20, 0))
        #expect(stream.isClaimDue(0) && stream.claimCursor == EntryID(20, 0))
        stream.countedIdle(0, run: nil, last: nil)
        #expect(!stream.isClaimDue(249) && stream.isClaimDue(250))
        #expect(stream.claimCursor == .smallest)
        stream.countedIdle(0, run: .init(first: id5, last: id8, count: 2), last: nil)
        stream.claimed(hasNameless: true)
        #expect(stream.phase == .own(after: EntryID(4, .max)))
    }

    @Test func aLook() {
        var stream = stream("ready")
        stream.looked(100, last: id8, stray: nil)
        #expect(shown(stream) == "ready" && stream.lookCursor == id8 && stream.isLookDue(100))
        stream.looked(100, last: nil, stray: id5)
        #expect(stream.phase == .own(after: EntryID(4, .max)) && stream.lookCursor == .smallest)
        #expect(!stream.isLookDue(30_099) && stream.isLookDue(30_100))
        stream.groupDoubted()
        #expect(stream.isLookDue(0))
    }

    @Test(
        arguments: [
            (4, true, false), (4, false, true), (4, nil, false), (5, true, true), (nil, true, true),
        ] as [(UInt64?, Bool?, Bool)])
    func aStreamThatMayHaveBegunAgain(_ first: UInt64?, _ isThere: Bool?, _ wasReset: Bool) {
        var stream = stream("lost")
        stream.foundFirst(first.map { EntryID($0, 0) })
        #expect(stream.wasReset(since: id5, isThere: isThere) == wasReset)
    }
}
