// SPDX-License-Identifier: Apache-2.0
// Each transition of putting an entry away, without a server: the tests answer.

import RedcolBase
import RedisConnection
import Testing

@testable import StreamReading

private let member = GroupMember(streams: [utf8("s")], group: utf8("g"), consumer: utf8("me"))

private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }
private func int(_ number: Int64) -> Reply { .integer(WireInteger(number)) }
private func bulk(_ text: String) -> Reply { .bulk(utf8(text)) }

private func letter(
    _ milliseconds: UInt64 = 5, deliveries: Int64? = 3, undelivered: Int64 = 0,
    refusal: DeadLetter.Refusal? = nil
) -> DeadLetter {
    DeadLetter(
        row: RowID(id: EntryID(milliseconds, 1), stream: 0), consumer: utf8("c"),
        deliveries: deliveries, undelivered: undelivered, refusal: refusal)
}

private func transaction(_ letters: DeadLetter...) -> DeadLetterTransaction {
    var transaction = DeadLetterTransaction(member, to: utf8("dead"))
    for letter in letters { transaction.add(letter) }
    return transaction
}

/// The words of commands, except for a script's text.
private func words(_ commands: [Command]) -> [[String]] {
    commands.map { command in
        command.arguments.map { String(decoding: $0, as: UTF8.self) }.filter { $0.count < 200 }
    }
}

private func names(_ commands: [Command]) -> [String] { commands.map(\.name) }

private func pendingLine(
    _ consumer: String = "c", _ deliveries: Int64 = 3, id: String = "5-1"
) -> Reply { .array([.array([bulk(id), bulk(consumer), int(100), int(deliveries)])]) }

private func entry(_ fields: String...) -> Reply {
    .array([.array([bulk("5-1"), .array(fields.map(bulk))])])
}

/// Answers the look at a letter: WATCH, XPENDING, XRANGE, XLEN.
private func look(
    _ transaction: inout DeadLetterTransaction, _ pending: Reply, _ entry: Reply
) -> [Command] {
    for reply in [.status(utf8("OK")), pending, entry] {
        let (step, send) = transaction.take(reply)
        #expect(step == .more)
        #expect(send.isEmpty)
    }
    return transaction.take(int(0)).send
}

/// One whose script is not allowed, about to look at its letter.
private func withoutScript(_ letter: DeadLetter = letter()) -> DeadLetterTransaction {
    var transaction = transaction(letter)
    #expect(names(transaction.next()) == ["EVAL"])
    #expect(transaction.take(.error(utf8("NOPERM no scripts"))).0 == .more)
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XRANGE", "XLEN"])
    #expect(transaction.next().isEmpty)
    return transaction
}

/// The same, with MULTI, XADD, XACK and EXEC under way, of which the last is to be answered.
private func executing(_ letter: DeadLetter = letter()) -> DeadLetterTransaction {
    var transaction = withoutScript(letter)
    let sent = look(&transaction, pendingLine(), entry("a", "1"))
    #expect(names(sent) == ["MULTI", "XADD", "XACK", "EXEC"])
    for text in ["OK", "QUEUED", "QUEUED"] {
        #expect(transaction.take(.status(utf8(text))).0 == .more)
    }
    return transaction
}

@Test func thereIsNothingToPutAway() {
    var transaction = transaction()
    #expect(transaction.rows.isEmpty)
    #expect(transaction.next().isEmpty)
    guard case .malformed = transaction.take(int(1)).0 else {
        Issue.record("an answer to nothing")
        return
    }
}

@Test(
    arguments: [(1, .kept), (0, .moved), (-1, .deleted)]
        as [(Int64, DeadLetterTransaction.Outcome)])
func whatAScriptSays(_ number: Int64, _ outcome: DeadLetterTransaction.Outcome) {
    var transaction = transaction(letter(undelivered: 2))
    let sent = words(transaction.next())
    #expect(sent == [["EVAL", "2", "s", "dead", "g", "5-1", "c", "3", "2"]])
    #expect(transaction.rows == [letter().row])
    #expect(transaction.take(int(number)).0 == .ended(letter(undelivered: 2), outcome))
    #expect(transaction.rows.isEmpty)
    #expect(transaction.next().isEmpty)
}

/// The server copies no field of it, and it is not asked for either.
@Test func anEntryThatIsTooLargeIsKeptWithoutItsFields() {
    let refusal = DeadLetter.Refusal(field: nil, reason: utf8("more than 9 bytes"))
    let letter = letter(deliveries: nil, refusal: refusal)
    var transaction = transaction(letter)
    #expect(
        words(transaction.next()) == [
            [
                "EVAL", "2", "s", "dead", "g", "5-1", "c", "", "0", "", "more than 9 bytes",
                "without fields",
            ]
        ])
    #expect(transaction.take(.error(utf8("NOPERM no scripts"))).0 == .more)
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XLEN", "XLEN"])
    let sent = look(&transaction, pendingLine(), int(1))
    #expect(names(sent) == ["MULTI", "XADD", "XACK", "EXEC"])
    #expect(
        words(sent)[1] == [
            "XADD", "dead", "*", "dead_id", "5-1", "dead_stream", "s", "dead_group", "g",
            "dead_consumer", "c", "dead_deliveries", "3", "dead_reason", "more than 9 bytes",
        ])
}

@Test func aRefusedValueIsSaid() {
    let refusal = DeadLetter.Refusal(field: utf8("n"), reason: utf8("no number"))
    var transaction = transaction(letter(deliveries: nil, refusal: refusal))
    #expect(
        words(transaction.next()) == [
            ["EVAL", "2", "s", "dead", "g", "5-1", "c", "", "0", "n", "no number"]
        ])
}

@Test func scriptsAreUnderWayTogether() {
    let most = DeadLetterTransaction.scriptsUnderWay
    var transaction = transaction()
    for number in 0..<(most + 2) { transaction.add(letter(UInt64(number))) }
    #expect(transaction.next().count == most)
    for number in 0..<most {
        #expect(transaction.next().isEmpty)
        #expect(transaction.take(int(1)).0 == .ended(letter(UInt64(number)), .kept))
    }
    #expect(transaction.next().count == 2)
}

@Test func aScriptThatFailsForOneEntry() {
    var transaction = transaction(letter(1), letter(5), letter(9))
    #expect(transaction.next().count == 3)
    #expect(transaction.take(int(1)).0 == .ended(letter(1), .kept))
    #expect(transaction.take(.error(utf8("ERR too many results to unpack"))).0 == .more)
    #expect(transaction.next().isEmpty)
    #expect(transaction.take(int(1)).0 == .ended(letter(9), .kept))
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XRANGE", "XLEN"])
    #expect(names(look(&transaction, pendingLine(), entry("a", "1"))).count == 4)
    for _ in 0..<3 { _ = transaction.take(.status(utf8("QUEUED"))) }
    #expect(
        transaction.take(.array([bulk("7-7"), int(1)])).0 == .ended(letter(5), .kept))
    // The next one is a script again.
    transaction.add(letter(10))
    #expect(names(transaction.next()) == ["EVAL"])
}

@Test func scriptsThatAreNotAllowedAreNotTriedAgain() {
    var transaction = executing()
    #expect(transaction.take(.array([bulk("7-7"), int(1)])).0 == .ended(letter(), .kept))
    transaction.add(letter(6))
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XRANGE", "XLEN"])
    // But perhaps on the next connection.
    transaction.connectionLost()
    #expect(transaction.rows.isEmpty)
    transaction.add(letter(6))
    #expect(names(transaction.next()) == ["EVAL"])
}

@Test(
    arguments: [("d", 3, "5-1"), ("c", 4, "5-1"), ("c", 2, "5-1"), ("c", 3, "5-2")]
        as [(String, Int64, String)])
func anEntryThatIsPendingOtherwise(_ consumer: String, _ deliveries: Int64, _ id: String) {
    var transaction = withoutScript()
    let line = pendingLine(consumer, deliveries, id: id)
    #expect(names(look(&transaction, line, entry("a", "1"))) == ["UNWATCH"])
    #expect(transaction.take(.status(utf8("OK"))).0 == .ended(letter(), .moved))
    #expect(transaction.rows.isEmpty)
}

@Test func anEntryThatIsNoLongerPending() {
    var transaction = withoutScript()
    #expect(names(look(&transaction, .array([]), entry("a", "1"))) == ["UNWATCH"])
    #expect(transaction.take(.status(utf8("OK"))).0 == .ended(letter(), .moved))
}

@Test func anEntryThatWasDeleted() {
    var transaction = withoutScript()
    let sent = look(&transaction, pendingLine(), .array([]))
    #expect(words(sent) == [["UNWATCH"], ["XACK", "s", "g", "5-1"]])
    #expect(transaction.take(.status(utf8("OK"))).0 == .more)
    #expect(transaction.take(int(1)).0 == .ended(letter(), .deleted))
}

@Test func whatIsKept() {
    let refusal = DeadLetter.Refusal(field: utf8("n"), reason: utf8("no number"))
    var transaction = withoutScript(letter(deliveries: nil, undelivered: 1, refusal: refusal))
    let fields = entry("a", "1", "dead_id", "x", "dead_id_field", "y", "dead_reason", "z")
    let sent = words(look(&transaction, pendingLine("c", 9), fields))
    #expect(
        sent[1] == [
            "XADD", "dead", "*", "a", "1", "dead_id_field2", "x", "dead_id_field", "y",
            "dead_reason_field", "z", "dead_id", "5-1", "dead_stream", "s", "dead_group", "g",
            "dead_consumer", "c", "dead_deliveries", "8", "dead_field", "n", "dead_reason",
            "no number",
        ])
}

@Test func somebodyElseHasWrittenToTheDeadLetters() {
    var transaction = executing()
    #expect(transaction.take(.null).0 == .more)
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XRANGE", "XLEN"])
    #expect(names(look(&transaction, .array([]), .array([]))) == ["UNWATCH"])
    #expect(transaction.take(.status(utf8("OK"))).0 == .ended(letter(), .moved))
}

@Test func anEntryThatIsAcknowledgedMeanwhile() {
    var transaction = executing()
    let (step, sent) = transaction.take(.array([bulk("7-7"), int(0)]))
    #expect(step == .more)
    #expect(words(sent) == [["XDEL", "dead", "7-7"]])
    #expect(transaction.take(int(1)).0 == .ended(letter(), .moved))
}

@Test func aLetterThatMayNotBeTakenOutAgain() {
    var transaction = executing()
    _ = transaction.take(.array([bulk("7-7"), int(0)]))
    #expect(transaction.take(.error(utf8("NOPERM"))).0 == .ended(letter(), .moved))
}

@Test(arguments: 0..<4)
func anErrorOfTheLook(_ place: Int) {
    var transaction = withoutScript()
    for _ in 0..<place { _ = transaction.take(.array([])) }
    #expect(transaction.take(.error(utf8("WRONGTYPE"))).0 == .failed(utf8("WRONGTYPE")))
}

@Test func anErrorOfTheTransaction() {
    var transaction = withoutScript()
    _ = look(&transaction, pendingLine(), entry("a", "1"))
    #expect(transaction.take(.status(utf8("OK"))).0 == .more)
    #expect(transaction.take(.error(utf8("OOM"))).0 == .more)
    #expect(transaction.take(.status(utf8("QUEUED"))).0 == .more)
    // The first error says what was wrong.
    #expect(transaction.take(.error(utf8("EXECABORT"))).0 == .failed(utf8("OOM")))
    transaction = executing()
    #expect(
        transaction.take(.array([.error(utf8("ERR id")), int(1)])).0
            == .failed(utf8("ERR id")))
}

@Test(arguments: [Reply.status([0x4F]), .array([]), .array([.null, .null]), int(1)])
func aStrangeAnswerToExec(_ reply: Reply) {
    var transaction = executing()
    guard case .malformed = transaction.take(reply).0 else {
        Issue.record("\(reply)")
        return
    }
}

@Test(arguments: ["ERR unknown command 'EVAL'", "NOSCRIPT", "NOPERM", "ERR whatever"])
func aFirstScriptThatFailsIsTheLast(_ text: String) {
    var transaction = transaction(letter(1))
    #expect(names(transaction.next()) == ["EVAL"])
    #expect(transaction.take(.error(utf8(text))).0 == .more)
    transaction.add(letter(2))
    #expect(names(transaction.next()) == ["WATCH", "XPENDING", "XRANGE", "XLEN"])
}

/// One that has got so many answers of moving a letter without a script.
private func afterAnswers(_ count: Int) -> DeadLetterTransaction {
    var transaction = transaction(letter())
    _ = transaction.next()
    let answers: [Reply] = [
        .error(utf8("NOPERM no scripts")), .status(utf8("OK")), pendingLine(), entry("a", "1"),
        int(0), .status(utf8("OK")), .status(utf8("QUEUED")), .status(utf8("QUEUED")),
        .array([bulk("7-7"), int(0)]),
    ]
    for reply in answers.prefix(count) {
        #expect(transaction.take(reply).0 == .more)
        _ = transaction.next()
    }
    return transaction
}

/// What was not moved is pending, and begins again on the next connection.
@Test(arguments: 0...9)
func aReplyLostAtEachPoint(_ answers: Int) {
    var transaction = afterAnswers(answers)
    #expect(transaction.rows == [letter().row])
    transaction.connectionLost()
    #expect(transaction.rows.isEmpty)
    #expect(transaction.next().isEmpty)
    transaction.add(letter())
    #expect(names(transaction.next()) == ["EVAL"])
    #expect(transaction.take(int(0)).0 == .ended(letter(), .moved))
}

@Test(arguments: 0...9)
func noGroupAtEachPoint(_ answers: Int) {
    var transaction = afterAnswers(answers)
    let text = utf8("NOGROUP No such key 's' or consumer group 'g'")
    let step = transaction.take(.error(text)).0
    switch answers {
    // A script's error may be that of one entry: the transaction finds out.
    case 0: #expect(step == .more)
    // It is said by EXEC again.
    case 5, 6, 7:
        #expect(step == .more)
        for _ in answers..<7 { _ = transaction.take(.status(utf8("QUEUED"))) }
        #expect(transaction.take(.error(utf8("EXECABORT"))).0 == .failed(text))
    // The letter may not be taken out again, and was the last step.
    case 9: #expect(step == .ended(letter(), .moved))
    default: #expect(step == .failed(text))
    }
}

@Test func anAcknowledgementThatRacesWithAScript() {
    var transaction = transaction(letter())
    _ = transaction.next()
    #expect(transaction.take(int(0)).0 == .ended(letter(), .moved))
    #expect(transaction.rows.isEmpty)
}
