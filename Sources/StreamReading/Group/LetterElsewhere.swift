// SPDX-License-Identifier: Apache-2.0
// Commands about dead letters, to the node of a cluster that has them, while another node has the
// stream.

import CPlatform
import RedcolBase
import RedisConnection

/// Commands on a connection of their own. The reader waits for its own connection, and the answer
/// ends that wait, too.
final class LetterElsewhere {
    let connection: Connection
    private let reader: Connection
    private let state: ReadState
    private var unsent: [Command]
    private var answersLeft: Int
    private var isWatched = true
    /// The attempts to connect. Nothing has been sent then, so the commands can wait.
    private var retries: RetryWindow

    /// `limitMs`: so long it is tried to connect; nil for ever.
    init(
        _ commands: [Command], to connection: Connection, wakes reader: Connection,
        _ state: ReadState, limitMs: Int64?
    ) {
        self.state = state
        retries = RetryWindow(limitMs: limitMs, longestMs: connection.timeouts.retryMs)
        unsent = commands
        answersLeft = commands.count
        self.connection = connection
        self.reader = reader
        reader.watch(connection)
    }

    deinit { end() }

    /// Whether all answers were taken.
    var isDone: Bool { answersLeft == 0 }

    /// Connects, sends and receives what it can without waiting; the next answer once it is there.
    func advance() throws(RedcolError) -> Reply? {
        connection.hasWaited()
        // First what has come, however long the caller was away.
        if unsent.isEmpty, let reply = try nextReply() { return reply }
        guard try connect(), !unsent.isEmpty else { return nil }
        for command in unsent { connection.enqueue(command) }
        unsent = []
        try connection.flush()
        return try nextReply()
    }

    /// When there is something to do although nothing has come.
    var wakeAt: Int64? { retries.nextAt ?? connection.deadline }

    /// Whether the connection is there. Without one it is tried again, after longer and longer
    /// waits.
    private func connect() throws(RedcolError) -> Bool {
        let now = platform_monotonic_ms()
        guard retries.mayTry(now) else { return false }
        do throws(RedcolError) {
            guard try connection.advanceAfterWait(now) else { return false }
            if retries.attempts > 0 { state.connected() }
            retries.succeeded()
            return true
        } catch {
            guard !unsent.isEmpty, error.isWorthAnotherTry || error.isConnectionLoss else {
                throw error
            }
            connection.closeSocket()
            state.failed(error)
            let what = "writing dead letters: \(error.message)"
            guard retries.failed(now) != nil else {
                retries.begin()
                throw RedcolError(
                    .timedOut,
                    "no answer for \(retries.limitMs ?? 0) ms (reconnect_timeout_ms): \(what)",
                    remedy: .raise)
            }
            Log.write(.warning, .retry, about: connection.endpoint.shown) {
                "trying again: \(what)"
            }
            return false
        }
    }

    private func nextReply() throws(RedcolError) -> Reply? {
        guard let reply = try connection.nextReply() else { return nil }
        answersLeft -= 1
        return reply
    }

    /// The reader waits for it no longer.
    func end() {
        if isWatched { reader.unwatch(connection) }
        isWatched = false
    }
}
