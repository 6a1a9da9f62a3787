// SPDX-License-Identifier: Apache-2.0
// How long a server may take to answer: its silence is bounded, and so is an answer that comes in
// drips. What flows is not: a large answer over a slow line takes as long as it takes.

/// The time that is left for the answers that are awaited.
struct AnswerClock {
    enum Bound { case silence, answer }

    /// An answer that comes at more than so many bytes a second has no end but its own.
    private static let bytesPerSecond: Int64 = 4_096

    private let silenceMs: Int64
    private let answerMs: Int64
    /// Whether an answer is awaited.
    private(set) var isAwaiting = false
    private var silenceEnds: Int64 = 0
    private var answerEnds: Int64 = 0
    /// How long the server was asked to wait before it answers.
    private var extraMs: Int64 = 0
    /// Bytes came after the answer's time was over: it may be complete now, or have earned more.
    private var hasLateBytes = false
    private var awaySince: Int64?

    init(_ timeouts: Timeouts) {
        silenceMs = timeouts.silenceMs
        answerMs = timeouts.answerMs
    }

    /// Since when the server has said nothing that it was asked for, beyond the time that it was
    /// asked to wait; nil while nothing is awaited.
    var silentSince: Int64? { isAwaiting ? silenceEnds - silenceMs : nil }

    /// When the caller should look at the clock; nil while nothing is awaited.
    var deadline: Int64? { isAwaiting ? min(silenceEnds, answerEnds) : nil }

    /// Which time is over.
    func exceeded(_ now: Int64) -> Bound? {
        guard isAwaiting else { return nil }
        if now >= silenceEnds { return .silence }
        return now >= answerEnds ? .answer : nil
    }

    /// Whether the answer was not complete although all that had come in time was looked at.
    func isLate(_ now: Int64) -> Bool { isAwaiting && hasLateBytes && now >= answerEnds }

    /// Something was asked. `extraMs`: how long the server was asked to wait.
    mutating func asked(extraMs: Int64, _ now: Int64) {
        let silence = now + silenceMs + extraMs
        silenceEnds = isAwaiting ? max(silenceEnds, silence) : silence
        if !isAwaiting || extraMs > 0 {
            self.extraMs = extraMs
            answerEnds = now + answerMs + extraMs
            hasLateBytes = false
        }
        isAwaiting = true
    }

    /// Bytes went one way or the other.
    mutating func moved(bytes: Int, _ now: Int64) {
        guard isAwaiting else { return }
        silenceEnds = max(silenceEnds, now + silenceMs)
        // Never more than the whole time again: a burst at the beginning pays for no drips later.
        let earned = Int64(min(bytes, 1 << 30)) * 1_000 / AnswerClock.bytesPerSecond
        answerEnds = max(answerEnds, min(answerEnds + earned, now + answerMs + extraMs))
    }

    /// An answer is complete, and others are still to come.
    mutating func answered(_ now: Int64) {
        guard isAwaiting else { return }
        answerEnds = now + answerMs + extraMs
        hasLateBytes = false
    }

    /// Nothing is awaited any more.
    mutating func expectNothing() {
        isAwaiting = false
        extraMs = 0
        hasLateBytes = false
    }

    /// Bytes wait to be received.
    mutating func somethingHasCome(_ now: Int64) {
        if isAwaiting, now >= answerEnds { hasLateBytes = true }
    }

    // MARK: The caller's own time

    mutating func callerIsAway(_ now: Int64) { awaySince = now }

    mutating func callerIsBack(_ now: Int64) {
        guard let since = awaySince else { return }
        awaySince = nil
        // The answer's time alone: silence is looked at only when nothing has come.
        answerEnds += max(0, now - since)
    }
}
