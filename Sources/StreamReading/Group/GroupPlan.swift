// SPDX-License-Identifier: Apache-2.0
// What a member of a consumer group asks for next, and why: its own pending entries, entries that
// others have held for too long, new ones. Pure: it knows no socket, and time is given to it.

import RedcolBase

/// The state of a group read over all its streams.
struct GroupPlan {
    /// How long the server is asked to wait for new entries. A connection that is dead, but not
    /// closed, can take entries for no longer than this after the next one was made.
    static let sliceMs: Int64 = 1_000
    /// When the pending list is looked at again after a reconnect: a slice later, and a little.
    static let secondLookMs: Int64 = sliceMs + 250
    static let lookEveryMs: Int64 = 30_000
    static let missingRetryMs: Int64 = 1_000

    enum Request: Equatable {
        /// Where the stream begins, and whether the entry that was handled last is there: was it
        /// begun anew? Before its group is made anew.
        case wasReset(stream: Int)
        /// XGROUP CREATE … MKSTREAM.
        case create(stream: Int, at: EntryID)
        /// XPENDING with counts: which entries were delivered too often. `isOwn`: of this consumer;
        /// else those that are idle, of any, and which of them may be claimed.
        case deliveries(stream: Int, after: EntryID, isOwn: Bool)
        /// XREADGROUP with an id: this consumer's pending entries after it.
        case own(stream: Int, after: EntryID)
        /// XPENDING of this consumer: are there entries that nobody has in hand?
        case look(stream: Int, after: EntryID)
        /// XAUTOCLAIM of so many idle entries from one on, none of which is in hand.
        case claim(stream: Int, cursor: EntryID, last: EntryID, count: Int)
        /// XREADGROUP with ">".
        case new(streams: [Int], blockMs: Int64?)
        /// Nothing to ask before this time: all streams are missing.
        case pause(until: Int64)
    }

    /// A run of idle entries without one in hand: claiming that would count as a delivery.
    struct Claimable: Equatable {
        var first: EntryID
        var last: EntryID
        var count: Int
    }

    private enum Phase: Equatable {
        case lost
        case creating(EntryID)
        case missing(retryAt: Int64)
        case counting(after: EntryID)
        case own(after: EntryID)
        case ready
    }

    private struct Stream {
        var phase = Phase.ready
        var lookAt: Int64 = 0
        var lookCursor = EntryID.smallest
        var claimAt: Int64 = 0
        var claimCursor = EntryID.smallest
        /// Idle entries after the cursor that are to be claimed.
        var claimable: Claimable?
    }

    private let creates: Bool
    private let countsDeliveries: Bool
    private let claimIdleMs: Int64?
    private let waits: Bool
    private var streams: [Stream]
    /// New entries are asked for between two pages of claimed ones, so that they are not starved.
    private var isTurnOfNew = false

    /// `waits`: new entries are waited for.
    init(streams: Int, creates: Bool, countsDeliveries: Bool, claimIdleMs: Int64?, waits: Bool) {
        self.creates = creates
        self.countsDeliveries = countsDeliveries
        self.claimIdleMs = claimIdleMs
        self.waits = waits
        self.streams = Array(repeating: Stream(), count: streams)
    }

    /// How often entries that others hold are looked for.
    private var claimEveryMs: Int64 {
        max(100, min(GroupPlan.lookEveryMs, (claimIdleMs ?? 0) / 2))
    }

    // MARK: What to ask

    /// What to ask now. `mayBlock`: whether there is nothing that could be handed over instead.
    mutating func next(_ now: Int64, mayBlock: Bool) -> Request {
        for index in streams.indices {
            if case .missing(let retryAt) = streams[index].phase, retryAt <= now {
                recover(index, now)
            }
            switch streams[index].phase {
            case .lost: return .wasReset(stream: index)
            case .creating(let id): return .create(stream: index, at: id)
            case .counting(let after): return .deliveries(stream: index, after: after, isOwn: true)
            case .own(let after): return .own(stream: index, after: after)
            case .missing, .ready: break
            }
        }
        let ready = streams.indices.filter { streams[$0].phase == .ready }
        guard !ready.isEmpty else { return .pause(until: nextMissingRetry(now)) }
        for index in ready where streams[index].lookAt <= now {
            return .look(stream: index, after: streams[index].lookCursor)
        }
        if !isTurnOfNew, let index = ready.first(where: { isClaimDue($0, now) }) {
            guard let run = streams[index].claimable else {
                return .deliveries(
                    stream: index, after: streams[index].claimCursor, isOwn: false)
            }
            return .claim(stream: index, cursor: run.first, last: run.last, count: run.count)
        }
        isTurnOfNew = false
        guard waits, mayBlock, !ready.contains(where: { isClaimDue($0, now) }) else {
            return .new(streams: ready, blockMs: nil)
        }
        return .new(streams: ready, blockMs: max(1, min(GroupPlan.sliceMs, nextDue(ready, now))))
    }

    /// What can be asked together with this, since it does not depend on the answer: whose entries
    /// can be claimed, when a member begins.
    func besides(_ request: Request, _ now: Int64) -> Request? {
        guard case .own(let index, after: .smallest) = request, isClaimDue(index, now),
            streams[index].claimable == nil
        else { return nil }
        return .deliveries(stream: index, after: streams[index].claimCursor, isOwn: false)
    }

    private func isClaimDue(_ index: Int, _ now: Int64) -> Bool {
        claimIdleMs != nil && streams[index].claimAt <= now
    }

    /// Whether no claiming is due: a read that does not follow has then looked at everything.
    func hasClaimed(_ now: Int64) -> Bool {
        !streams.indices.contains { streams[$0].phase == .ready && isClaimDue($0, now) }
    }

    private func nextDue(_ ready: [Int], _ now: Int64) -> Int64 {
        var due = Int64.max
        for index in ready {
            due = min(due, streams[index].lookAt - now)
            if claimIdleMs != nil { due = min(due, streams[index].claimAt - now) }
        }
        return min(due, nextMissingRetry(now) - now)
    }

    private func nextMissingRetry(_ now: Int64) -> Int64 {
        var soonest = now + GroupPlan.missingRetryMs
        for stream in streams {
            if case .missing(let retryAt) = stream.phase { soonest = min(soonest, retryAt) }
        }
        return max(soonest, now)
    }

    // MARK: What has come of it

    /// The connection is new: what the one before had taken is in this consumer's pending list.
    mutating func connected(_ now: Int64) {
        for index in streams.indices {
            if streams[index].phase == .lost { continue }
            if case .creating = streams[index].phase { continue }
            recover(index, now)
        }
    }

    private mutating func recover(_ index: Int, _ now: Int64) {
        readOwn(index, after: .smallest)
        streams[index].lookAt = now + GroupPlan.secondLookMs
        streams[index].lookCursor = .smallest
    }

    private mutating func readOwn(_ index: Int, after: EntryID) {
        streams[index].phase = countsDeliveries ? .counting(after: after) : .own(after: after)
    }

    /// The own entries of this page that were delivered too often are put away. `next`: all of
    /// them were, and there are more after this one.
    mutating func countedOwn(_ index: Int, next: EntryID?) {
        if case .counting(let after) = streams[index].phase {
            streams[index].phase = next.map { .counting(after: $0) } ?? .own(after: after)
        }
    }

    /// A page of idle entries. `run`: the first of them that are to be claimed; if there are none,
    /// `last` is the page's last entry, or nil if no page comes after it.
    mutating func countedIdle(_ index: Int, _ now: Int64, run: Claimable?, last: EntryID?) {
        streams[index].claimable = run
        if run != nil { return }
        streams[index].claimCursor = last ?? .smallest
        if last == nil { streams[index].claimAt = now + claimEveryMs }
    }

    /// A page of own pending entries: `entries` of the `asked`, the last of them `last`.
    mutating func ownPage(_ index: Int, entries: Int, asked: Int, last: EntryID?) {
        guard case .own = streams[index].phase else { return }
        if let last, entries >= asked {
            readOwn(index, after: last)
        } else {
            streams[index].phase = .ready
        }
    }

    /// A page of XPENDING. `stray`: the first entry that nobody has in hand.
    mutating func looked(_ index: Int, _ now: Int64, isFull: Bool, last: EntryID?, stray: EntryID?)
    {
        if let stray { readOwn(index, after: stray.previous ?? .smallest) }
        if isFull, let last {
            streams[index].lookCursor = last
        } else {
            streams[index].lookCursor = .smallest
            streams[index].lookAt = now + GroupPlan.lookEveryMs
        }
    }

    /// A page of XAUTOCLAIM. `hasNameless`: entries of which the server did not tell the id are now
    /// in the own pending list.
    mutating func claimed(_ index: Int, hasNameless: Bool) {
        isTurnOfNew = true
        guard let run = streams[index].claimable else { return }
        streams[index].claimCursor = run.last
        streams[index].claimable = nil
        if hasNameless { readOwn(index, after: run.first.previous ?? .smallest) }
    }

    /// The group of these streams is gone, or was never there. False if that is an error to raise.
    mutating func groupLost(_ lost: [Int], _ now: Int64) -> Bool {
        for index in lost {
            streams[index].phase =
                creates ? .lost : .missing(retryAt: now + GroupPlan.missingRetryMs)
            streams[index].claimCursor = .smallest
            streams[index].claimable = nil
        }
        return creates
            || streams.contains { stream in
                if case .missing = stream.phase { return false }
                return true
            }
    }

    /// The group is to be made at `id`.
    mutating func create(_ index: Int, at id: EntryID) { streams[index].phase = .creating(id) }

    /// The group is there.
    mutating func created(_ index: Int, _ now: Int64) { recover(index, now) }
}
