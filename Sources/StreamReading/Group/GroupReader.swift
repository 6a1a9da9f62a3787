// SPDX-License-Identifier: Apache-2.0
// Reads as a member of a consumer group. What was delivered to it is either acknowledged after the
// caller has had it, or comes back.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A group read in progress: does what `GroupPlan` says, and tells it which entries came and which
/// were handed over.
final class GroupReader: StreamReader {
    private let session: GroupSession
    /// The last acknowledgements could not be made.
    private var hasGivenUp = false

    /// Where groups are made; nil: at each stream's last entry, whose id is then asked for.
    private let groupStart: EntryID?
    /// Where each stream's group is made, once that is known.
    private var positions: [EntryID]?
    /// Keeps what was handed over from being claimed; nil without "heartbeat_ms".
    private var heartbeat: Heartbeat?

    static func make(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions,
        statistics: Statistics? = nil
    ) throws(RedcolError) -> GroupReader {
        let isNew = options.groupStartID == "$"
        let start =
            isNew ? nil : try RangeBound.lower(options.groupStartID, name: "group_start_id")
        let parts = try ReaderParts(
            topology: topology, streams: streams, schema: schema, options: options,
            statistics: statistics)
        return GroupReader(parts, try PendingEntries.make(), start)
    }

    private init(_ parts: ReaderParts, _ pending: PendingEntries, _ start: EntryID?) {
        session = GroupSession(parts, pending)
        groupStart = start
        super.init(parts)
        connection.asksAboutEveryKey = streams.count > 1
        parser.pointee.keepsRowIDs = true
        if options.count == 0 { isDone = true }
    }

    deinit { heartbeat?.stop() }

    // MARK: Beginning

    /// Connects, and makes the groups.
    override func begin() throws(RedcolError) {
        try beginGroups()
        if let everyMs = options.heartbeatMs, heartbeat == nil {
            heartbeat = try Heartbeat.make(
                session.member, session.pending, topology, everyMs: everyMs)
        }
    }

    private func beginGroups() throws(RedcolError) {
        // A group is not made at a node that has only some of the streams yet: its stream would be
        // made there, too, and the old node could not send the real one.
        try lookForStreams(all: options.createGroup && streams.count > 1 && topology.isCluster)
        guard options.createGroup else {
            try askNow([])
            return connected()
        }
        let positions = try startPositions()
        self.positions = positions
        try askNow(
            streams.indices.map { session.member.create($0, at: positions[$0]) },
            askMore: { () throws(RedcolError) in
                // One round trip instead of two: asking for the member's pending entries does not
                // depend on the answers to these.
                connected()
                if !isDone, case .ask(let request, let companion) = session.plan.next(moment) {
                    try ask(request, companion)
                }
            },
            take: { (stream: Int) throws(RedcolError) in
                guard let reply = try connection.nextReply() else { return false }
                try session.takeCreated(reply, stream, at: positions[stream])
                return true
            })
    }

    private func startPositions() throws(RedcolError) -> [EntryID] {
        if let positions { return positions }
        if let groupStart { return Array(repeating: groupStart, count: streams.count) }
        // Not "$" itself: the id is needed should the group have to be made again.
        return try askLastIDs().map { $0 ?? .smallest }
    }

    // MARK: What the reader is asked

    override var awaitsReply: Bool { session.next != nil }
    override var givesEmptyBatch: Bool { !options.follows }
    override var remaining: Int {
        get { session.plan.remaining }
        set { session.plan.remaining = newValue }
    }
    override var wakeAt: Int64? { session.wakeAt }
    override func shares(othersHaveRows: Bool) {
        session.plan.shares(othersHaveRows: othersHaveRows)
    }
    override var pendingEntries: PendingEntries? { session.pending }
    override var hasMoreToSay: Bool { !hasGivenUp && session.pending.unansweredCount > 0 }

    override var entriesLost: Int? {
        parser.pointee.entriesParsed == 0 ? session.entriesAwaited : nil
    }

    override func connected() { session.connected() }

    override func connectionLost() { session.connectionLost() }

    override func nextIsAsked() {
        session.plan.nextIsAsked()
        guard let failure = heartbeat?.takeFailure() else { return }
        let shown = session.member.shown
        Log.write(.warning, .group, about: "heartbeat of \(shown)") {
            "\(shown): what was handed over is not kept from idling, and others may claim it: "
                + failure.message
        }
    }

    override func position(_ stream: Int) -> EntryID? { session.plan.lastHandled(stream) }

    override var lastHandedOver: EntryID? { session.plan.lastHandedOver }

    override func willHandOver(rows handed: Int) {
        session.plan.handedOver(
            parser.pointee.takeRows(), leftOut: parser.pointee.leftOut.takeRows())
    }

    override func takeBack() -> Bool {
        guard let count = session.takeBack() else { return false }
        statistics.takeBack(rows: count)
        return true
    }

    /// All rows were handed over, so the read is complete even if acknowledging fails. What was not
    /// acknowledged comes again.
    override func ends(despite error: RedcolError) -> Bool {
        guard session.plan.isEnding, options.autoAck, !options.follows, hasGivenBatch,
            parser.pointee.batch.rowCount == 0,
            error.cause != .cancelled, error.cause != .interrupted
        else { return false }
        hasGivenUp = true
        let shown = session.member.shown
        Log.write(.warning, .group, about: shown) {
            "\(shown): not all that was read is known to be acknowledged, and what is not comes "
                + "again: \(error.message)"
        }
        return true
    }

    override func willClose() {
        heartbeat?.stop()
        session.pending.close()
        // Acknowledgements whose answers are there, and were not looked at yet, are counted.
        session.takeLast()
        session.closeElsewhere()
    }

    override func closeAbandoned() {
        heartbeat?.stop()
        session.closeElsewhere()
        super.closeAbandoned()
    }

    override func acknowledgeAlone() throws(RedcolError) {
        if connection.isReady { _ = try session.sendAcknowledgements() }
    }

    // MARK: The exchange

    private var moment: GroupPlan.Moment {
        GroupPlan.Moment(
            now: platform_monotonic_ms(), rows: parser.pointee.batch.rowCount,
            awaits: session.awaits, entriesMax: answerSize.entriesMax, idleness: idleness)
    }

    override func exchange() throws(RedcolError) -> Bool {
        try session.moveLate()
        while try session.continueElsewhere() {}
        while true {
            switch session.plan.next(moment) {
            case .receive:
                guard let next = session.next else {
                    if try session.continueElsewhere() { continue }
                    if session.plan.isBatchReady(moment) {
                        try acknowledgeAlone()
                        return true
                    }
                    return try noticeLoss()
                }
                if try take(next) {
                    if heldError != nil { return true }
                    continue
                }
                if session.plan.isBatchReady(moment) {
                    try acknowledgeAlone()
                    return true
                }
                let had = connection.incoming.count
                guard try connection.receive() else { return false }
                if case .answer(let request) = next, session.plan.readsBacklog(request) {
                    try session.acknowledge(for: connection.incoming.count - had)
                }
            case .handOver:
                try acknowledgeAlone()
                return true
            case .finish:
                if parser.pointee.batch.rowCount > 0 { return true }
                if idleness.isOver, try session.lookAtEnd() { continue }
                session.plan.queueRowless()
                if try session.sendAcknowledgements() { continue }
                isDone = true
                connection.expectNothing()
                return true
            case .ask(let request, let companion): try ask(request, companion)
            case .pause:
                if try session.sendAcknowledgements() { continue }
                return try noticeLoss()
            }
        }
    }

    /// Nothing is awaited, but a connection that is closed meanwhile wants to be noticed.
    private func noticeLoss() throws(RedcolError) -> Bool {
        _ = try connection.receive()
        return false
    }

    private func ask(_ request: GroupRequest, _ companion: GroupRequest?) throws(RedcolError) {
        if case .new = request { idleness.sent(platform_monotonic_ms()) }
        try session.send(request, companion)
    }

    /// Takes the answer that comes next; false when it has not come in full.
    private func take(_ next: GroupSession.Awaited) throws(RedcolError) -> Bool {
        if case .answer(let request) = next, request.entriesMax != nil {
            return try takeEntries(request)
        }
        switch try session.take(next) {
        case .incomplete: return false
        case .answer:
            for (stream, gap) in session.takeGaps() { note(gap, in: stream) }
            return true
        case .progress:
            noteProgress()
            return true
        }
    }

    private func takeEntries(_ request: GroupRequest) throws(RedcolError) -> Bool {
        // Several streams can send more than is wanted in all: the rest stays pending.
        let rowsMax = session.plan.rowsMax
        if rowsMax == 0 { parser.pointee.upperBound = .smallest }
        let before = parser.pointee.rows.count
        let outcome = parse(rowsMax: rowsMax == 0 ? .max : rowsMax)
        noteOrigin(request, rows: parser.pointee.rows.count - before)
        switch outcome {
        case .needsMore, .batchFull: return false
        case .replyEnd: entriesEnded(request)
        case .serverError:
            guard let error = try serverError("reading from the group") else { return false }
            session.entriesEnded()
            parser.pointee.abandonReply()
            try session.takeError(error, request)
        case .refused(let error): try takeRefused(parser.pointee.refusedEntry, error)
        case .failed(let error):
            guard error.cause == .tooLarge else { throw error }
            try takeRefused(parser.pointee.tooLargeEntry, error)
        }
        return true
    }

    /// Takes an entry that cannot be handed over.
    private func takeRefused(_ entry: RefusedEntry?, _ error: RedcolError) throws(RedcolError) {
        guard let entry else { throw error }
        switch try session.takeRefused(entry) {
        case .raise: throw error
        case .raiseLater:
            heldError = error
            return
        case .skip: noteTooLargeLeftOut(entry.row.id, parser.pointee.tooLargeReason)
        case .acknowledge, .move: break
        }
        guard entry.isTooLarge else { return }
        // The read continues on a new connection, since the rest of the entry is still to come on
        // this one. There the entry is acknowledged, or moved, before pending entries are read.
        noteProgress()
        throw RedcolError(
            .connection,
            "the rest of entry \(entry.row.id.text), which is too large, is not received")
    }

    private func noteOrigin(_ request: GroupRequest, rows: Int) {
        switch request {
        case .own: statistics.add(.redelivered, rows)
        case .claim:
            statistics.add(.redelivered, rows)
            statistics.add(.claimed, rows)
        case .new:
            let repeated = session.plan.repeated(parser.pointee.rows.suffix(rows))
            if repeated > 0 { statistics.add(.redelivered, repeated) }
        default: break
        }
    }

    private func entriesEnded(_ request: GroupRequest) {
        let entries = parser.pointee.entriesParsed
        let (named, nameless) = parser.pointee.takeDeleted()
        answerSize.came(entries: entries)
        session.plan.ended(
            request, entries: entries, last: parser.pointee.lastID, hasNameless: nameless > 0,
            rows: parser.pointee.rows)
        if parser.pointee.batch.rowCount == 0 {
            session.plan.hasNoBatch(leftOut: parser.pointee.leftOut.takeRows())
        }
        session.pending.queueDeleted(named)
        statistics.add(.deleted, named.count)
        if case .claim = request {
            statistics.add(.deleted, parser.pointee.replyFrame?.deletedIDs.count ?? 0)
            if entries > 0 {
                let shown = session.member.shown
                Log.write(.info, .group, about: "claim " + shown) {
                    "\(shown): claimed \(entries) entries that others had held for "
                        + "\(options.claimIdleMs ?? 0) ms or more"
                }
            }
        }
        if case .new = request {
            noteProgress()
            if session.plan.cameEmpty { statistics.addEmptyAnswer() }
            idleness.answered(
                platform_monotonic_ms(), entries: entries, isFull: session.plan.mayHaveMore)
        }
        parser.pointee.forgetPosition()
        session.entriesEnded()
    }
}
