// SPDX-License-Identifier: Apache-2.0
// One question and its answer on a connection, asked again when the connection is lost: for what
// does no harm when it is done twice.

import CPlatform
import RedcolBase
import RedisConnection

/// How far a question has come. Whoever keeps it beside its connection can go on after a signal,
/// and no time limit begins again.
public struct Conversation: Sendable {
    fileprivate var retries: RetryWindow?
    /// Replies before the first of these on this connection; nil while there is none.
    fileprivate var repliesBefore: Int?
    fileprivate let limitMs: Int64

    /// `limitMs`: it is given up after so long without an answer, or after the time for which the
    /// server may be silent if that is shorter.
    public init(limitMs: Int64 = .max) { self.limitMs = limitMs }
}

extension Connection {
    /// Connects, and calls `exchange` whenever something has come until it says that everything was
    /// answered. When the connection is lost, or the server refuses for now, `lost` is called and
    /// it begins again, until nothing was answered for as long as the server may be silent. A
    /// signal ends it as an error of the cause `interrupted`; calling it again with the same
    /// conversation goes on.
    public func converse(
        _ conversation: inout Conversation, lost: () -> Void,
        _ exchange: () throws(RedcolError) -> Bool
    ) throws(RedcolError) {
        while try !takeTurn(in: &conversation, waits: true, lost: lost, exchange) {}
    }

    /// One turn of a conversation; true when everything was answered. `waits`: until the next turn
    /// is due. Else `pollDescriptor` is readable then.
    public func takeTurn(
        in conversation: inout Conversation, waits: Bool, lost: () -> Void,
        _ exchange: () throws(RedcolError) -> Bool
    ) throws(RedcolError) -> Bool {
        var retries =
            conversation.retries
            ?? RetryWindow(
                limitMs: min(conversation.limitMs, timeouts.silenceMs),
                longestMs: timeouts.retryMs)
        defer { conversation.retries = retries }
        do throws(RedcolError) {
            if !waits { try waitOrStop(until: 0) }
            if retries.mayTry(platform_monotonic_ms()), try advance() {
                if conversation.repliesBefore == nil { conversation.repliesBefore = repliesTaken }
                if try exchange() { return true }
            }
            if waits { try waitOrStop(until: retries.nextAt) }
        } catch {
            guard error.isWorthAnotherTry else { throw error }
            // What was answered is not asked again, unless the answer was this refusal.
            let replies = conversation.repliesBefore.map { repliesTaken &- $0 } ?? 0
            if replies > (error.isAnswer ? 1 : 0) { retries.succeeded() }
            conversation.repliesBefore = nil
            let now = platform_monotonic_ms()
            guard
                error.remedy == .redirect && retries.redirected(now) || retries.failed(now) != nil
            else { throw error }
            closeSocket()
            lost()
            if !waits { armAlarm(until: retries.nextAt ?? now) }
            return false
        }
        if !waits { armAlarm(until: retries.nextAt) }
        return false
    }

    /// As `converse`, for a question about one stream, which its errors name.
    public func converse(
        about stream: [UInt8], _ conversation: inout Conversation, lost: () -> Void,
        _ exchange: () throws(RedcolError) -> Bool
    ) throws(RedcolError) {
        do throws(RedcolError) {
            try converse(&conversation, lost: lost, exchange)
        } catch {
            guard error.cause != .interrupted, error.cause != .cancelled else { throw error }
            let name = escaped(stream, limit: 200)
            throw error.adding("stream \"\(name)\": ", .stream, name)
        }
    }
}
