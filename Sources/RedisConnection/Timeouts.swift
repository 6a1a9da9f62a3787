// SPDX-License-Identifier: Apache-2.0
// How long a server may take, and how soon it is tried again.

import RedcolBase

/// How long a server may take.
public struct Timeouts: Sendable {
    /// Making the connection, logging in included.
    public var connectMs: Int64 = 5_000
    /// Silence while an answer is awaited.
    public var silenceMs: Int64 = 5_000
    /// After so long a peer that has vanished is noticed; 0 for never.
    public var keepaliveMs: Int64 = 30_000
    /// A whole answer, unless it flows (see `AnswerClock`); nil: ten times the silence.
    public var answerMsGiven: Int64?
    /// The longest wait before the next attempt to connect.
    public var retryMs = Backoff.longestMs

    public init() {}

    public var answerMs: Int64 { answerMsGiven ?? 10 * silenceMs }
}
