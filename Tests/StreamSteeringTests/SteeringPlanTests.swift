// SPDX-License-Identifier: Apache-2.0
// What is sent for each order, and what becomes of each answer, without a server: the tests answer.

import RedcolBase
import RedisConnection
import Testing

@testable import StreamSteering

private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
private func int(_ number: Int64) -> Reply { .integer(WireInteger(number)) }
private func bulk(_ text: String) -> Reply { .bulk(utf8(text)) }
private let done = Reply.status(utf8("OK"))

private func plan(
    _ action: SteeringOrder.Action, group: String? = "g"
) throws(RedcolError) -> SteeringPlan {
    SteeringPlan(try SteeringOrder(stream: utf8("s"), group: group.map(utf8), action))
}

/// The words of the commands that are sent now, except for a script's text.
private func sent(_ plan: inout SteeringPlan) -> [[String]] {
    plan.next().map { command in
        command.arguments.map { String(decoding: $0, as: UTF8.self) }
            .map { $0.contains("redis.pcall") ? "script" : $0 }
    }
}

private func state(
    added: Int64 = 10, length: Int64 = 10, first: String = "1-0", deleted: String = "0-0"
) -> Reply {
    .array([
        bulk("length"), int(length), bulk("last-generated-id"), bulk("10-0"),
        bulk("max-deleted-entry-id"), bulk(deleted), bulk("entries-added"), int(added),
        bulk("recorded-first-entry-id"), bulk(first),
    ])
}

@Test func aGroupIsCreated() throws {
    var one = try plan(.createGroup(at: nil, createsStream: true))
    #expect(sent(&one) == [["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"]])
    #expect(sent(&one) == [])
    #expect(one.take(done) == .done)
    #expect(one.count == 1)
    var other = try plan(.createGroup(at: EntryID(5, 1), createsStream: false))
    #expect(sent(&other) == [["XGROUP", "CREATE", "s", "g", "5-1"]])
    // The answer was lost, and the second try finds the group.
    other.connectionLost()
    #expect(sent(&other) == [["XGROUP", "CREATE", "s", "g", "5-1"]])
    #expect(other.take(.error(utf8("BUSYGROUP Consumer Group name already exists"))) == .done)
    #expect(other.count == 0)
    #expect(other.take(.error(utf8("WRONGTYPE no"))) == .refused(utf8("WRONGTYPE no")))
    #expect(other.take(int(1)) == .malformed)
}

@Test func aStreamThatIsMissing() throws {
    let missing = Reply.error(utf8("ERR The XGROUP subcommand requires the key to exist. Note"))
    for action: SteeringOrder.Action in [
        .createGroup(at: nil, createsStream: false), .seekGroup(to: nil),
        .deleteConsumer(utf8("c"), isForced: true),
    ] {
        var one = try plan(action)
        _ = one.next()
        #expect(one.take(missing) == .noStream)
    }
    var seek = try plan(.seekGroup(to: nil))
    #expect(seek.take(.error(utf8("ERR no such key"))) == .noStream)
    var delete = try plan(.deleteGroup)
    #expect(sent(&delete) == [["XGROUP", "DESTROY", "s", "g"]])
    #expect(delete.take(missing) == .done)
    #expect(delete.count == 0)
    #expect(delete.take(int(2)) == .malformed)
    #expect(delete.take(int(1)) == .done)
    #expect(delete.count == 1)
}

@Test(
    arguments: [
        // The end, and after it.
        (nil, state(), "10-0", "10"), (EntryID(11, 0), state(), "11-0", "10"),
        // Before the first entry; some were trimmed.
        (EntryID(0, 0), state(), "0-0", "0"),
        (EntryID(2, 0), state(length: 6, first: "5-0"), "2-0", "4"),
        // In between, and where an entry was deleted.
        (EntryID(1, 0), state(), "1-0", nil),
        (EntryID(0, 0), state(length: 9, deleted: "3-0"), "0-0", nil),
        (EntryID(0, 0), state(length: 9, first: "2-0", deleted: "1-0"), "0-0", "1"),
        // No entries are left.
        (EntryID(3, 0), state(length: 0, first: "0-0", deleted: "10-0"), "3-0", "10"),
        // A server that counts nothing, and one that cannot count.
        (EntryID(0, 0), .array([bulk("last-generated-id"), bulk("10-0")]), "0-0", nil),
        (EntryID(0, 0), state(added: -1), "0-0", nil),
        (EntryID(0, 0), state(added: 5), "0-0", nil),
    ] as [(EntryID?, Reply, String, String?)])
func aGroupIsSet(to target: EntryID?, found: Reply, id: String, entriesRead: String?) throws {
    var one = try plan(.seekGroup(to: target))
    #expect(sent(&one) == [["XINFO", "STREAM", "s"]])
    #expect(one.position == nil)
    #expect(one.take(found) == .more)
    let set = ["XGROUP", "SETID", "s", "g", id] + (entriesRead.map { ["ENTRIESREAD", $0] } ?? [])
    #expect(sent(&one) == [set])
    // The end of the stream is not looked up a second time.
    one.connectionLost()
    #expect(sent(&one) == [set])
    #expect(one.take(done) == .done)
    #expect(one.position?.text == id)
}

@Test func aGroupIsNotSetByNonsense() throws {
    for reply in [done, int(5), .array([]), .array([bulk("last-generated-id"), bulk("x")])] {
        var one = try plan(.seekGroup(to: nil))
        _ = one.next()
        #expect(one.take(reply) == .malformed)
    }
}

@Test func aConsumerIsDeleted() throws {
    var forced = try plan(.deleteConsumer(utf8("c"), isForced: true))
    #expect(sent(&forced) == [["XGROUP", "DELCONSUMER", "s", "g", "c"]])
    #expect(forced.take(int(-1)) == .malformed)
    #expect(forced.take(int(7)) == .done)
    #expect(forced.count == 7)
    var careful = try plan(.deleteConsumer(utf8("c"), isForced: false))
    #expect(sent(&careful) == [["EVAL", "script", "1", "s", "g", "c"]])
    #expect(careful.take(int(-3)) == .pending(3))
    #expect(careful.take(int(.min)) == .malformed)
    #expect(careful.take(done) == .malformed)
    #expect(careful.take(int(0)) == .done)
}

@Test func aStreamIsTrimmed() throws {
    var roughly = try plan(.trim(.entries(5), isApproximate: true), group: nil)
    for answer: Int64 in [10_000, 200, 0] {
        #expect(sent(&roughly) == [["XTRIM", "s", "MAXLEN", "~", "5"]])
        #expect(roughly.take(int(answer)) == (answer == 0 ? .done : .more))
    }
    #expect(roughly.count == 10_200)
    var exactly = try plan(.trim(.from(EntryID(5, 0)), isApproximate: false), group: nil)
    for answer: Int64 in [10_000, 0] {
        #expect(sent(&exactly) == [["XTRIM", "s", "MINID", "~", "5-0"]])
        #expect(exactly.take(int(answer)) == .more)
    }
    #expect(sent(&exactly) == [["XTRIM", "s", "MINID", "=", "5-0"]])
    #expect(exactly.take(int(-1)) == .malformed)
    #expect(exactly.take(int(.max)) == .done)
    #expect(exactly.count == .max)
}

@Test func entriesAreDeletedInCommandsOfAThousand() throws {
    let ids = (0..<17_500).map { EntryID(UInt64($0), 0) }
    var one = try plan(.deleteEntries(ids), group: nil)
    let first = sent(&one)
    #expect(first.count == SteeringPlan.underWayMax)
    #expect(first.allSatisfy { $0.count == 1_002 && $0[..<2] == ["XDEL", "s"] })
    #expect(one.take(int(1_001)) == .malformed)
    #expect(one.take(int(999)) == .more)
    #expect(sent(&one).count == 1)
    // What was not answered is sent again.
    one.connectionLost()
    #expect(sent(&one).first?[2] == "1000-0")
    for _ in 0..<15 { #expect(one.take(int(1_000)) == .more) }
    #expect(sent(&one).map(\.count) == [502])
    #expect(one.take(int(1_000)) == .more)
    #expect(one.take(int(500)) == .done)
    #expect(one.count == 17_499)
    #expect(try plan(.deleteEntries([]), group: nil).isEmpty)
}

@Test func entriesAreReleased() throws {
    let ids = (0..<150).map { EntryID(UInt64($0), 0) }
    var one = try plan(.release(ids, of: utf8("c")))
    let commands = sent(&one)
    #expect(commands.map(\.count) == [106, 56])
    #expect(commands[1][..<7] == ["EVAL", "script", "1", "s", "g", "c", "100-0"])
    #expect(one.take(int(100)) == .more)
    #expect(one.take(int(51)) == .malformed)
    #expect(one.take(int(2)) == .done)
    #expect(one.count == 102)
}

@Test func emptyNamesAreRefused() {
    for (stream, group, action) in [
        ("", "g", SteeringOrder.Action.deleteGroup), ("s", "", .deleteGroup),
        ("s", "g", .deleteConsumer([], isForced: true)), ("s", "g", .release([], of: [])),
    ] {
        #expect(throws: RedcolError.self) {
            try SteeringOrder(stream: utf8(stream), group: utf8(group), action)
        }
    }
}
