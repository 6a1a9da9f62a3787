// SPDX-License-Identifier: Apache-2.0
// When a read that has lost its connection tries again, and when it gives up. Pure except for the
// log: time is given to it.

import RedcolBase
import RedisConnection

/// The attempts of a read to get a connection, and answers through it.
struct Reconnecting {
    private let follows: Bool
    private let timeouts: Timeouts
    private var retries: RetryWindow
    /// The last error after which it is tried again.
    private var lastLoss: RedcolError?
    private(set) var isConnected = false
    var answerSize = AnswerSize()

    init(_ options: ReadOptions, _ timeouts: Timeouts) {
        follows = options.follows
        self.timeouts = timeouts
        retries = RetryWindow(
            limitMs: options.follows ? options.reconnectLimitMs : timeouts.silenceMs,
            longestMs: timeouts.retryMs)
    }

    /// Whether something may be asked or tried now; throws when it is too late.
    mutating func mayTry(_ now: Int64) throws(RedcolError) -> Bool {
        if !isConnected, let lastLoss, let deadline = retries.deadline, now >= deadline {
            throw tooLate(lastLoss)
        }
        return retries.mayTry(now)
    }

    /// Whether the next try waits for nothing.
    var triesAtOnce: Bool { retries.nextAt == nil }

    /// When there is something to do although nothing has come; `other`: what else is due.
    func wakeAt(_ other: Int64?) -> Int64? {
        guard !isConnected, let deadline = retries.deadline else { return retries.nextAt ?? other }
        return min(retries.nextAt ?? deadline, deadline)
    }

    /// Whether another try may succeed after this error, unless it is too late.
    func triesAgain(after error: RedcolError) -> Bool {
        error.isWorthAnotherTry || follows && error.isConnectionLoss
    }

    /// The connection failed, or the server refused for now: it is tried again, or given up by
    /// throwing the error. `entriesLost`: how many entries were awaited in answers of which none
    /// has come.
    mutating func failed(
        _ error: RedcolError, entriesLost: Int?, shown: String, _ now: Int64
    ) throws(RedcolError) {
        if error.remedy == .redirect, retries.redirected(now) {
            Log.write(.info, .connection, about: shown) { "asking another node: \(error.message)" }
            return
        }
        var isLess = false
        if isConnected, error.isConnectionLoss, error.cause == .connection, let entriesLost {
            isLess = answerSize.lost(asked: entriesLost)
        }
        log(error, isLess: isLess, shown)
        let silentMs =
            error.cause != .timedOut ? 0 : isConnected ? timeouts.silenceMs : timeouts.connectMs
        guard retries.failed(now, silentMs: silentMs, isOther: isLess) != nil else {
            throw tooLate(error)
        }
        lastLoss = error
    }

    private func log(_ error: RedcolError, isLess: Bool, _ shown: String) {
        let attempts = retries.attempts
        // A single loss is not worth a warning; a second one without progress between them is.
        Log.write(attempts == 0 ? .info : .warning, .retry, about: shown) {
            var text = "trying again: \(error.message)"
            if attempts > 0 { text += "; \(attempts + 1) attempts without a success" }
            if isLess { text += "; from now on \(answerSize.entriesMax) entries at once" }
            return text
        }
    }

    /// The error of a read that has tried for long enough.
    func tooLate(_ error: RedcolError) -> RedcolError {
        var told = error
        if let limit = retries.limitMs, follows {
            told = error.adding("no answer for \(limit) ms (reconnect_timeout_ms): ")
        }
        if answerSize.isStuck {
            told = told.saying(
                "; even one entry did not get through: see the server's client-output-buffer-limit")
        }
        return told
    }

    /// `retryMs`: the longest wait between two attempts, which may be known only now.
    mutating func connected(shown: String, retryMs: Int64) {
        isConnected = true
        retries.wait(longestMs: retryMs)
        guard let error = lastLoss else { return }
        lastLoss = nil
        Log.write(.info, .connection, about: shown) {
            "connected to \(shown) again, after: \(error.message)"
        }
    }

    mutating func disconnected() { isConnected = false }

    /// What has come is not asked for again: the next loss is another one.
    mutating func progressed() { retries.succeeded() }

    /// The caller got an error: what it asks next is tried at once, and the next failure is
    /// a new one.
    mutating func begin() { retries.begin() }
}
