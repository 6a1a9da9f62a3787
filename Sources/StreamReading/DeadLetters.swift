// Entries that were delivered too often: each is copied to the dead letters, with its id, group and
// count, and acknowledged, both or neither.

import RedisConnection

extension GroupReader {
    /// Puts away what was delivered too often. Gives all entries of the page, and whether they are
    /// free to be delivered: not those, and not what is in hand.
    func findDeadLetters(
        _ reply: Reply, _ stream: Int
    ) throws(RedisError) -> [(id: EntryID, isFree: Bool)] {
        if case .error(let text) = reply {
            try takeError(error(text, "XPENDING"))
            return []
        }
        guard case .array(let lines) = reply else {
            throw connection.violation("a strange XPENDING")
        }
        let inHand = everythingInHand()
        var page: [(id: EntryID, isFree: Bool)] = []
        var found: [PendingEntry] = []
        for line in lines {
            guard let pending = PendingEntry(line) else {
                throw connection.violation("a strange line of XPENDING")
            }
            let row = RowID(id: pending.id, stream: Int32(truncatingIfNeeded: stream))
            let isInHand = inHand.contains(row)
            let isDead = !isInHand && pending.deliveries >= options.deliveriesMax ?? .max
            if isDead { found.append(pending) }
            page.append((pending.id, !isInHand && !isDead))
        }
        guard !found.isEmpty else { return page }
        for (index, pending) in found.enumerated() {
            connection.enqueue(member.entry(stream, pending.id))
            awaited.append(
                .deadLetter(pending, stream: stream, isLast: index == found.count - 1))
        }
        try connection.flush()
        return page
    }

    func collectLetter(
        _ pending: PendingEntry, _ stream: Int, _ reply: Reply
    ) throws(RedisError) {
        if case .error(let text) = reply { throw error(text, "reading a dead letter") }
        guard let entry = reply.firstEntry else {
            // It was deleted: there is nothing to keep.
            statistics.add(.deleted, 1)
            held.queueDeleted([RowID(id: pending.id, stream: Int32(truncatingIfNeeded: stream))])
            return
        }
        letters.append((pending, entry.fields))
    }

    /// A transaction does not undo XACK when XADD fails because the key holds another type: that is
    /// looked at before, and WATCH sees to it that it stays so.
    func checkLetterStream(_ stream: Int) throws(RedisError) {
        guard !letters.isEmpty else { return }
        for (isLast, name) in [(false, "WATCH"), (true, "XLEN")] {
            var command = Command(name)
            command.add(options.deadLetter)
            connection.enqueue(command)
            awaited.append(.letterStream(stream: stream, isLast: isLast))
        }
        try connection.flush()
    }

    func putAway(_ stream: Int) throws(RedisError) {
        connection.enqueue(Command("MULTI"))
        for (pending, fields) in letters {
            let commands = member.putAway(
                pending, stream: stream, fields: fields, to: options.deadLetter)
            for command in commands { connection.enqueue(command) }
        }
        connection.enqueue(Command("EXEC"))
        awaited.append(.putAway(left: 2 + 2 * letters.count, stream: stream))
        try connection.flush()
    }

    /// The answer to EXEC: null if someone else has written to the dead letters meanwhile.
    func havePutAway(_ stream: Int, _ reply: Reply) throws(RedisError) {
        guard case .array(let answers) = reply else { return try checkLetterStream(stream) }
        for answer in answers {
            if case .error(let text) = answer { throw error(text, "keeping a dead letter") }
        }
        statistics.add(.deadLettered, letters.count)
        letters = []
    }
}
