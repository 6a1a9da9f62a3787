// SPDX-License-Identifier: Apache-2.0
// When to try again, and for how long. What counts as a success is what is not asked for again:
// an entry that became a row, or a whole answer that took the read further. Pure: time is given to
// it.

/// The attempts to reach a server, or to get an answer through, since the last success.
public struct RetryWindow: Sendable {
    /// After so long without a success there is no further attempt; nil for never.
    public let limitMs: Int64?
    private var backoff: Backoff
    /// When the first failure since the last success was.
    private var began: Int64?
    /// How often a server has said since the last success that another one is to be asked.
    private var redirects = 0
    /// How many times the server that another one names is asked without a wait. If there are more,
    /// the servers name each other in a circle.
    public static let redirectsMax = 5
    /// When the next attempt is due; nil when none waits.
    public private(set) var nextAt: Int64?

    /// `longestMs`: the longest wait between two attempts.
    public init(limitMs: Int64?, longestMs: Int64 = Backoff.longestMs) {
        self.limitMs = limitMs
        backoff = Backoff(longestMs: longestMs)
    }

    /// No wait between two attempts is longer than this from now on.
    public mutating func wait(longestMs: Int64) { backoff.longestMs = longestMs }

    /// Attempts since the last success.
    public var attempts: Int { backoff.attempts }

    /// When it is too late to keep trying; nil for never, or while nothing has failed.
    public var deadline: Int64? {
        guard let began, let limitMs else { return nil }
        let (sum, overflow) = began.addingReportingOverflow(limitMs)
        return overflow ? nil : sum
    }

    /// Whether the next attempt may be made now, which then waits no longer.
    public mutating func mayTry(_ now: Int64) -> Bool {
        if let nextAt, now < nextAt { return false }
        nextAt = nil
        return true
    }

    /// Something came that is not asked for again: the next failure is a new one.
    public mutating func succeeded() {
        guard began != nil else { return }
        backoff.succeeded()
        began = nil
        redirects = 0
    }

    /// Begins again, at once.
    public mutating func begin() {
        succeeded()
        nextAt = nil
    }

    /// A server has said that another one is to be asked. Whether that is done at once, as if
    /// nothing had failed.
    public mutating func redirected(_ now: Int64) -> Bool {
        guard redirects < RetryWindow.redirectsMax else { return false }
        if began == nil { began = now }
        redirects += 1
        nextAt = nil
        return true
    }

    /// An attempt failed, after the server had been silent for `silentMs`. When to make the next;
    /// nil when it is too late. `isOther`: the next will ask for something else, so that there is
    /// no need to wait for longer than the last time.
    public mutating func failed(
        _ now: Int64, silentMs: Int64 = 0, isOther: Bool = false
    ) -> Int64? {
        if began == nil { began = now - silentMs }
        nextAt = now + (isOther ? Backoff.firstMs : backoff.nextDelayMs())
        if let deadline, let next = nextAt, next > deadline {
            // The last attempt comes just before the end, however long the wait would have been.
            let last = deadline - Backoff.firstMs
            nextAt = now < last - Backoff.firstMs ? last : nil
        }
        return nextAt
    }
}
