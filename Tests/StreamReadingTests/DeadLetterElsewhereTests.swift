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

// MARK: Several at once

private func letters(_ ids: ClosedRange<UInt64>) -> [DeadLetter] {
    ids.map {
        DeadLetter(
            row: RowID(id: EntryID($0, 1), stream: 0), consumer: utf8("c"), deliveries: 3)
    }
}

private func line(_ id: UInt64) -> Reply {
    .array([.array([bulk("\(id)-1"), bulk("c"), int(100), int(3)])])
}

private func found(_ id: UInt64, _ value: String = "1") -> Reply {
    .array([.array([bulk("\(id)-1"), .array([bulk("a"), bulk(value)])])])
}

/// Has these to move.
private func moving(_ ids: ClosedRange<UInt64>) -> DeadLetterTransaction {
    let member = GroupMember(streams: [utf8("s")], group: utf8("g"), consumer: utf8("me"))
    var transaction = DeadLetterTransaction(member, to: utf8("dead"))
    transaction.isElsewhere = true
    for letter in letters(ids) { transaction.add(letter) }
    return transaction
}

extension DeadLetterTransaction {
    /// Answers a look at these entries; what is sent then.
    fileprivate mutating func look(
        _ ids: ClosedRange<UInt64>, value: String = "1"
    ) -> [Command] {
        var sent: [Command] = []
        for id in ids {
            #expect(sent.isEmpty)
            #expect(take(line(id)).0 == .more)
            sent = take(found(id, value)).send
        }
        return sent
    }

    /// Moves these, which are taken in hand together.
    fileprivate mutating func move(_ ids: ClosedRange<UInt64>) {
        #expect(next().count == 2 * ids.count)
        #expect(look(ids).map(\.name) == ids.map { _ in "XADD" })
        for id in ids {
            #expect(sendsElsewhere && next().isEmpty)
            let sent = take(bulk("\(id)-0")).send
            #expect(sent.count == (id == ids.upperBound ? ids.count : 0))
        }
        for letter in letters(ids) {
            #expect(!sendsElsewhere)
            #expect(take(int(1)).0 == .ended(letter, .kept))
        }
    }
}

@Test func lettersElsewhereAreWrittenTogether() {
    var transaction = moving(1...70)
    for ids in [1...1, 2...3, 4...7, 8...15, 16...31, 32...63, 64...70] as [ClosedRange<UInt64>] {
        transaction.move(ids)
    }
    #expect(transaction.next().isEmpty)
    #expect(transaction.rows.isEmpty)
}

/// What they take together is bounded: the others are looked at again.
@Test func largeLettersElsewhereAreWrittenOneByOne() {
    var transaction = moving(1...4)
    transaction.move(1...1)
    #expect(transaction.next().count == 4)
    let large = String(repeating: "x", count: DistantLetters.bytesMax * 2 / 3)
    #expect(transaction.look(2...3, value: large).map(\.name) == ["XADD"])
    #expect(Set(transaction.rows) == Set(letters(2...4).map(\.row)))
    _ = transaction.take(bulk("2-0"))
    #expect(transaction.take(int(1)).0 == .ended(letters(2...2)[0], .kept))
    transaction.move(3...3)
    transaction.move(4...4)
}

/// One of them has another end than the others.
@Test func lettersElsewhereOfEntriesThatAreGone() {
    var transaction = moving(1...7)
    transaction.move(1...1)
    transaction.move(2...3)
    #expect(transaction.next().count == 8)
    _ = transaction.look(4...4)
    _ = transaction.take(.array([]))  // 5-1 was acknowledged
    #expect(transaction.take(.array([])).0 == .ended(letters(5...5)[0], .moved))
    _ = transaction.take(line(6))
    _ = transaction.take(.array([]))  // 6-1 was deleted
    let written = transaction.look(7...7)
    #expect(written.map(\.name) == ["XADD", "XADD"])
    _ = transaction.take(bulk("4-0"))
    let acknowledged = words(transaction.take(bulk("7-0")).send)
    #expect(acknowledged.map { $0[3] }.sorted() == ["4-1", "6-1", "7-1"])
    var ends: [DeadLetterTransaction.Step] = []
    var removed: [Command] = []
    for command in acknowledged {
        // 7-1 has been acknowledged meanwhile.
        let (step, sent) = transaction.take(int(command[3] == "7-1" ? 0 : 1))
        ends.append(step)
        removed = sent
    }
    #expect(ends.contains(.ended(letters(4...4)[0], .kept)))
    #expect(ends.contains(.ended(letters(6...6)[0], .deleted)))
    #expect(words(removed) == [["XDEL", "dead", "7-0"]])
    #expect(transaction.take(int(1)).0 == .ended(letters(7...7)[0], .moved))
}

/// Those that were written are not written again, and the next is one alone.
@Test(arguments: [true, false])
func someLettersElsewhereCouldNotBeWritten(_ isLost: Bool) {
    var transaction = moving(1...3)
    transaction.move(1...1)
    _ = transaction.next()
    _ = transaction.look(2...3)
    if isLost {
        #expect(transaction.take(bulk("2-0")).0 == .more)
    } else {
        // The answers about the others are taken first.
        #expect(transaction.take(.error(utf8("OOM"))).0 == .more)
        #expect(transaction.take(bulk("3-0")).0 == .failed(utf8("OOM")))
    }
    transaction.connectionLost()
    for letter in letters(2...3) { transaction.add(letter) }
    for id in [2, 3] as [UInt64] {
        #expect(transaction.next().count == 2)
        let isWritten = (id == 2) == isLost
        #expect(transaction.look(id...id).map(\.name) == [isWritten ? "XACK" : "XADD"])
        if !isWritten { _ = transaction.take(bulk("\(id)-1")) }
        #expect(transaction.take(int(1)).0 == .ended(letters(id...id)[0], .kept))
    }
}
