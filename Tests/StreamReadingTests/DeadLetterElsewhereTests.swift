// SPDX-License-Identifier: Apache-2.0
// Dead letters in another slot of a cluster than their stream: each transition, without a server.

import RedcolBase
import RedisConnection
import Testing

@testable import StreamReading

private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
private func int(_ number: Int64) -> Reply { .integer(WireInteger(number)) }
private func bulk(_ text: String) -> Reply { .bulk(utf8(text)) }

private func letter(refusal: DeadLetter.Refusal? = nil) -> DeadLetter {
    DeadLetter(
        row: RowID(id: EntryID(5, 1), stream: 0), consumer: utf8("c"), deliveries: 3,
        refusal: refusal)
}

private func words(_ commands: [Command]) -> [[String]] {
    commands.map { $0.arguments.map { String(decoding: $0, as: UTF8.self) } }
}

private let pendingLine = Reply.array([.array([bulk("5-1"), bulk("c"), int(100), int(3)])])
private let entry = Reply.array([.array([bulk("5-1"), .array([bulk("a"), bulk("1")])])])

/// About to look at the letter: XPENDING and XRANGE are under way.
private func looking(_ letter: DeadLetter = letter()) -> DeadLetterTransaction {
    let member = GroupMember(streams: [utf8("s")], group: utf8("g"), consumer: utf8("me"))
    var transaction = DeadLetterTransaction(member, to: utf8("dead"))
    transaction.isElsewhere = true
    transaction.add(letter)
    let names = letter.keepsFields ? ["XPENDING", "XRANGE"] : ["XPENDING"]
    #expect(transaction.next().map(\.name) == names)
    #expect(!transaction.sendsElsewhere)
    return transaction
}

/// XADD is under way to the other server.
private func writing() -> DeadLetterTransaction {
    var transaction = looking()
    #expect(transaction.take(pendingLine).0 == .more)
    let (step, sent) = transaction.take(entry)
    #expect(step == .more)
    #expect(
        words(sent) == [
            [
                "XADD", "dead", "*", "a", "1", "dead_id", "5-1", "dead_stream", "s", "dead_group",
                "g", "dead_consumer", "c", "dead_deliveries", "3",
            ]
        ])
    #expect(transaction.sendsElsewhere)
    #expect(transaction.next().isEmpty)
    return transaction
}

/// XACK is under way to the stream's server.
private func acknowledging() -> DeadLetterTransaction {
    var transaction = writing()
    let (step, sent) = transaction.take(bulk("7-7"))
    #expect(step == .more)
    #expect(words(sent) == [["XACK", "s", "g", "5-1"]])
    #expect(!transaction.sendsElsewhere)
    return transaction
}

@Test func aLetterElsewhereIsWrittenBeforeItsEntryIsAcknowledged() {
    var transaction = acknowledging()
    #expect(transaction.rows == [letter().row])
    #expect(transaction.take(int(1)).0 == .ended(letter(), .kept))
    #expect(transaction.rows.isEmpty)
    #expect(transaction.next().isEmpty)
}

@Test(arguments: [int(1), .error(utf8("NOPERM"))])
func aLetterElsewhereOfAnEntryThatWasAcknowledgedMeanwhile(_ answer: Reply) {
    var transaction = acknowledging()
    let (step, sent) = transaction.take(int(0))
    #expect(step == .more)
    #expect(words(sent) == [["XDEL", "dead", "7-7"]])
    #expect(transaction.sendsElsewhere)
    #expect(transaction.take(answer).0 == .ended(letter(), .moved))
    #expect(!transaction.sendsElsewhere)
}

@Test func anEntryThatIsNotPendingHasNoLetterElsewhere() {
    var transaction = looking()
    #expect(transaction.take(.array([])).0 == .more)
    let (step, sent) = transaction.take(entry)
    #expect(step == .ended(letter(), .moved))
    #expect(sent.isEmpty)
    #expect(transaction.rows.isEmpty)
}

@Test func anEntryThatWasDeletedHasNoLetterElsewhere() {
    var transaction = looking()
    #expect(transaction.take(pendingLine).0 == .more)
    let (_, sent) = transaction.take(.array([]))
    #expect(words(sent) == [["XACK", "s", "g", "5-1"]])
    #expect(!transaction.sendsElsewhere)
    #expect(transaction.take(int(1)).0 == .ended(letter(), .deleted))
}

@Test func aLetterElsewhereWithoutFields() {
    let refusal = DeadLetter.Refusal(field: nil, reason: utf8("too large"))
    var transaction = looking(letter(refusal: refusal))
    let (_, sent) = transaction.take(pendingLine)
    #expect(sent.map(\.name) == ["XADD"])
    #expect(words(sent)[0].suffix(2) == ["dead_reason", "too large"])
}

@Test func errorsOfALetterElsewhere() {
    var transaction = writing()
    #expect(transaction.take(.error(utf8("WRONGTYPE"))).0 == .failed(utf8("WRONGTYPE")))
    transaction = acknowledging()
    #expect(transaction.take(.error(utf8("NOPERM"))).0 == .failed(utf8("NOPERM")))
}

@Test(arguments: [Reply.status(utf8("OK")), .null, int(2), .array([])])
func strangeAnswersAboutALetterElsewhere(_ reply: Reply) {
    for state in [writing(), acknowledging()] {
        var transaction = state
        guard case .malformed = transaction.take(reply).0 else {
            Issue.record("\(reply)")
            return
        }
    }
}

/// It is pending, and begins again on the next connection, still elsewhere.
@Test func aConnectionLostAtEachPointOfALetterElsewhere() {
    var removing = acknowledging()
    _ = removing.take(int(0))
    for state in [looking(), writing(), acknowledging(), removing] {
        var transaction = state
        transaction.connectionLost()
        #expect(transaction.rows.isEmpty)
        #expect(!transaction.sendsElsewhere)
        transaction.add(letter())
        #expect(transaction.next().map(\.name) == ["XPENDING", "XRANGE"])
    }
}

/// One that has lost its connection with a letter that is written, and looks at it again.
private func lookingAgain() -> DeadLetterTransaction {
    var transaction = acknowledging()
    transaction.connectionLost()
    transaction.add(letter())
    _ = transaction.next()
    _ = transaction.take(pendingLine)
    return transaction
}

@Test func aLetterElsewhereIsNotWrittenAgainByThisReader() {
    var transaction = lookingAgain()
    #expect(words(transaction.take(entry).send) == [["XACK", "s", "g", "5-1"]])
    #expect(transaction.take(int(1)).0 == .ended(letter(), .kept))
    // It is forgotten then.
    transaction.add(letter())
    _ = transaction.next()
    _ = transaction.take(pendingLine)
    #expect(transaction.take(entry).send.map(\.name) == ["XADD"])
}

/// The stream was begun again, and another entry has the same id.
@Test func anotherEntryOfTheSameIDIsWritten() {
    var transaction = lookingAgain()
    let other = Reply.array([.array([bulk("5-1"), .array([bulk("a"), bulk("2")])])])
    #expect(transaction.take(other).send.map(\.name) == ["XADD"])
}

/// The answer to XADD is lost: it may have been written, or not.
@Test func aLetterElsewhereThatMayHaveBeenWrittenIsWritten() {
    var transaction = writing()
    transaction.connectionLost()
    transaction.add(letter())
    _ = transaction.next()
    _ = transaction.take(pendingLine)
    #expect(transaction.take(entry).send.map(\.name) == ["XADD"])
}
