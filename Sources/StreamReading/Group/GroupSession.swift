// SPDX-License-Identifier: Apache-2.0
// What a member of a group and its server say to each other, apart from the entries: requests,
// acknowledgements, what is pending, dead letters. It sends what the plan says, and tells it what
// was answered.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// The requests of a group's member that are under way, and what their answers mean.
final class GroupSession {
    /// Bytes of an answer for which an entry of the batch before is acknowledged.
    private static let bytesPerID = 128

    /// What moves a dead letter on one server.
    private static let letterCommands: StaticString =
        "XPENDING, XRANGE, XADD and XACK with EVAL, or WATCH, XLEN, MULTI and EXEC too"

    enum Awaited {
        case acknowledged(Int)
        case answer(GroupRequest)
        /// Where the group is, and how far its stream reaches.
        case place(stream: Int)
        case extent(stream: Int)
        /// The next answer that `letters` wants.
        case letter
    }

    enum Taken {
        case incomplete
        case answer
        /// An answer that is not asked for again: the read has made progress.
        case progress
    }

    let member: GroupMember
    let pending: PendingEntries
    var plan: GroupPlan
    private let deadLetter: [UInt8]
    private let afterAcknowledging: AfterAcknowledging
    private let topology: Topology
    private let connection: Connection
    /// What is under way to another node of a cluster, which has the dead letters.
    private var elsewhere: LetterElsewhere?
    private let parser: UnsafeMutablePointer<RowParser>
    private let statistics: Statistics
    private var awaited: [Awaited] = []
    /// The entries that become dead letters.
    private var letters: DeadLetterTransaction
    /// Those of them that are moved on the next connection, before anything else: on this one, the
    /// rest of an entry that is too large is still to come.
    private var lateLetters: [DeadLetter] = []
    /// What was in hand when a look at several pages of pending entries began. With many entries,
    /// collecting that takes longer than asking the server.
    private var inHandAtLook: Set<RowID>?
    private let looksForGaps: Bool
    private let reconnectLimitMs: Int64?
    private let state: ReadState
    private var watches: [GapWatch]
    private var place: (delivered: EntryID, read: Int64?)?
    private var gapLookAt: Int64 = 0
    private var hasLookedAtEnd = false
    /// The answer that one of several streams is none: which of them is being looked for.
    private var wrongType: RedcolError?
    private static let gapLookMs: Int64 = 1_000
    /// What the reader has to note.
    private var gaps: [(stream: Int, gap: Gap)] = []

    init(_ parts: ReaderParts, _ pending: PendingEntries) {
        let (streams, options) = (parts.streams, parts.options)
        member = GroupMember(streams: streams, group: options.group, consumer: options.consumer)
        self.pending = pending
        plan = GroupPlan(streams: streams.count, options: options, pending: pending)
        deadLetter = options.deadLetter
        afterAcknowledging = options.afterAcknowledging
        letters = DeadLetterTransaction(member, to: deadLetter)
        watches = Array(repeating: GapWatch(), count: streams.count)
        looksForGaps = options.follows
        reconnectLimitMs = options.reconnectLimitMs
        state = parts.state
        topology = parts.topology
        connection = parts.connection
        parser = parts.parserOwner.parser
        statistics = parts.statistics
    }

    /// The answer that comes next.
    var next: Awaited? { awaited.first }

    var awaits: GroupPlan.Awaits {
        var found: GroupPlan.Awaits = elsewhere == nil ? .nothing : .deadLetters
        for next in awaited {
            switch next {
            case .answer, .place, .extent: return .answers
            case .letter: found = .deadLetters
            case .acknowledged: if found == .nothing { found = .acknowledgements }
            }
        }
        return found
    }

    /// How many entries may come in the answers that are awaited; nil if they bring none.
    var entriesAwaited: Int? {
        for case .answer(let request) in awaited {
            if let count = request.entriesMax { return count }
        }
        return nil
    }

    func connected() {
        // Whether there is a cluster may be known only now. All streams are in one slot of it.
        letters.isElsewhere =
            topology.isCluster
            && Topology.slot(of: deadLetter) != Topology.slot(of: member.streams[0])
        plan.connected(platform_monotonic_ms())
    }

    func connectionLost() {
        elsewhere = nil
        awaited = []
        hasLookedAtEnd = false
        wrongType = nil
        inHandAtLook = nil
        // They come again; a group that is made again begins no later.
        for row in letters.refusedRows { pending.refuse(row, until: 0) }
        letters.connectionLost()
        plan.connectionLost(rows: parser.pointee.rows)
    }

    // MARK: Sending

    func send(_ request: GroupRequest, _ companion: GroupRequest?) throws(RedcolError) {
        // What is handled is acknowledged first, since a request that blocks would keep it waiting;
        // but one for a backlog does not block, and it is acknowledged while its answer comes.
        if !plan.readsBacklog(request) { _ = enqueueAcknowledgements() }
        var extraMs: Int64 = 0
        switch request {
        case .own(let stream, let after, let count):
            parser.pointee.skipped = try entriesInHand(in: (stream, after))
            parser.pointee.expect(.streams, entriesMax: count, after: after)
        case .claim(let stream, let first, _, let count, _):
            let before = first.previous ?? .smallest
            parser.pointee.skipped = try entriesInHand(in: (stream, before))
            parser.pointee.expect(.claimed(stream: stream), entriesMax: count, after: before)
        case .new(_, let count, let blockMs):
            parser.pointee.skipped = []
            parser.pointee.expect(.streams, entriesMax: count)
            extraMs = blockMs ?? 0
        default: break
        }
        lookForGaps(before: request)
        enqueue(request)
        if let companion { enqueue(companion) }
        parser.pointee.forgetPosition()
        try connection.flush(extraMs: extraMs)
    }

    /// In the same write, so that it takes no round trip.
    private func lookForGaps(before request: GroupRequest) {
        guard looksForGaps else { return }
        let now = platform_monotonic_ms()
        let streams = request.gapLooks(isDue: now >= gapLookAt)
        if streams.isEmpty { return }
        gapLookAt = now + GroupSession.gapLookMs
        enqueueGapLooks(streams)
    }

    private func enqueueGapLooks(_ streams: [Int]) {
        for stream in streams {
            for command in member.gapLook(stream) { connection.enqueue(command) }
            awaited += [.place(stream: stream), .extent(stream: stream)]
        }
    }

    /// Looks once more before a read ends that has caught up; false if that was done.
    func lookAtEnd() throws(RedcolError) -> Bool {
        guard looksForGaps, !hasLookedAtEnd else { return false }
        hasLookedAtEnd = true
        enqueueGapLooks(Array(member.streams.indices))
        try connection.flush()
        return true
    }

    /// There is more to read before the end.
    func takeBack() -> Int? {
        hasLookedAtEnd = false
        return plan.takeBack()
    }

    /// The gaps that were noticed since this was asked last.
    func takeGaps() -> [(stream: Int, gap: Gap)] {
        if gaps.isEmpty { return [] }
        defer { gaps = [] }
        return gaps
    }

    private func enqueue(_ request: GroupRequest) {
        connection.enqueue(member.command(for: request))
        awaited.append(.answer(request))
    }

    /// Entries that the caller has, or that are in the batch, must not come again; and one that was
    /// refused not at once.
    private func entriesInHand(
        in page: (stream: Int, after: EntryID)? = nil
    ) throws(RedcolError) -> Set<RowID> {
        let others = [parser.pointee.rows, parser.pointee.leftOut.rows, letters.rows]
        let count = others.reduce(0) { $0 + $1.count }
        try Memory.require(pending.memory(for: count), for: "the entries in hand")
        var rows = pending.all(platform_monotonic_ms(), in: page)
        for other in others { rows.formUnion(other) }
        return rows
    }

    /// Acknowledges all that waits for it; false if nothing does.
    func sendAcknowledgements() throws(RedcolError) -> Bool {
        guard enqueueAcknowledgements() else { return false }
        try connection.flush()
        return true
    }

    private func enqueueAcknowledgements() -> Bool {
        var hasSome = false
        while enqueueAcknowledgement(most: afterAcknowledging.idsMax) { hasSome = true }
        return hasSome
    }

    /// Acknowledges some of the previous batch while an answer arrives. `bytes`: how much of the
    /// answer has just come. The server executes XACK while the answer is parsed here; XACK takes
    /// it a fourth of the time of reading. In pieces, so that no part of the answer waits for long.
    func acknowledge(for bytes: Int) throws(RedcolError) {
        var most = max(512, bytes / GroupSession.bytesPerID)
        var hasSome = false
        let idsMax = afterAcknowledging.idsMax
        while most > 0, enqueueAcknowledgement(most: min(most, idsMax)) {
            hasSome = true
            most -= idsMax
        }
        if hasSome { try connection.flush() }
    }

    private func enqueueAcknowledgement(most: Int) -> Bool {
        let rows = pending.takeUnsent(most: most)
        if rows.isEmpty { return false }
        connection.enqueue(member.acknowledge(rows, then: afterAcknowledging))
        awaited.append(.acknowledged(rows.count))
        return true
    }

    /// Does what the plan says about an entry that cannot be handed over, and returns it.
    func takeRefused(_ entry: RefusedEntry) throws(RedcolError) -> RefusedEntry.Step {
        let step = plan.refused(entry, platform_monotonic_ms())
        switch step {
        case .raise, .raiseLater: break
        case .skip, .acknowledge: pending.queueDeleted([entry.row])
        case .move(let letter) where entry.isTooLarge:
            lateLetters.append(letter)
            pending.refuse(letter.row, until: 0)
        case .move(let letter):
            letters.add(letter)
            try send(letters.next())
        }
        return step
    }

    /// Moves those that were to be moved on a new connection.
    func moveLate() throws(RedcolError) {
        guard !lateLetters.isEmpty, awaited.isEmpty else { return }
        for letter in lateLetters { letters.add(letter) }
        try send(letters.next())
    }

    private func send(_ commands: [Command]) throws(RedcolError) {
        guard !commands.isEmpty else { return }
        if letters.sendsElsewhere {
            elsewhere = LetterElsewhere(
                commands, to: try topology.take(for: deadLetter, to: .writing), wakes: connection,
                state, limitMs: reconnectLimitMs)
            return
        }
        for command in commands {
            connection.enqueue(command)
            awaited.append(.letter)
        }
        try connection.flush()
    }

    // MARK: Receiving

    /// The answer with entries that came next has ended.
    func entriesEnded() {
        awaited.removeFirst()
        if awaited.isEmpty { connection.expectNothing() }
    }

    /// Takes the answer that comes next, which has no entries.
    func take(_ next: Awaited) throws(RedcolError) -> Taken {
        var bytesMax = ProtocolLimits.entryBytes
        if case .acknowledged = next { bytesMax = ProtocolLimits.replyBytes }
        // XINFO STREAM shows the first and the last entry, too.
        if case .extent = next { bytesMax *= 2 }
        guard let reply = try connection.nextReply(bytesMax: bytesMax) else { return .incomplete }
        awaited.removeFirst()
        var taken = Taken.progress
        switch next {
        case .answer(let request):
            taken = .answer
            try takeReply(reply, to: request)
        case .place(let stream):
            taken = .answer
            try takePlace(reply, stream)
        case .extent(let stream):
            taken = .answer
            takeExtent(reply, stream)
            if awaited.isEmpty, let wrongType { throw wrongType }
        case .acknowledged(let count): try takeAcknowledged(reply, count)
        case .letter: try takeLetter(reply, from: connection)
        }
        if awaited.isEmpty { connection.expectNothing() }
        return taken
    }

    /// An error says nothing: the request that comes next gets it, too, or this user may not ask.
    private func takePlace(_ reply: Reply, _ stream: Int) throws(RedcolError) {
        place = nil
        if case .error(let text) = reply, wrongType != nil {
            let failure = error(text, "reading from the group")
            if failure.cause == .wrongType { throw failure.naming(stream, of: member.streams) }
        }
        guard case .array(let groups) = reply,
            let mine = groups.first(where: { $0.value(of: "name") == member.group }),
            let id = mine.entryID(named: "last-delivered-id")
        else { return }
        place = (id, mine.number(named: "entries-read"))
    }

    private func takeExtent(_ reply: Reply, _ stream: Int) {
        guard let place, let extent = StreamExtent(reply),
            let gap = watches[stream].looked(
                extent, delivered: place.delivered, read: place.read)
        else { return }
        gaps.append((stream, gap))
    }

    /// Takes all answers that have come, when nothing more will be sent.
    func takeLast() {
        guard connection.isReady, awaits == .acknowledgements else { return }
        _ = connection.receiveLast()
        do throws(RedcolError) {
            while let next { guard case .progress = try take(next) else { return } }
        } catch {
            // What was refused stays pending, like all that is not acknowledged when it is closed.
        }
    }

    private func takeAcknowledged(_ reply: Reply, _ count: Int) throws(RedcolError) {
        if case .error(let text) = reply { throw error(text, "acknowledging entries") }
        guard let number = reply.count(most: count) else {
            throw connection.wrongAcknowledgedCount
        }
        statistics.add(.acknowledged, number)
        pending.answered(count)
    }

    private func takeReply(_ reply: Reply, to request: GroupRequest) throws(RedcolError) {
        switch request {
        case .firstEntry(let stream): plan.foundFirst(stream, reply.firstEntry?.id)
        case .entry(let stream, _):
            var isThere: Bool? = reply.firstEntry != nil
            if case .error(let text) = reply {
                let failure = error(text, "asking for the stream's entries")
                guard failure.cause == .permission else { throw failure }
                isThere = nil
            }
            plan.foundHandled(stream, isThere: isThere)
        case .create(let stream, let id):
            var isNew = true
            if case .error(let text) = reply {
                let failure = creationError(text)
                guard failure.serverCode == "BUSYGROUP" else { throw failure }
                isNew = false
            }
            if isNew {
                statistics.add(.resets, 1)
                watches[stream] = GapWatch()
                let name = escaped(member.streams[stream], limit: 200)
                Log.write(.warning, .group, about: "again " + name) {
                    "group \"\(escaped(member.group, limit: 200))\" of stream \"\(name)\" was "
                        + "gone, and was created again at \(id.text)"
                }
            }
            plan.created(stream, at: id, isNew: isNew, platform_monotonic_ms())
        case .deliveries, .look: try takePage(reply, of: request)
        case .own, .claim, .new: break
        }
    }

    /// Takes the answer to the first request of all, which makes a group that may be there.
    func takeCreated(_ reply: Reply, _ stream: Int, at id: EntryID) throws(RedcolError) {
        guard case .error(let text) = reply else { return plan.begin(stream, at: id) }
        let failure = creationError(text)
        // It exists already. A user who may not create groups needs one that exists.
        if failure.serverCode == "BUSYGROUP" || failure.cause == .permission { return }
        throw failure.naming(stream, of: member.streams)
    }

    private func creationError(_ text: [UInt8]) -> RedcolError {
        error(text, "creating the group \"\(escaped(member.group, limit: 200))\"")
    }

    /// Takes a page of the pending entries list.
    private func takePage(_ reply: Reply, of request: GroupRequest) throws(RedcolError) {
        if case .error(let text) = reply { return try takeError(error(text, "XPENDING"), request) }
        guard let page = try PendingLine.page(reply, most: request.linesMax) else {
            throw connection.violation("a strange XPENDING")
        }
        if case .look(_, let after, _) = request {
            if after == .smallest { inHandAtLook = nil }
            let inHand: Set<RowID>
            if let inHandAtLook { inHand = inHandAtLook } else { inHand = try entriesInHand() }
            let isLast = plan.looked(page, request, inHand: inHand, platform_monotonic_ms())
            inHandAtLook = isLast ? nil : inHand
            return
        }
        var part: (stream: Int, after: EntryID)?
        if case .deliveries(let stream, let after, _, _) = request { part = (stream, after) }
        let inHand = try entriesInHand(in: part)
        let rows = parser.pointee.batch.rowCount
        for letter in plan.counted(
            page, request, inHand: inHand, rows: rows, platform_monotonic_ms())
        {
            letters.add(letter)
        }
        try send(letters.next())
    }

    /// Goes on with what is under way to the node that has the dead letters, without waiting; true
    /// when it has answered something.
    func continueElsewhere() throws(RedcolError) -> Bool {
        guard let other = elsewhere, let reply = try other.advance() else { return false }
        guard other.isDone else {
            try takeLetter(reply, from: other.connection)
            return true
        }
        elsewhere = nil
        other.end()
        try takeLetter(reply, from: other.connection)
        topology.giveBack(other.connection, isIdle: true)
        return true
    }

    /// Nobody waits for it any more.
    func closeElsewhere() { elsewhere?.connection.discard() }

    /// When there is something to do about it although nothing has come.
    var wakeAt: Int64? {
        guard let at = elsewhere?.wakeAt else { return plan.pauseUntil }
        return min(at, plan.pauseUntil ?? .max)
    }

    private func takeLetter(
        _ reply: Reply, from connection: Connection
    ) throws(RedcolError) {
        let (step, commands) = letters.take(reply)
        switch step {
        case .more: break
        case .ended(let letter, let outcome):
            plan.letterEnded(letter, outcome)
            lateLetters.removeAll { $0.row == letter.row }
            switch outcome {
            case .kept:
                statistics.add(.deadLettered, 1)
                letter.log(member, in: deadLetter)
            case .deleted: statistics.add(.deleted, 1)
            case .moved: break
            }
        case .failed(let text):
            let name = escaped(deadLetter, limit: 200)
            let failure = RedcolError.server(
                text, endpoint: connection.endpoint,
                asked: "moving an entry to the dead letters \"\(name)\"",
                commands: letters.isElsewhere
                    ? "XPENDING, XRANGE, XADD and XACK" : GroupSession.letterCommands)
            // Entries of its own stream have just been read.
            if failure.cause == .wrongType { throw failure.adding("", .stream, name) }
            guard failure.cause == .noGroup else { throw failure }
            lateLetters = []
            // The entries are no longer pending, and requests under way get the same error.
            throw RedcolError(.connection, failure.message)
        case .malformed(let what): throw connection.violation(what)
        }
        try send(commands)
        try send(letters.next())
    }

    /// What is done about an error that a request for pending or new entries was answered with.
    func takeError(_ error: RedcolError, _ request: GroupRequest) throws(RedcolError) {
        // The key is gone, or a cluster's slot has moved: the next request tells which.
        if error.serverCode == "UNBLOCKED" { return }
        guard error.cause != .noGroup else {
            if plan.groupLost(request, platform_monotonic_ms()) { return }
            throw error
        }
        if let stream = request.stream { throw error.naming(stream, of: member.streams) }
        guard error.cause == .wrongType, case .new(let streams, _, _) = request else {
            throw error
        }
        // The answer does not say which of them.
        wrongType = error
        enqueueGapLooks(streams)
        try connection.flush()
    }

    private func error(_ text: [UInt8], _ asked: String) -> RedcolError {
        .server(text, endpoint: connection.endpoint, asked: asked)
    }
}
