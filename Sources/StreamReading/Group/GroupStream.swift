// SPDX-License-Identifier: Apache-2.0
// One stream of a group read: whether its group is there, and which of its pending entries are read
// next. Pure: it knows no socket, and time is given to it.

import RedcolBase

/// The state of a group in one stream, as far as its member knows it.
struct GroupStream {
    /// The pending entries are looked at again this long after a reconnect: by then a connection
    /// that is dead, but not closed, has taken all the entries that it can take.
    static let secondLookMs: Int64 = GroupPlan.sliceMs + 250
    static let lookEveryMs: Int64 = 30_000
    static let missingRetryMs: Int64 = 1_000

    /// A run of idle entries without one in hand: claiming that would count as a delivery.
    struct Claimable: Equatable {
        var first: EntryID
        var last: EntryID
        var count: Int
    }

    enum Phase: Equatable {
        /// The group is gone. It is made again where the entries that are there tell.
        case lost
        /// The group is made at this id.
        case creating(EntryID)
        /// The group is gone, and somebody else has to make it.
        case missing(retryAt: Int64)
        /// The deliveries of this consumer's pending entries after this one are counted.
        case counting(after: EntryID)
        /// This consumer's pending entries after this one are read.
        case own(after: EntryID)
        case ready
    }

    private let countsDeliveries: Bool
    private let claimIdleMs: Int64?

    private(set) var phase = Phase.ready
    private var lookAt: Int64 = 0
    private(set) var lookCursor = EntryID.smallest
    private var claimAt: Int64 = 0
    private(set) var claimCursor = EntryID.smallest
    /// Idle entries after the cursor that will be claimed.
    private(set) var claimable: Claimable?
    /// The first entry of the stream whose group is lost; nil if that is not known.
    private var firstID: EntryID?

    init(countsDeliveries: Bool, claimIdleMs: Int64?) {
        self.countsDeliveries = countsDeliveries
        self.claimIdleMs = claimIdleMs
    }

    var isReady: Bool { phase == .ready }

    var isMissing: Bool { retryAt != nil }

    /// When a group that is missing is looked for again.
    var retryAt: Int64? {
        if case .missing(let retryAt) = phase { return retryAt }
        return nil
    }

    func isLookDue(_ now: Int64) -> Bool { lookAt <= now }

    func isClaimDue(_ now: Int64) -> Bool { claimIdleMs != nil && claimAt <= now }

    /// When a look or a claim is due.
    var dueAt: Int64 { claimIdleMs == nil ? lookAt : min(lookAt, claimAt) }

    // MARK: The group

    /// The connection is new: what the one before had taken is in this consumer's pending list.
    mutating func connected(_ now: Int64) {
        switch phase {
        case .lost, .creating: break
        default: recover(now)
        }
    }

    /// The group is looked for again if it is time.
    mutating func retryIfDue(_ now: Int64) {
        if let retryAt, retryAt <= now { recover(now) }
    }

    private mutating func recover(_ now: Int64) {
        readOwn(after: .smallest)
        lookAt = now + GroupStream.secondLookMs
        lookCursor = .smallest
    }

    private mutating func readOwn(after id: EntryID) {
        phase = countsDeliveries ? .counting(after: id) : .own(after: id)
    }

    /// The group is gone, or was never there. `creates`: this reader makes it again.
    mutating func groupLost(_ now: Int64, creates: Bool) {
        phase = creates ? .lost : .missing(retryAt: now + GroupStream.missingRetryMs)
        claimCursor = .smallest
        claimable = nil
        firstID = nil
    }

    /// A request for several streams found one without its group. A look at the pending entries of
    /// this stream shows whether it is this one.
    mutating func groupDoubted() {
        lookAt = 0
        lookCursor = .smallest
    }

    /// The stream's first entry.
    mutating func foundFirst(_ id: EntryID?) { firstID = id }

    /// Whether the stream may have been deleted and begun again since `last` was read, the last
    /// entry that was handled. `isThere`: whether that entry is; nil if there was none.
    /// In doubt it was, and some entries come a second time: a new stream can repeat ids of the old
    /// one within the same millisecond.
    func wasReset(since last: EntryID, isThere: Bool?) -> Bool {
        guard let firstID, firstID.milliseconds < last.milliseconds else { return true }
        return isThere == false
    }

    /// The group must be made at `id`.
    mutating func create(at id: EntryID) { phase = .creating(id) }

    /// The group is there.
    mutating func created(_ now: Int64) { recover(now) }

    // MARK: Pending entries

    /// The own entries of this page that were delivered too often are dead letters. `next`: all of
    /// them were, and there are more after this one.
    mutating func countedOwn(next: EntryID?) {
        if case .counting(let after) = phase {
            phase = next.map { .counting(after: $0) } ?? .own(after: after)
        }
    }

    /// A page of own pending entries. `last`: the entry after which more may come; nil if none can.
    mutating func ownPage(last: EntryID?) {
        guard case .own = phase else { return }
        if let last { readOwn(after: last) } else { phase = .ready }
    }

    /// A page of idle entries. `run`: the first of them that can be claimed; if there are none,
    /// `last` is the page's last entry, or nil if no page comes after it.
    mutating func countedIdle(_ now: Int64, run: Claimable?, last: EntryID?) {
        claimable = run
        if run != nil { return }
        claimCursor = last ?? .smallest
        if last == nil {
            claimAt = now + max(100, min(GroupStream.lookEveryMs, (claimIdleMs ?? 0) / 2))
        }
    }

    /// A run was claimed. `hasNameless`: entries whose ids the server did not tell are now in
    /// the own pending list.
    mutating func claimed(hasNameless: Bool) {
        guard let run = claimable else { return }
        claimCursor = run.last
        claimable = nil
        if hasNameless { readOwn(after: run.first.previous ?? .smallest) }
    }

    /// A page of a look. `last`: its last entry, or nil if no page comes after it. `stray`: the
    /// first entry that nobody has in hand.
    mutating func looked(_ now: Int64, last: EntryID?, stray: EntryID?) {
        if let stray { readOwn(after: stray.previous ?? .smallest) }
        lookCursor = last ?? .smallest
        if last == nil { lookAt = now + GroupStream.lookEveryMs }
    }
}
