// SPDX-License-Identifier: Apache-2.0
// When to try again after a connection was lost: at once, then 50 ms doubling to 5 s (0.5 s where
// Sentinels or the nodes of a cluster say which server it is), each a quarter more or less, so that
// many clients of one server do not come back at the same moment.

import CPlatform

/// The waits between the attempts to reach a server again.
public struct Backoff: Sendable {
    static let firstMs: Int64 = 50
    /// The default of the longest wait.
    public static let longestMs: Int64 = 5_000

    var longestMs: Int64

    /// Attempts since the last success.
    public private(set) var attempts = 0

    public init(longestMs: Int64 = Backoff.longestMs) { self.longestMs = longestMs }

    /// How long to wait before the next attempt.
    public mutating func nextDelayMs() -> Int64 {
        attempts += 1
        if attempts == 1 { return 0 }
        let doublings = Int64(min(attempts - 2, 10))
        let delay = min(Backoff.firstMs << doublings, longestMs)
        let quarter = delay / 4
        return delay - quarter + Int64(platform_random()) % (2 * quarter + 1)
    }

    /// Something was answered: the next loss is a new one.
    public mutating func succeeded() { attempts = 0 }
}
