// SPDX-License-Identifier: Apache-2.0
// Entries that were delivered too often or cannot be read: which they are, and the talk with the
// server that puts them away.

import RedcolBase
import RedisConnection

/// An entry of a page of XPENDING, and whether it may be delivered.
struct PendingLine {
    var id: EntryID
    var isFree: Bool
}

extension GroupReader {
    /// What is kept of a line of XPENDING.
    private static let bytesPerLine = 256

    /// Puts away what was delivered too often. Gives all entries of the page, and whether they are
    /// free to be delivered: not those, and not what is in hand.
    func findDeadLetters(
        _ reply: Reply, _ stream: Int, isOwn: Bool
    ) throws(RedcolError) -> (lines: [PendingLine], dead: Int) {
        if case .error(let text) = reply {
            try takeError(error(text, "XPENDING"))
            return ([], 0)
        }
        guard case .array(let lines) = reply else {
            throw connection.violation("a strange XPENDING")
        }
        try Memory.require(lines.count * GroupReader.bytesPerLine, for: "pending entries")
        let inHand = try everythingInHand()
        var page: [PendingLine] = []
        var dead = 0
        ledger.beginPage(isOwn: isOwn)
        for line in lines {
            guard let pending = PendingEntry(line) else {
                throw connection.violation("a strange line of XPENDING")
            }
            let row = RowID(id: pending.id, stream: Int32(truncatingIfNeeded: stream))
            let isInHand = inHand.contains(row)
            let isDead = countsAsDead(pending, row, isOwnPage: isOwn, isInHand: isInHand)
            if isDead { dead += 1 }
            page.append(PendingLine(id: pending.id, isFree: !isInHand && !isDead))
        }
        try sendLetters()
        return (page, dead)
    }

    private func countsAsDead(
        _ pending: PendingEntry, _ row: RowID, isOwnPage: Bool, isInHand: Bool
    ) -> Bool {
        guard let most = options.deliveriesMax else { return false }
        let (had, inVain) = ledger.counted(
            row, pending.deliveries, isOwnPage: isOwnPage,
            isOwn: pending.consumer == member.consumer, isInHand: isInHand)
        guard !isInHand, had >= most else { return false }
        letters.add(
            DeadLetter(
                row: row, consumer: pending.consumer, deliveries: pending.deliveries,
                inVain: inVain))
        return true
    }

    /// Puts away an entry that has just come and has a value that does not fit its column.
    func putAway(_ row: RowID) throws(RedcolError) {
        letters.add(
            DeadLetter(
                row: row, consumer: member.consumer, deliveries: nil,
                refusal: parser.pointee.lastRefusal))
        try sendLetters()
    }

    /// Sends what comes next of putting entries away, if no answer to that is awaited.
    func sendLetters() throws(RedcolError) { try send(letters.next()) }

    private func send(_ commands: [Command]) throws(RedcolError) {
        guard !commands.isEmpty else { return }
        for command in commands {
            connection.enqueue(command)
            awaited.append(.letter)
        }
        try connection.flush()
    }

    func takeLetter(_ reply: Reply) throws(RedcolError) {
        let (step, commands) = letters.take(reply)
        switch step {
        case .more: break
        case .ended(let letter, let outcome):
            refused[letter.row] = nil
            switch outcome {
            case .kept:
                ledger.forget(letter.row)
                statistics.add(.deadLettered, 1)
                logLetter(letter)
            case .deleted:
                ledger.forget(letter.row)
                statistics.add(.deleted, 1)
            case .moved: ledger.told(letter.row)  // it may still be pending here
            }
        case .failed(let text):
            let name = escaped(options.deadLetter, limit: 200)
            let failure = error(text, "moving an entry to the dead letters \"\(name)\"")
            // Entries of its own stream have just been read.
            if failure.cause == .wrongType { throw failure.adding("", .stream, name) }
            guard failure.cause == .noGroup else { throw failure }
            // What was to be put away is pending no longer, and what is under way says the same.
            throw RedcolError(.connection, failure.message)
        case .malformed(let what): throw connection.violation(what)
        }
        try send(commands)
        try sendLetters()
        if awaited.isEmpty { connection.expectNothing() }
    }

    private func logLetter(_ letter: DeadLetter) {
        let stream = escaped(streams[Int(letter.row.stream)], limit: 200)
        Log.write(.warning, .deadLetter, about: stream) {
            "entry \(letter.row.id.text) of stream \"\(stream)\", group "
                + "\"\(escaped(options.group, limit: 200))\" is a dead letter now, in "
                + "\"\(escaped(options.deadLetter, limit: 200))\""
        }
    }
}
