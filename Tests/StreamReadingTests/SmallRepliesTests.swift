// SPDX-License-Identifier: Apache-2.0
// Counts and lines that a server says: what cannot be is refused, and nothing is added up unseen.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

private func number(_ value: Int64) -> Reply { .integer(WireInteger(value)) }

@Suite struct SmallRepliesTests {
    @Test(arguments: [
        (Int64.max, false), (.min, false), (-1, false), (-5, false), (3, false), (0, true),
        (2, true),
    ])
    func acknowledged(_ count: Int64, _ isTaken: Bool) {
        let ids = [EntryID(1, 1), EntryID(1, 2)]
        var acknowledgement = Acknowledgement(stream: [], group: [], ids: ids)
        _ = acknowledgement.takeCommands()
        let taken = acknowledgement.take(number(count))
        #expect(taken == isTaken)
        #expect(acknowledgement.acknowledged == (isTaken ? count : 0))
        // Nobody asked for a second answer.
        let second = acknowledgement.take(number(0))
        #expect(second != isTaken)
    }

    @Test func acknowledgedInSeveralCommands() {
        let ids = (0..<2_500).map { EntryID(1, UInt64($0)) }
        var acknowledgement = Acknowledgement(stream: [], group: [], ids: ids)
        let commands = acknowledgement.takeCommands()
        #expect(commands.count == 3)
        let taken = [1_000, 1_000, 501, 500].map { acknowledgement.take(number($0)) }
        #expect(taken == [true, true, false, true])
        #expect(acknowledgement.acknowledged == 2_500)
    }

    @Test(arguments: [
        Reply.null, .status(utf8("OK")), .bulk(utf8("1")), .array([]), .error(utf8("ERR")),
    ])
    func whatIsNoCount(_ reply: Reply) {
        var acknowledgement = Acknowledgement(stream: [], group: [], ids: [EntryID(1, 1)])
        _ = acknowledgement.takeCommands()
        let isTaken = acknowledgement.take(reply)
        #expect(!isTaken)
    }

    @Test(arguments: [
        (Int64(0), Int64(1), true), (.max, .max, true), (-1, 1, true), (-2, 1, false),
        (0, -1, false), (.min, .min, false),
    ])
    func pendingEntries(_ idle: Int64, _ deliveries: Int64, _ isOne: Bool) {
        let line = Reply.array([
            .bulk(utf8("1-1")), .bulk(utf8("c")), number(idle), number(deliveries),
        ])
        #expect((PendingLine(line) != nil) == isOne)
    }

    @Test func idsOfAStream() {
        let name = Reply.bulk(utf8("last-generated-id"))
        #expect(
            Reply.array([name, .bulk(utf8("5-1"))]).entryID(named: "last-generated-id")
                == EntryID(5, 1))
        #expect(Reply.array([number(1), name]).entryID(named: "last-generated-id") == nil)
        #expect(Reply.array([name, number(5)]).entryID(named: "last-generated-id") == nil)
        #expect(Reply.null.entryID(named: "last-generated-id") == nil)
    }
}
