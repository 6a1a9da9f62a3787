// SPDX-License-Identifier: Apache-2.0
// When a read that follows has nothing to read. Only the server can tell: one that does not answer
// is not idle. Pure: time is given to it.

/// What a read that follows does when there is nothing to read for `block_ms`.
public enum IdleAction: String, CaseIterable, Sendable {
    case wait
    /// End once it has caught up with the stream, `block_ms` after that.
    case stop
    /// Hand over a batch without rows.
    case empty
}

/// Whether there is nothing to read.
struct Idleness {
    private let action: IdleAction
    /// Nil: the server is asked once, and not to wait.
    private let blockMs: Int64?
    private var askedAt: Int64 = 0
    /// When the caller began to wait for the next batch; nil while it does not.
    private var waitsSince: Int64?
    /// Since when no answer has had as many entries as were asked for.
    private(set) var caughtUpAt: Int64?
    /// When the last of the other readers of the same iterator had caught up; nil: one of them has
    /// not. The iterator stops when all have.
    var othersCaughtUpAt: Int64? = 0

    /// The read has ended.
    private(set) var isOver = false
    /// A batch without rows must be handed over.
    private(set) var isEmpty = false

    /// Servers count in milliseconds that have begun: an answer may come this much early.
    private static let toleranceMs: Int64 = 2
    /// How long a server that has nothing is asked to wait for the others, where it need not wait.
    private static let othersMs: Int64 = 50

    init(_ action: IdleAction, blockMs: Int64?) {
        self.action = action
        self.blockMs = blockMs
    }

    /// The caller waits for the next batch.
    mutating func isAsked(_ now: Int64) {
        if action != .wait, waitsSince == nil { waitsSince = now }
    }

    /// The caller has got a batch or an error.
    mutating func handedOver() {
        waitsSince = nil
        isEmpty = false
    }

    /// How long to ask the server to wait for entries, at most `most`; nil for not at all.
    func waitMs(_ now: Int64, most: Int64) -> Int64? {
        guard action != .wait else {
            guard let blockMs, blockMs > 0 else { return most }
            return min(blockMs, most)
        }
        guard let blockMs else {
            return othersCaughtUpAt == nil ? min(Idleness.othersMs, most) : nil
        }
        guard blockMs > 0 else { return most }
        var since = (action == .stop ? caughtUpAt : waitsSince) ?? now
        if action == .stop { since = max(since, othersCaughtUpAt ?? now) }
        let left = blockMs - (now - since)
        return left > 0 ? min(left, most) : nil
    }

    mutating func sent(_ now: Int64) { askedAt = now }

    /// An answer has come. `isFull`: it had as many entries as were asked for, or there may be more
    /// for another reason. `isPrefetch`: it was asked for before the caller waited.
    mutating func answered(_ now: Int64, entries: Int, isFull: Bool, isPrefetch: Bool = false) {
        guard action != .wait, blockMs != 0 else { return }
        if action == .empty {
            guard entries == 0, !isFull, !isPrefetch, let waitsSince else { return }
            isEmpty = isPast(waitsSince, now)
            return
        }
        if isFull {
            caughtUpAt = nil
            return
        }
        let since = caughtUpAt ?? (entries == 0 ? askedAt : now)
        caughtUpAt = since
        if !isPrefetch, let others = othersCaughtUpAt, isPast(max(since, others), now) {
            isOver = true
        }
    }

    private func isPast(_ since: Int64, _ now: Int64) -> Bool {
        now - since + Idleness.toleranceMs >= blockMs ?? 0
    }

    /// The last batch was taken back: what comes next is not known to be all.
    mutating func takeBack() {
        caughtUpAt = nil
        isOver = false
        handedOver()
    }
}
