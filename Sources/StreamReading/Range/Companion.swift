// SPDX-License-Identifier: Apache-2.0
// A server that has the stream, too, and is to help reading it: until it has said how far it has
// the stream.

import CPlatform
import RedcolBase
import RedisConnection

final class Companion {
    let connection: Connection
    let isPrimary: Bool
    private var hasAsked = false
    private var lastEntry = LastEntry()

    init(_ connection: Connection, isPrimary: Bool) {
        self.connection = connection
        self.isPrimary = isPrimary
    }

    /// Connects, and asks for the id of the last entry, without waiting.
    func advance(_ stream: [UInt8]) throws(RedcolError) -> LastEntry.Answer {
        guard try connection.advanceAfterWait(platform_monotonic_ms()) else { return .incomplete }
        if !hasAsked {
            connection.enqueue(LastEntry.command(stream))
            try connection.flush()
            hasAsked = true
        }
        return try lastEntry.take(from: connection)
    }
}
