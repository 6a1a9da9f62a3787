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
    private var unsent: [Command]
    private var answersLeft: Int
    private var isWatched = true

    init(_ commands: [Command], to connection: Connection, wakes reader: Connection) {
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
        guard try connection.advanceAfterWait(platform_monotonic_ms()) else { return nil }
        guard !unsent.isEmpty else { return nil }
        for command in unsent { connection.enqueue(command) }
        unsent = []
        try connection.flush()
        return try nextReply()
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
