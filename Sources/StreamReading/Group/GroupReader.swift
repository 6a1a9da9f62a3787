// SPDX-License-Identifier: Apache-2.0
// Reads as a member of a consumer group. What was delivered to it is either acknowledged after the
// caller has had it, or comes back.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A group read in progress: does what `GroupPlan` says, one request at a time, with the
/// acknowledgement of the batch before in the same write.
final class GroupReader: StreamReader {
    /// Ids in one XACK: any number costs the server the same per id.
    private static let idsPerCommand = 16_384
    /// Bytes of an answer for which an entry of the batch before is acknowledged.
    private static let bytesPerID = 128
    static let pageRows = 10_000
    private static let pendingPage = 1_000
    /// How long an entry that was refused is left alone before it is tried again.
    private static let refusedRestMs: Int64 = 30_000

    let member: GroupMember
    let held: InHand
    override var inHand: InHand? { held }
    var plan: GroupPlan
    private var remaining: Int

    enum Awaited {
        case acknowledged(Int)
        case answer(GroupPlan.Request, asked: Int)
        /// Where the stream begins.
        case firstID(stream: Int)
        /// The next answer that `letters` wants.
        case letter
    }
    /// The entries that are being put away.
    var letters: DeadLetterTransaction
    var ledger = DeliveryLedger()
    /// How many of this consumer's pending entries can be asked for, those of the last page.
    var ownMost = Int.max
    var awaited: [Awaited] = []
    private var pauseUntil: Int64?

    /// Where a group that is lost is made again: up to here this reader knows that all was handled.
    var handled: [EntryID]
    /// Whether that is an entry, and not only where the group was made.
    var hasHandled: [Bool]
    var firstIDs: [Int: EntryID] = [:]
    private var handledBefore: [EntryID] = []
    /// Entries that were refused and are still pending, and when they are tried again.
    var refused: [RowID: Int64] = [:]
    private var hasRows = false
    /// The rows of the last batch, until the next is asked for.
    private var lastRows: [RowID] = []
    /// What was left out among them.
    private var lastLeftOut: [RowID] = []
    var inHandAtLook: Set<RowID> = []
    private var cameEmpty = false
    /// Whether all that could be claimed had been when new entries were asked for.
    private var hadClaimed = false
    /// Whether the last answer had as many new entries as were asked for: there may be more.
    private var hasBacklog = false
    private var blockUntil: Int64?
    /// No more entries are asked for: what is left is to hand over the rows, and to acknowledge.
    private var isEnding = false
    /// The last acknowledgements could not be made.
    private var hasGivenUp = false

    /// Where groups are made; nil: at each stream's last entry, whose id is then asked for.
    private let groupStart: EntryID?
    /// Where each stream's group is made, once that is known.
    private var positions: [EntryID]?

    static func make(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> GroupReader {
        let isNew = options.groupStartID == "$"
        let start =
            isNew ? nil : try RangeBound.lower(options.groupStartID, name: "group_start_id")
        let parts = try ReaderParts(
            topology: topology, streams: streams, schema: schema, options: options)
        return GroupReader(parts, try InHand.make(), start)
    }

    private init(_ parts: ReaderParts, _ held: InHand, _ start: EntryID?) {
        groupStart = start
        let (streams, options) = (parts.streams, parts.options)
        member = GroupMember(streams: streams, group: options.group, consumer: options.consumer)
        self.held = held
        letters = DeadLetterTransaction(member, to: options.deadLetter)
        plan = GroupPlan(
            streams: streams.count, creates: options.createGroup,
            countsDeliveries: options.deliveriesMax != nil, claimIdleMs: options.claimIdleMs,
            waits: options.waits)
        remaining = options.count ?? .max
        handled = Array(repeating: .smallest, count: streams.count)
        hasHandled = Array(repeating: false, count: streams.count)
        super.init(parts)
        parser.pointee.keepsRowIDs = true
        if remaining == 0 { isDone = true }
    }

    // MARK: Making the group

    /// Connects, and makes the groups.
    override func begin() throws(RedcolError) {
        guard options.createGroup else {
            _ = try askNow([])
            connected()
            return
        }
        let positions = try startPositions()
        self.positions = positions
        let commands = streams.indices.map { member.create($0, at: positions[$0]) }
        let replies = try askNow(commands) { () throws(RedcolError) in
            // A far server is not waited for twice: what the member has pending needs no answer to
            // these.
            connected()
            if !isDone { _ = try ask(platform_monotonic_ms()) }
        }
        for (stream, reply) in replies.enumerated() {
            try takeCreated(reply, stream, at: positions[stream])
        }
    }

    private func startPositions() throws(RedcolError) -> [EntryID] {
        if let positions { return positions }
        if let groupStart { return Array(repeating: groupStart, count: streams.count) }
        var positions = Array(repeating: EntryID.smallest, count: streams.count)
        // Not "$" itself: the id is needed should the group have to be made again.
        for (stream, reply) in try askNow(streams.indices.map(member.lastID)).enumerated() {
            if case .error(let text) = reply {
                throw failed(error(text, "asking for the stream's last id"))
            }
            positions[stream] = reply.firstEntry?.id ?? .smallest
        }
        return positions
    }

    private func takeCreated(_ reply: Reply, _ stream: Int, at id: EntryID) throws(RedcolError) {
        guard case .error(let text) = reply else {
            handled[stream] = id
            return
        }
        // It is there already; or this user may not make groups, and then it must be.
        if text.starts(with: Array("BUSYGROUP".utf8)) || text.starts(with: Array("NOPERM".utf8)) {
            return
        }
        throw failed(error(text, "creating the group \"\(escaped(options.group, limit: 200))\""))
    }

    func error(_ text: [UInt8], _ asked: String) -> RedcolError {
        .server(text, endpoint: connection.endpoint, asked: asked)
    }

    // MARK: The read

    override var awaitsReply: Bool { !awaited.isEmpty }
    override var givesEmptyBatch: Bool { !options.follows }
    override var wakeAt: Int64? { pauseUntil }

    override func connected() {
        plan.connected(platform_monotonic_ms())
        pauseUntil = nil
    }

    override var entriesLost: Int? {
        guard parser.pointee.entriesParsed == 0 else { return nil }
        for case .answer(let request, let asked) in awaited {
            switch request {
            case .own, .claim: return asked
            case .new(let streams, _): return asked &* streams.count  // at most 10^6 times 10^5
            default: continue
            }
        }
        return nil
    }

    override func connectionLost() {
        awaited = []
        hasBacklog = false
        // They come again; a group that is made anew begins no later.
        for row in letters.refusedRows { refused[row] = 0 }
        letters.connectionLost()
        ledger.delivered(parser.pointee.rows)
        held.connectionLost()
    }

    override func nextIsAsked() {
        lastRows = []
        if options.autoAck { held.queueHeld() }
    }

    override func willHandOver(rows handed: Int) {
        let rows = parser.pointee.takeRows()
        held.hold(rows)
        ledger.delivered(rows)
        lastRows = rows
        handledBefore = handled
        lastLeftOut = takeLeftOut()
        if !refused.isEmpty { for row in rows { refused[row] = nil } }
        remaining -= min(rows.count, remaining)
        noteHandled(rows)
        if !rows.isEmpty { hasRows = true }
    }

    override func takeBack() -> Bool {
        guard !lastRows.isEmpty else { return false }
        let count = held.takeBack(lastRows, others: lastLeftOut)
        if options.deliveriesMax != nil { ledger.takenBack(lastRows) }
        handled = handledBefore
        if options.count != nil { remaining += count }
        refused = [:]
        statistics.add(.delivered, -count)
        lastRows = []
        lastLeftOut = []
        return true
    }

    override var hasMoreToSay: Bool { !hasGivenUp && held.unansweredCount > 0 }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            if let next = awaited.first, !mayAskAhead {
                if try !take(next) {
                    if isBatchReady { return try acknowledgeAlone() }
                    let had = connection.incoming.count
                    guard try connection.receive() else { return false }
                    if case .answer(let request, _) = next, isOfBacklog(request) {
                        try acknowledge(for: connection.incoming.count - had)
                    }
                }
                if isDone || heldError != nil { return true }
                continue
            }
            if isBatchReady { return try acknowledgeAlone() }
            if wanted == 0 || idleness.isOver {
                isEnding = true
                if parser.pointee.batch.rowCount > 0 { return true }
                if try sendAcknowledgements() {
                    try connection.flush()
                    continue
                }
                isDone = true
                connection.expectNothing()
                return true
            }
            if idleness.isEmpty { return try acknowledgeAlone() }
            let now = platform_monotonic_ms()
            if let pause = pauseUntil, pause > now {
                // Nothing is awaited, but a connection that is closed meanwhile wants to be
                // noticed.
                _ = try connection.receive()
                return false
            }
            pauseUntil = nil
            if try !ask(now) { return isDone }
        }
    }

    /// All rows were handed over: what becomes of their acknowledgements does not make them less
    /// complete. What was not acknowledged comes again.
    override func ends(despite error: RedcolError) -> Bool {
        guard isEnding, options.autoAck, !options.follows, hasGivenBatch,
            parser.pointee.batch.rowCount == 0,
            error.cause != .cancelled, error.cause != .interrupted
        else { return false }
        hasGivenUp = true
        Log.write(.warning, .group, about: groupShown) {
            "\(groupShown): not all that was read is known to be acknowledged, and what is not "
                + "comes again: \(error.message)"
        }
        return true
    }

    /// Rows that are still wanted, beside those in the batch.
    var wanted: Int { max(0, remaining - parser.pointee.rows.count) }

    private var rowsMax: Int {
        let noted = parser.pointee.batch.rowCount - parser.pointee.rows.count
        let (most, overflow) = noted.addingReportingOverflow(remaining)
        return min(options.batchRows, overflow ? .max : most)
    }

    private var isBatchReady: Bool {
        let rows = parser.pointee.batch.rowCount
        if rows > 0, rows >= rowsMax { return true }
        return options.follows && rows > 0
            && !awaited.contains { awaited in
                if case .answer = awaited { return true } else { return false }
            }
    }

    /// Whether more can be asked for although acknowledgements have not been answered yet.
    private var mayAskAhead: Bool {
        hasBacklog && wanted > 0 && !isBatchReady && awaitsAcknowledgementsOnly
    }

    private var awaitsAcknowledgementsOnly: Bool {
        awaited.allSatisfy { awaited in
            if case .acknowledged = awaited { return true } else { return false }
        }
    }

    /// Whether this asks for entries that are there already, without waiting for them.
    private func isOfBacklog(_ request: GroupPlan.Request) -> Bool {
        guard options.follows, case .new(_, blockMs: nil) = request else { return false }
        return true
    }

    // MARK: Asking

    /// Sends the next request; false when there is none now.
    private func ask(_ now: Int64) throws(RedcolError) -> Bool {
        if !options.follows, isOver(now) {
            isEnding = true
            if parser.pointee.batch.rowCount == 0, try sendAcknowledgements() {
                try connection.flush()
                return true
            }
            isDone = true
            connection.expectNothing()
            return false
        }
        let isEmpty = parser.pointee.batch.rowCount == 0 && !hasRows
        let mayBlock = isEmpty && (options.follows || cameEmpty)
        var request = plan.next(now, mayBlock: options.follows ? true : mayBlock)
        if case .pause(let until) = request {
            pauseUntil = until
            if try sendAcknowledgements() { try connection.flush() }
            return false
        }
        var extraMs: Int64 = 0
        if case .new(let streams, let block) = request {
            hadClaimed = plan.hasClaimed(now)
            if options.follows, hasBacklog {
                request = .new(streams: streams, blockMs: nil)
            } else if let block {
                let left =
                    options.follows
                    ? idleness.waitMs(now, most: block)
                    : max(1, min(block, blockUntil.map { $0 - now } ?? block))
                extraMs = left ?? 0
                request = .new(streams: streams, blockMs: left)
            }
            idleness.sent(now)
        }
        // What is handled is acknowledged first, since a request that blocks would keep it waiting;
        // but one that does not block while its answer comes: see `acknowledge(for:)`.
        if !isOfBacklog(request) { _ = try sendAcknowledgements() }
        let asked = try send(request)
        awaited.append(.answer(request, asked: asked))
        if let other = plan.besides(request, now) {
            awaited.append(.answer(other, asked: try send(other)))
        }
        try connection.flush(extraMs: extraMs)
        return true
    }

    /// A read that does not follow takes what there is, and waits only if that is nothing.
    private func isOver(_ now: Int64) -> Bool {
        guard cameEmpty else { return false }
        if hasRows || parser.pointee.batch.rowCount > 0 { return true }
        guard let block = options.blockMs else { return true }
        if blockUntil == nil, block > 0 {
            blockUntil = now + block
            return false
        }
        return blockUntil.map { now >= $0 } ?? false
    }

    override func acknowledgeAlone() throws(RedcolError) -> Bool {
        if connection.isReady, try sendAcknowledgements() { try connection.flush() }
        return true
    }

    private func sendAcknowledgements() throws(RedcolError) -> Bool {
        var hasSent = false
        while enqueueAcknowledgement(most: GroupReader.idsPerCommand) { hasSent = true }
        return hasSent
    }

    /// Acknowledges some of the batch before while the answer comes, of which `bytes` have just
    /// come: the server works on the one while the other is parsed here, and acknowledging takes
    /// it as long as a fourth of reading. In pieces, so that no part of the answer waits for long.
    private func acknowledge(for bytes: Int) throws(RedcolError) {
        let most = max(512, bytes / GroupReader.bytesPerID)
        if enqueueAcknowledgement(most: most) { try connection.flush() }
    }

    /// Counts the acknowledgements whose answers are there and were not looked at yet.
    override func willClose() {
        held.close()
        guard connection.isReady, awaitsAcknowledgementsOnly else { return }
        _ = connection.receiveLast()
        do throws(RedcolError) {
            while let next = awaited.first { guard try take(next) else { return } }
        } catch {
            // What was refused stays pending, like all that is not acknowledged when it is closed.
        }
    }

    private func enqueueAcknowledgement(most: Int) -> Bool {
        let rows = held.takeUnsent(most: most)
        if rows.isEmpty { return false }
        connection.enqueue(member.acknowledge(rows))
        awaited.append(.acknowledged(rows.count))
        return true
    }

    private func send(_ request: GroupPlan.Request) throws(RedcolError) -> Int {
        var asked = max(
            1,
            min(options.follows ? min(options.batchRows, 1_000_000) : GroupReader.pageRows, wanted))
        if case .new(let streams, _) = request {
            asked = max(1, min(asked, answerSize.entriesMax / streams.count))
        } else {
            asked = min(asked, answerSize.entriesMax)
        }
        // What XPENDING tells of twice as many is read whole.
        if options.deliveriesMax != nil { asked = min(asked, GroupReader.pageRows) }
        switch request {
        case .wasReset(let stream):
            connection.enqueue(member.firstID(stream))
            awaited.append(.firstID(stream: stream))
            connection.enqueue(member.entry(stream, handled[stream]))
        case .create(let stream, let id): connection.enqueue(member.create(stream, at: id))
        case .deliveries(let stream, let after, let isOwn):
            asked = max(
                GroupReader.pendingPage, isOwn ? 2 * asked : min(asked, GroupReader.pageRows))
            connection.enqueue(
                member.pending(
                    stream, after: after, count: asked,
                    idleMs: isOwn ? nil : options.claimIdleMs ?? 0))
        case .look(let stream, let after):
            asked = GroupReader.pendingPage
            connection.enqueue(
                member.pending(stream, after: after, count: asked, idleMs: nil))
        case .own(let stream, let after):
            if options.deliveriesMax != nil {
                // No more than were counted.
                asked = min(asked, ownMost)
                ledger.askedForOwn()
            }
            try passOverInHand()
            parser.pointee.expect(.streams, entriesMax: asked, after: after)
            connection.enqueue(
                member.read([stream], after: after, count: asked, blockMs: nil))
        case .claim(let stream, let cursor, let last, let count):
            asked = min(asked, count)
            if options.deliveriesMax != nil { ledger.askedForIdle(from: cursor, through: last) }
            try passOverInHand()
            parser.pointee.expect(
                .claimed(stream: stream), entriesMax: asked, after: cursor.previous ?? .smallest)
            connection.enqueue(
                member.claim(
                    stream, cursor: cursor, idleMs: options.claimIdleMs ?? 0, count: asked))
        case .new(let streams, let blockMs):
            // COUNT counts each stream by itself.
            // What comes beyond what is wanted stays pending.
            if wanted < asked * streams.count { asked = max(1, wanted / streams.count) }
            parser.pointee.skipped = []
            parser.pointee.expect(.streams, entriesMax: asked)
            connection.enqueue(
                member.read(streams, after: nil, count: asked, blockMs: blockMs))
        case .pause: break
        }
        parser.pointee.forgetPosition()
        return asked
    }

    // MARK: Taking

    /// Takes the answer that comes next; false when it has not come in full.
    private func take(_ next: Awaited) throws(RedcolError) -> Bool {
        switch next {
        case .answer(let request, let asked):
            switch request {
            case .own, .new, .claim: return try takeEntries(request, asked)
            default:
                guard let reply = try connection.nextReply(bytesMax: ProtocolLimits.entryBytes)
                else { return false }
                awaited.removeFirst()
                try takeReply(request, asked, reply)
            }
        case .acknowledged(let count):
            guard let reply = try connection.nextReply() else { return false }
            awaited.removeFirst()
            if case .error(let text) = reply { throw error(text, "acknowledging entries") }
            guard let number = reply.count(most: count) else {
                throw connection.violation("a count that cannot be in answer to XACK")
            }
            noteProgress()
            statistics.add(.acknowledged, number)
            held.answered(count)
        case .firstID(let stream):
            guard let reply = try connection.nextReply() else { return false }
            awaited.removeFirst()
            firstIDs[stream] = reply.firstEntry?.id
        case .letter:
            guard let reply = try connection.nextReply(bytesMax: ProtocolLimits.entryBytes) else {
                return false
            }
            awaited.removeFirst()
            noteProgress()
            try takeLetter(reply)
        }
        return true
    }

    private func takeEntries(
        _ request: GroupPlan.Request, _ asked: Int
    ) throws(RedcolError) -> Bool {
        // Several streams can give more than was wanted of all: that stays pending.
        if remaining == 0 { parser.pointee.upperBound = .smallest }
        let before = parser.pointee.rows.count
        let outcome = parse(rowsMax: remaining == 0 ? .max : rowsMax)
        noteOrigin(request, parser.pointee.rows.count - before)
        switch outcome {
        case .needsMore: return false
        case .batchFull: return false
        case .replyEnd:
            awaited.removeFirst()
            entriesEnded(request, asked)
        case .serverError:
            guard let error = try serverError("reading from the group") else { return false }
            awaited.removeFirst()
            parser.pointee.abandonReply()
            try takeError(error)
        case .refused(let error):
            let stream = parser.pointee.replyFrame?.stream ?? 0
            let row = parser.pointee.lastID.map {
                RowID(id: $0, stream: Int32(truncatingIfNeeded: stream))
            }
            if options.onError == .deadLetter, let row {
                try putAway(row)
                return true
            }
            guard options.follows else { throw error }
            if let row {
                refused[row] = platform_monotonic_ms() + GroupReader.refusedRestMs
                ledger.told(row)
            }
            heldError = error
        case .failed(let error):
            guard options.follows, error.cause == .tooLarge else { throw error }
            heldError = error
        }
        return true
    }

    private func noteOrigin(_ request: GroupPlan.Request, _ rows: Int) {
        switch request {
        case .own: statistics.add(.redelivered, rows)
        case .claim:
            statistics.add(.redelivered, rows)
            statistics.add(.claimed, rows)
        default: break
        }
    }

    private func entriesEnded(_ request: GroupPlan.Request, _ asked: Int) {
        ledger.delivered(parser.pointee.rows)
        let entries = parser.pointee.entriesParsed
        answerSize.came(entries: entries)
        // Without a row there is no batch that they could wait for.
        if parser.pointee.batch.rowCount == 0 {
            _ = takeLeftOut()
            if options.autoAck { held.queueHeld() }
        }
        let (named, nameless) = parser.pointee.takeDeleted()
        if !named.isEmpty {
            statistics.add(.deleted, named.count)
            held.queueDeleted(named)
        }
        switch request {
        case .own(let stream, _):
            plan.ownPage(stream, entries: entries, asked: asked, last: parser.pointee.lastID)
            if entries < asked { ledger.hasBegun(stream) }
        case .claim(let stream, _, _, _):
            let frame = parser.pointee.replyFrame
            statistics.add(.deleted, frame?.deletedIDs.count ?? 0)
            plan.claimed(stream, hasNameless: nameless > 0)
        case .new:
            noteProgress()
            cameEmpty = entries == 0 && hadClaimed
            hasBacklog = entries >= asked
            if cameEmpty { statistics.addEmptyAnswer() }
            idleness.answered(
                platform_monotonic_ms(), entries: entries, isFull: hasBacklog || !hadClaimed)
        default: break
        }
        parser.pointee.forgetPosition()
        if awaited.isEmpty { connection.expectNothing() }
    }
}
