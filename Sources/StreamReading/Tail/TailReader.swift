// SPDX-License-Identifier: Apache-2.0
// Reads a stream's entries after an id and then waits for new ones (XREAD): without a group, the
// reader itself remembers where it is.
// https://redis.io/docs/latest/commands/xread/

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A read that follows one or more streams, or waits for the first new entries and ends.
final class TailReader: StreamReader {
    /// The server is asked to wait this long at the most: a connection that died unnoticed is found
    /// out.
    static let sliceMs: Int64 = 1_000
    /// How often an idle stream is looked at, to see whether it was deleted and begun anew.
    static let resetCheckMs: Int64 = 5_000
    static let pageRows = 10_000
    /// An answer is asked for ahead if the one before was no larger: a reader that is slow leaves
    /// about that waiting in the server.
    private static let aheadBytesMax = 256 * 1024
    /// Entries, batches, and about how many bytes, of a backlog that are asked for together where
    /// batches are smaller: while the server collects them, its other clients wait. The next
    /// entries may be far larger than the last ones: then the number of batches is what bounds
    /// them.
    private static let backlogRows = 800
    private static let backlogBytes = 128 * 1024
    private static let backlogBatches = 8

    /// The last entry that was read of each stream.
    private var cursors: [EntryID] = []
    private var remaining: Int
    private var hasRows = false
    /// How far each stream is known to have come; nil before that is known.
    private var seen: [EntryID?] = []
    /// Where the batch that is being read begins, and where the last one did, with its rows.
    private var batchFrom: [EntryID] = []
    private var handedOver: (from: [EntryID], rows: Int)?

    private enum Awaited {
        case entries(isAhead: Bool)
        case lastGenerated(stream: Int)
    }
    private var awaited: [Awaited] = []
    private var nextResetCheck: Int64 = 0
    /// When a read that does not follow gives up; nil for never.
    private var blockUntil: Int64?
    private var hasBlocked = false
    /// Whether the last answer had as many entries of a stream as were asked for: there may be
    /// more.
    private var hasBacklog = false
    /// How many entries had been parsed before the answer.
    private var entriesBefore = 0
    /// How many entries the answer that is awaited may have.
    private var entriesAwaited = 0
    /// What an entry takes, as far as the last answer tells.
    private var entryBytes = 128
    /// Among how many streams a batch is shared: those of which the last answer had all that was
    /// asked for, or if there is none, those of which it had something. Entries that trickle into
    /// others take nothing from one that has a backlog.
    private var streamsSharing: Int

    /// Whether it begins at the stream's last entry.
    private let isNew: Bool

    static func make(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> TailReader {
        let upper = try RangeBound.upper(options.endID, name: "end_id")
        let start = options.startID == "$" ? nil : try position(options.startID)
        let parts = try ReaderParts(
            topology: topology, streams: streams, schema: schema, options: options)
        return TailReader(parts, start: start, upper: upper)
    }

    private init(_ parts: ReaderParts, start: EntryID?, upper: EntryID?) {
        isNew = start == nil
        remaining = parts.options.count ?? .max
        streamsSharing = max(1, parts.streams.count)
        super.init(parts)
        if options.endID != "+" {
            parser.pointee.upperBound = upper ?? .smallest
            if upper == nil { isDone = true }
        }
        parser.pointee.keepsRowIDs = true
        if remaining == 0 { isDone = true }
        cursors = Array(repeating: start ?? .smallest, count: streams.count)
        seen = Array(repeating: nil, count: streams.count)
    }

    /// Connects, and finds out where "$" is.
    override func begin() throws(RedcolError) {
        if isNew {
            seen = try askLastIDs()
            cursors = seen.map { $0 ?? .smallest }
        } else {
            try askNow([])
        }
        batchFrom = cursors
        nextResetCheck = platform_monotonic_ms() + TailReader.resetCheckMs
    }

    /// "After this id": an id, or "-" for the beginning. A "(" before it changes nothing.
    private static func position(_ text: String) throws(RedcolError) -> EntryID {
        if text == "-" { return .smallest }
        if text == "+" {
            throw RedcolError(
                .invalidArgument,
                "start_id is \"+\", after which no entry can come: give \"$\" to begin after the "
                    + "stream's last entry")
        }
        let digits = text.utf8.first == 0x28 ? String(text.dropFirst()) : text
        return try RangeBound.lower(digits, name: "start_id") ?? .largest
    }

    override var awaitsReply: Bool { !awaited.isEmpty }
    override var givesEmptyBatch: Bool { !options.follows }

    override var entriesLost: Int? {
        guard case .entries = awaited.first, parser.pointee.entriesParsed == entriesBefore else {
            return nil
        }
        return entriesAwaited
    }

    override func connectionLost() {
        awaited = []
        hasBacklog = false
        noteRows()
        // The server may come back without what it had.
        nextResetCheck = 0
    }

    override func willHandOver(rows: Int) {
        noteRows()
        handedOver = (batchFrom, rows)
        batchFrom = cursors
    }

    override func nextIsAsked() { handedOver = nil }

    override func takeBack() -> Bool {
        guard let (from, rows) = handedOver else { return false }
        handedOver = nil
        goBack(to: from, rows: rows)
        statistics.add(.delivered, -rows)
        return true
    }

    override func couldNotHandOver(rows: Int) {
        goBack(to: batchFrom, rows: rows)
        heldError = nil  // its entry lies behind them
    }

    /// To where a batch of so many rows began.
    private func goBack(to from: [EntryID], rows: Int) {
        noteRows()
        cursors = from
        batchFrom = from
        if options.count != nil { remaining += rows }
        parser.pointee.forgetStreamsPassed()
    }

    /// Moves the cursors after the entries that were read. Those passed over lie after the end.
    private func noteRows() {
        let rows = parser.pointee.takeRows()
        for row in rows {
            let stream = Int(row.stream)
            cursors[stream] = row.id
            seen[stream] = max(seen[stream] ?? row.id, row.id)
        }
        for row in parser.pointee.leftOut.takeRows() {
            let stream = Int(row.stream)
            cursors[stream] = max(cursors[stream], row.id)
            seen[stream] = max(seen[stream] ?? row.id, row.id)
        }
        if let upper = parser.pointee.upperBound {
            for stream in parser.pointee.streamsPassed { cursors[stream] = upper }
        }
        remaining -= min(rows.count, remaining)
        if !rows.isEmpty { hasRows = true }
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            guard let reply = awaited.first else {
                noteRows()
                if remaining == 0 || hasReachedEnd {
                    isDone = true
                    return true
                }
                if options.follows, parser.pointee.batch.rowCount > 0 {
                    try askAhead()
                    return true
                }
                if idleness.isOver {
                    isDone = true
                    return true
                }
                if idleness.isEmpty { return true }
                try ask()
                continue
            }
            switch reply {
            case .lastGenerated(let stream):
                // XINFO STREAM shows the first and the last entry, too.
                guard
                    let reply = try connection.nextReply(bytesMax: 2 * ProtocolLimits.entryBytes)
                else { return false }
                awaited.removeFirst()
                takeLastGenerated(reply, stream)
            case .entries(let isAhead):
                if remaining == 0 {
                    isDone = true
                    return true
                }
                switch parse(rowsMax: rowsMax) {
                case .needsMore: guard try connection.receive() else { return false }
                case .batchFull: return true
                case .replyEnd:
                    awaited.removeFirst()
                    noteAnswer(isAhead: isAhead)
                    connection.expectNothing()
                    if try isOver() { return true }
                case .serverError:
                    guard let error = try serverError("XREAD") else { return false }
                    awaited.removeFirst()
                    throw error
                case .refused(let error):
                    guard options.follows else { throw error }
                    heldError = error
                    passRefused()
                    return true
                case .failed(let error):
                    guard options.follows, error.cause == .tooLarge else { throw error }
                    heldError = error
                    passTooLarge()
                    return true
                }
            }
        }
    }

    /// An answer has come to its end.
    private func noteAnswer(isAhead: Bool) {
        let entries = parser.pointee.entriesParsed - entriesBefore
        // What was asked before the caller was back says nothing of now.
        if entries == 0, !isAhead { statistics.addEmptyAnswer() }
        noteProgress()
        answerSize.came(entries: entries)
        if entries > 0 { entryBytes = max(1, answerBytes / entries) }
        let frame = parser.pointee.replyFrame
        hasBacklog = frame.map { $0.fullStreamCount > 0 } ?? false
        idleness.answered(
            platform_monotonic_ms(), entries: entries, isFull: hasBacklog, isAhead: isAhead)
        guard let frame, frame.streamCount > 0 else { return }
        streamsSharing = hasBacklog ? frame.fullStreamCount : frame.streamCount
    }

    /// After an entry that was refused, reading goes on behind it.
    private func passRefused() {
        noteRows()
        if let last = parser.pointee.lastID, let frame = parser.pointee.replyFrame {
            cursors[frame.stream] = max(cursors[frame.stream], last)
        }
        // The caller is told of it now, and no second time.
        if parser.pointee.batch.rowCount == 0 { batchFrom = cursors }
    }

    /// After an entry that is too large, reading goes on behind it, on a new connection: the rest
    /// of it is still to come on this one, and there may be much of it.
    private func passTooLarge() {
        noteRows()
        guard let id = parser.pointee.tooLargeID, let frame = parser.pointee.replyFrame else {
            return
        }
        cursors[frame.stream] = max(cursors[frame.stream], id)
        if parser.pointee.batch.rowCount == 0 { batchFrom = cursors }
    }

    /// How many rows the batch may have: no more than a batch, and no more than are wanted in all.
    private var rowsMax: Int {
        let noted = parser.pointee.batch.rowCount - parser.pointee.rows.count
        let (wanted, overflow) = noted.addingReportingOverflow(remaining)
        return min(options.batchRows, overflow ? .max : wanted)
    }

    private var hasReachedEnd: Bool {
        guard let upper = parser.pointee.upperBound else { return false }
        return !cursors.contains { $0 < upper }
    }

    /// Whether a read that does not follow has what it came for.
    private func isOver() throws(RedcolError) -> Bool {
        guard !options.follows else { return false }
        let came = !parser.pointee.rows.isEmpty || !parser.pointee.leftOut.rows.isEmpty
        noteRows()
        if came { return false }  // there may be more
        let isLate = blockUntil.map { platform_monotonic_ms() >= $0 } ?? false
        if hasRows || hasBlocked && isLate { isDone = true }
        return isDone
    }

    /// A read that does not follow takes what is there, and waits only if that is nothing.
    private func blockMs(_ now: Int64) -> Int64? {
        if options.follows { return idleness.waitMs(now, most: TailReader.sliceMs) }
        if hasRows { return nil }
        if blockUntil == nil, let block = options.blockMs, block > 0 { blockUntil = now + block }
        hasBlocked = true
        guard let until = blockUntil else { return TailReader.sliceMs }
        return max(1, min(TailReader.sliceMs, until - now))
    }

    /// The stream was deleted and begun again if it has not come as far as this reader has seen it:
    /// then its entries are all new. Deleting and trimming entries does not change how far it came.
    /// A key that is missing, or of which one may not ask, tells nothing.
    private func takeLastGenerated(_ reply: Reply, _ stream: Int) {
        guard let last = reply.lastGeneratedID, let before = seen[stream], last < before else {
            return
        }
        cursors[stream] = .smallest
        batchFrom[stream] = .smallest
        seen[stream] = last
        statistics.add(.resets, 1)
        let shown = escaped(streams[stream], limit: 200)
        Log.write(.warning, .reset, about: shown) {
            "stream \"\(shown)\" had come to \(before.text) and is now at \(last.text): it was "
                + "deleted and begun again, and is read from its beginning"
        }
    }

    private func ask() throws(RedcolError) {
        let now = platform_monotonic_ms()
        if options.follows, now >= nextResetCheck {
            nextResetCheck = now + TailReader.resetCheckMs
            for stream in streams.indices where seen[stream] != nil {
                var command = Command("XINFO", "STREAM")
                command.add(streams[stream])
                connection.enqueue(command)
                awaited.append(.lastGenerated(stream: stream))
            }
            // Not together with XREAD, whose answer could lie behind what is to be read again.
            if !awaited.isEmpty { return try connection.flush() }
        }
        try askForEntries(blockMs: blockMs(now), isAhead: false)
    }

    /// Asks for what comes after the batch that is about to be handed over, so that the server
    /// works on it while the caller works on that one. Only for entries that are there already.
    private func askAhead() throws(RedcolError) {
        guard hasBacklog, answerBytes <= TailReader.aheadBytesMax,
            platform_monotonic_ms() < nextResetCheck
        else { return }
        try askForEntries(blockMs: nil, isAhead: true)
    }

    private func askForEntries(blockMs block: Int64?, isAhead: Bool) throws(RedcolError) {
        let wanted = streams.indices.filter { stream in
            parser.pointee.upperBound.map { cursors[stream] < $0 } ?? true
        }
        entriesBefore = parser.pointee.entriesParsed
        let most = answerSize.entriesMax / max(1, wanted.count)
        let entriesAsked = max(1, min(page(of: wanted.count), remaining, most))
        let (inAll, overflow) = entriesAsked.multipliedReportingOverflow(by: wanted.count)
        entriesAwaited = overflow ? .max : inAll
        var command = Command("XREAD", "COUNT", String(entriesAsked))
        if let block {
            command.add("BLOCK")
            command.add(String(block))
        }
        command.add("STREAMS")
        for stream in wanted { command.add(streams[stream]) }
        for stream in wanted { command.add(cursors[stream]) }
        connection.enqueue(command)
        awaited.append(.entries(isAhead: isAhead))
        answerBytes = 0
        if !isAhead { idleness.sent(platform_monotonic_ms()) }
        parser.pointee.expect(.streams, entriesMax: entriesAsked, after: cursors)
        try connection.flush(extraMs: block ?? 0)
    }

    /// How many entries of each of so many streams are asked for, so that all that have some make
    /// up a batch; of a backlog several small batches, since every answer wakes the server and this
    /// reader up.
    private func page(of streamCount: Int) -> Int {
        guard options.follows else { return TailReader.pageRows }
        let batch = min(options.batchRows, 1_000_000)
        let share = batch / streamsSharing
        guard hasBacklog else { return max(1, share) }
        // By now, any of the streams may have that many.
        let most =
            min(
                TailReader.backlogRows, TailReader.backlogBytes / entryBytes,
                TailReader.backlogBatches * batch) / max(1, streamCount)
        return max(1, share, most < batch ? most : most / batch * batch)
    }
}
