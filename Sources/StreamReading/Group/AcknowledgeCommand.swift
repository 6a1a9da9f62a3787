// SPDX-License-Identifier: Apache-2.0
// XACK: the command, how many ids each has, and the error of a wrong answer.
// https://redis.io/docs/latest/commands/xack/

import RedcolBase
import RedisConnection

extension Command {
    /// Ids in one XACK. More cost the server the same per id, and other clients wait for each
    /// command.
    static var acknowledgedIDsMax: Int { 1_000 }

    /// XACK of so many entries of a stream.
    static func acknowledge(
        stream: [UInt8], group: [UInt8], count: Int, _ id: (Int) -> EntryID
    ) -> Command {
        var command = Command("XACK")
        command.add(stream)
        command.add(group)
        command.add(hyphenated: count) {
            let id = id($0)
            return (id.milliseconds, id.sequence)
        }
        return command
    }
}

extension Connection {
    /// The answer to XACK is not a count of entries, or counts more than were named.
    var wrongAcknowledgedCount: RedcolError {
        violation("a count that cannot be in answer to XACK")
    }
}
