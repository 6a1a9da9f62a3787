// SPDX-License-Identifier: Apache-2.0
// Reads a stream's entries after an id and then waits for new ones (XREAD): without a group, the
// reader itself remembers where it is.
// https://redis.io/docs/latest/commands/xread/

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A read that follows one or more streams, or waits for the first new entries and ends: sends what
/// `TailPlan` says, and tells it what came.
final class TailReader: StreamReader {
    private var plan: TailPlan

    private enum Awaited {
        case entries(TailPlan.Entries)
        case lastGenerated(stream: Int)
        case entry(stream: Int)
    }
    private var awaited: [Awaited] = []
    /// The answer that one of several streams is none: which of them is being looked for.
    private var wrongType: RedcolError?
    /// The answer to XREVRANGE, as far as it has come.
    private var lastEntry = LastEntry()
    /// How many entries had been parsed before the answer.
    private var entriesBefore = 0

    /// Where it begins; nil: at each stream's last entry.
    private var start: EntryID?
    /// The last entry of each stream, once that is known.
    private var lastIDs: [EntryID?]?
    /// Of each stream, the first of its newest entries, as far as that is known.
    private var newest: [EntryID?] = []
    /// How many of the next stream's newest entries are still to be found: those before `from`.
    private var search: (left: Int, from: EntryID)?
    /// How many entries are asked for at once in that search.
    private static let searchPage = 1_000

    static func make(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions,
        statistics: Statistics? = nil
    ) throws(RedcolError) -> TailReader {
        let upper = try RangeBound.upper(options.endID, name: "end_id", now: 0)
        let start = options.startID == "$" ? nil : try position(options.startID, now: 0)
        let parts = try ReaderParts(
            topology: topology, streams: streams, schema: schema, options: options,
            statistics: statistics)
        return TailReader(parts, start: start, upper: upper)
    }

    private init(_ parts: ReaderParts, start: EntryID?, upper: EntryID?) {
        self.start = start
        plan = TailPlan(streams: parts.streams.count, options: parts.options)
        super.init(parts)
        connection.asksAboutEveryKey = streams.count > 1
        let endID = parts.options.endID
        if endID != "+", RangeBound.millisecondsBack(endID) == nil {
            end(with: Array(repeating: upper ?? .smallest, count: streams.count))
            if upper == nil { isDone = true }
        }
        if parts.options.startLast != nil {
            lastEntry = LastEntry(entriesMax: TailReader.searchPage)
        }
        parser.pointee.keepsRowIDs = true
        if plan.remaining == 0 { isDone = true }
    }

    /// No entries after these are read.
    private func end(with last: [EntryID], whenEmpty: Bool = false) {
        plan.ends(with: last, whenEmpty: whenEmpty)
        parser.pointee.upperBounds = plan.upper.map { $0 ?? .largest }
        parser.pointee.upperBound = parser.pointee.upperBounds.min()
    }

    /// Connects, and finds out whether the streams are there, what time it is, where "$" is, and
    /// where the newest entries begin.
    override func begin() throws(RedcolError) {
        try lookForStreams()
        if options.needsServerTime {
            let now = try askTime()
            if start != nil { start = try TailReader.position(options.startID, now: now) }
            if RangeBound.millisecondsBack(options.endID) != nil {
                let upper = try RangeBound.upper(options.endID, name: "end_id", now: now)
                end(with: Array(repeating: upper ?? .smallest, count: streams.count))
            }
        }
        if start == nil || options.endsNow {
            if lastIDs == nil { lastIDs = try askLastIDs(askMore: lookAtOnce) }
        } else if options.startLast == nil {
            try askNow([])
        }
        if let count = options.startLast { try askNewest(count) }
        let seen = lastIDs ?? Array(repeating: nil, count: streams.count)
        var after = seen.map { start ?? $0 ?? .smallest }
        for (stream, first) in newest.enumerated() { after[stream] = first?.previous ?? .smallest }
        if options.endsNow { end(with: seen.map { $0 ?? .smallest }, whenEmpty: true) }
        plan.begin(after: after, seen: seen, platform_monotonic_ms())
        plan.looksAtBeginnings()
    }

    /// How many entries there are up to the end of "until" "now" is known if it is asked together
    /// with that end.
    private func lookAtOnce() {
        guard options.follows, options.endsNow, options.startLast == nil, start == .smallest
        else { return }
        for stream in streams.indices { ask(TailPlan.Look(stream: stream)) }
    }

    /// Asks for the first of each stream's newest `count` entries, a page after the other.
    private func askNewest(_ count: Int) throws(RedcolError) {
        while newest.count < streams.count {
            let left = search?.left ?? count
            let page = min(left, TailReader.searchPage)
            let command = LastEntry.command(
                streams[newest.count], upTo: search?.from.previous, count: page)
            var first: EntryID?
            try askNow(
                [command],
                take: { (_: Int) throws(RedcolError) in
                    switch try lastEntry.take(from: connection) {
                    case .incomplete: return false
                    case .id(let id): first = id
                    case .error(let text):
                        let error = RedcolError.server(
                            text, endpoint: connection.endpoint,
                            asked: "XREVRANGE, for the newest entries")
                        throw error.naming(newest.count, of: streams)
                    }
                    return true
                })
            if let first, left > page {
                search = (left - page, first)
            } else {
                newest.append(first ?? search?.from)
                search = nil
            }
        }
    }

    /// "After this id": an id, or "-" for the beginning. A "(" before it changes nothing.
    private static func position(_ text: String, now: UInt64) throws(RedcolError) -> EntryID {
        if text == "-" { return .smallest }
        if text == "+" {
            throw RedcolError(
                .invalidArgument,
                "start_id is \"+\", after which no entry can come: give \"$\" to begin after the "
                    + "stream's last entry")
        }
        let digits = text.utf8.dropFirst(text.utf8.first == UInt8(ascii: "(") ? 1 : 0)
        let id = String(decoding: digits, as: UTF8.self)
        return try RangeBound.lower(id, name: "start_id", now: now) ?? .largest
    }

    // MARK: What the reader is asked

    override var awaitsReply: Bool { !awaited.isEmpty }
    override var givesEmptyBatch: Bool { !options.follows }
    override var remaining: Int {
        get { plan.remaining }
        set { plan.remaining = newValue }
    }

    override func shares(othersHaveRows: Bool) {
        plan.shares(othersHaveRows: othersHaveRows)
    }

    override var entriesLost: Int? {
        guard case .entries(let request) = awaited.first,
            parser.pointee.entriesParsed == entriesBefore
        else { return nil }
        return request.entriesMax
    }

    override func connectionLost() {
        awaited = []
        wrongType = nil
        lastEntry.connectionLost()
        noteRows()
        plan.connectionLost()
    }

    override func willHandOver(rows: Int) {
        noteRows()
        plan.handedOver(rows: rows)
    }

    override func nextIsAsked() { plan.nextIsAsked() }

    override func position(_ stream: Int) -> EntryID? {
        let id = plan.cursors[stream]
        return id == .smallest ? nil : id
    }

    override var lastHandedOver: EntryID? { plan.lastRow }

    override func takeBack() -> Bool {
        noteRows()
        guard let rows = plan.takeBack() else { return false }
        parser.pointee.forgetStreamsPassed()
        statistics.takeBack(rows: rows)
        return true
    }

    override func couldNotHandOver(rows: Int) {
        noteRows()
        plan.readAgain(rows: rows)
        parser.pointee.forgetStreamsPassed()
        heldError = nil  // its entry comes after them
    }

    /// Moves the cursors after the entries that were read.
    private func noteRows() {
        plan.note(
            parser.pointee.takeRows(), leftOut: parser.pointee.leftOut.takeRows(),
            passed: parser.pointee.streamsPassed)
        noteGaps()
    }

    private func noteGaps() {
        for (stream, gap) in plan.takeGaps() { note(gap, in: stream) }
    }

    // MARK: The exchange

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            if awaited.isEmpty { noteRows() }
            let moment = TailPlan.Moment(
                now: platform_monotonic_ms(), rows: parser.pointee.batch.rowCount,
                awaitsReply: awaitsReply, entriesMax: answerSize.entriesMax, idleness: idleness)
            switch plan.next(moment) {
            case .receive:
                guard let next = awaited.first else { return false }
                switch next {
                case .lastGenerated(let stream):
                    guard try takeLastGenerated(stream) else { return false }
                    if heldError != nil { return true }
                case .entry(let stream):
                    guard try takeEntry(stream) else { return false }
                case .entries(let request):
                    if try takeEntries(request) { return true }
                    guard awaited.isEmpty else {
                        guard try connection.receive() else { return false }
                        continue
                    }
                }
            case .handOver(let prefetch):
                if let prefetch { try ask(prefetch) }
                return true
            case .end:
                isDone = true
                return true
            case .ask(let request): try ask(request)
            case .askHowFar(let looks):
                for look in looks { ask(look) }
                try connection.flush()
            }
        }
    }

    private func ask(_ look: TailPlan.Look) {
        // First the entry: if it is deleted after that, XINFO's answer is not taken for its reason.
        if let id = look.entry {
            connection.enqueue(LastEntry.command(streams[look.stream], upTo: id))
            awaited.append(.entry(stream: look.stream))
        }
        var command = Command("XINFO", "STREAM")
        command.add(streams[look.stream])
        connection.enqueue(command)
        awaited.append(.lastGenerated(stream: look.stream))
    }

    private func ask(_ request: TailPlan.Entries) throws(RedcolError) {
        entriesBefore = parser.pointee.entriesParsed
        answerBytes = 0
        if !request.isPrefetch { idleness.sent(platform_monotonic_ms()) }
        var command = Command("XREAD", "COUNT", String(request.count))
        if let blockMs = request.blockMs {
            command.add("BLOCK")
            command.add(String(blockMs))
        }
        command.add("STREAMS")
        for stream in request.streams { command.add(streams[stream]) }
        for id in request.after { command.add(id) }
        connection.enqueue(command)
        awaited.append(.entries(request))
        parser.pointee.expect(.streams, entriesMax: request.count, after: plan.cursors)
        try connection.flush(extraMs: request.blockMs ?? 0)
    }

    /// Takes how far a stream has come; false when the answer has not come in full. A key that is
    /// missing, or of which one may not ask, tells nothing.
    private func takeLastGenerated(_ stream: Int) throws(RedcolError) -> Bool {
        // XINFO STREAM shows the first and the last entry, too.
        guard let reply = try connection.nextReply(bytesMax: 2 * ProtocolLimits.entryBytes) else {
            return false
        }
        awaited.removeFirst()
        if case .error(let text) = reply { try noteRefusal(text, stream) }
        let last = reply.entryID(named: "last-generated-id")
        let deleted = reply.entryID(named: "max-deleted-entry-id")
        if let before = plan.foundLast(last, deleted: deleted, stream) {
            statistics.add(.resets, 1)
            let isBefore = last.map { $0 < before } ?? false
            let message =
                (isBefore
                    ? "had come to \(before.text) and is now at \(last?.text ?? "?")"
                    : "has earlier entries, but not \(before.text), which was read")
                + ": it was deleted and begun again, and is read from its beginning"
            noteReset(message, in: stream, from: before, to: last)
            if options.onIdle == .stop { idleness.takeBack() }  // there is more to read
        }
        plan.looked(StreamExtent(reply), stream)
        noteGaps()
        if awaited.isEmpty, let wrongType { throw wrongType }
        return true
    }

    /// A key that is missing, or of which one may not ask, is no error.
    private func noteRefusal(_ text: [UInt8], _ stream: Int) throws(RedcolError) {
        let error = RedcolError.server(text, endpoint: connection.endpoint, asked: "XINFO STREAM")
        guard error.cause == .wrongType || error.remedy != .raise else { return }
        throw error.naming(stream, of: streams)
    }

    /// Takes the last entry up to the one that was read last; false when the answer has not come in
    /// full. A user who may not ask for it does without.
    private func takeEntry(_ stream: Int) throws(RedcolError) -> Bool {
        switch try lastEntry.take(from: connection) {
        case .incomplete: return false
        case .id(let id): plan.foundEntry(id, stream)
        case .error: break
        }
        awaited.removeFirst()
        return true
    }

    /// Takes what has come of an answer; true when a batch is ready.
    private func takeEntries(_ request: TailPlan.Entries) throws(RedcolError) -> Bool {
        let noted = parser.pointee.batch.rowCount - parser.pointee.rows.count
        switch parse(rowsMax: plan.rowsMax(noted: noted)) {
        case .needsMore: return false
        case .batchFull: return true
        case .replyEnd:
            awaited.removeFirst()
            noteAnswer(request)
            connection.expectNothing()
            return false
        case .serverError:
            guard let error = try serverError("XREAD") else { return false }
            awaited.removeFirst()
            guard error.cause == .wrongType, streams.count > 1 else { throw error }
            // The answer does not say which of them.
            parser.pointee.abandonReply()
            wrongType = error
            for stream in request.streams { ask(TailPlan.Look(stream: stream)) }
            try connection.flush()
            return false
        case .refused(let error):
            guard options.follows else { throw error }
            heldError = error
            pass(parser.pointee.lastID)
            return true
        case .failed(let error):
            // Reading continues after the entry on a new connection: the rest of it is still to
            // come on this one, and there may be much of it.
            guard options.follows, error.cause == .tooLarge else { throw error }
            heldError = error
            pass(parser.pointee.tooLargeID)
            return true
        }
    }

    /// An answer has ended.
    private func noteAnswer(_ request: TailPlan.Entries) {
        let entries = parser.pointee.entriesParsed - entriesBefore
        let now = platform_monotonic_ms()
        // What was asked before the caller was back says nothing of now.
        if entries == 0, !request.isPrefetch { statistics.addEmptyAnswer() }
        noteProgress()
        answerSize.came(entries: entries)
        let frame = parser.pointee.replyFrame
        plan.ended(
            TailPlan.Answer(
                entries: entries, bytes: answerBytes, streams: frame?.streamCount ?? 0,
                fullStreams: frame?.fullStreamCount ?? 0,
                hadRows: !parser.pointee.rows.isEmpty || !parser.pointee.leftOut.rows.isEmpty),
            now)
        idleness.answered(
            now, entries: entries, isFull: plan.hasBacklog, isPrefetch: request.isPrefetch)
    }

    /// After an entry that becomes no row.
    private func pass(_ id: EntryID?) {
        noteRows()
        guard let id, let frame = parser.pointee.replyFrame else { return }
        plan.pass(id, frame.stream, isFirst: parser.pointee.batch.rowCount == 0)
    }
}
