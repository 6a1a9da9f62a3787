// SPDX-License-Identifier: Apache-2.0
// What a member of a consumer group does next, and why: read its own pending entries, claim entries
// that others have held for too long, read new ones, hand over a batch. Pure: it knows no socket,
// and time is passed in. What it says is sent unchanged.

import RedcolBase

/// The state of a group read over all its streams. `next` says what to do; the other functions take
/// the results.
struct GroupPlan {
    /// How long the server is asked to wait for new entries. A connection that is dead, but not
    /// closed, can take entries for no longer than this after the next one was made.
    static let sliceMs: Int64 = 1_000
    /// Entries asked for at once by a read that does not follow, or where deliveries are counted.
    static let pageRows = 10_000
    /// Lines asked of XPENDING at once.
    static let pendingPage = 1_000
    private static let batchRowsMax = 1_000_000
    /// How long an entry that was refused is left alone before it is tried again.
    private static let refusedRestMs: Int64 = 30_000

    enum Step: Equatable {
        /// Wait for the answer that comes next.
        case receive
        /// Hand over the batch, with the rows that it has.
        case handOver
        /// Ask for nothing more: what is left is to hand over the rows, and to acknowledge.
        case finish
        /// Send this; and in the same write a request that does not depend on its answer.
        case ask(GroupRequest, companion: GroupRequest?)
        /// All streams are missing: ask nothing before this time.
        case pause(until: Int64)
    }

    /// What is awaited of the server.
    enum Awaits { case nothing, acknowledgements, deadLetters, answers }

    /// What the plan has to know of its reader.
    struct Moment {
        var now: Int64
        /// Rows in the batch.
        var rows = 0
        var awaits = Awaits.nothing
        /// How many entries an answer may have.
        var entriesMax = Int.max
        var idleness: Idleness
    }

    private let follows: Bool
    private let isCounted: Bool
    private let batchRows: Int
    private let creates: Bool
    private let autoAcks: Bool
    private let onError: RefusalPolicy
    private let blockMs: Int64?
    private let claimIdleMs: Int64?
    private let deliveriesMax: Int64?
    private let consumer: [UInt8]

    private let pending: PendingEntries
    private var streams: [GroupStream]
    private var ledger = DeliveryLedger()
    private var handled: HandledEntries
    private var moved = MovedEntries()
    /// What was handed over last, until the next batch is asked for: its rows, the entries that
    /// gave none, and how far entries were handled before.
    private var lastBatch: (rows: [RowID], leftOut: [RowID], before: HandledEntries)?
    /// Entries that may still be read.
    var remaining: Int
    /// Whether rows were handed over.
    private var hasRows = false
    private var sliceMs = GroupPlan.sliceMs
    /// New entries are asked for between two pages of claimed ones, so that they are not starved.
    private var isTurnOfNew = false
    /// How many of this consumer's pending entries can be asked for, those of the last page.
    private var ownMax = Int.max
    /// Whether all that could be claimed had been when new entries were asked for.
    private var hadClaimed = false
    /// Whether the last answer had no new entries, and nothing was left to claim.
    private(set) var cameEmpty = false
    /// Whether the last answer had as many new entries as were asked for: there may be more.
    private var hasBacklog = false
    /// When a read that does not follow stops waiting.
    private var blockUntil: Int64?
    /// When there is something to ask again.
    private(set) var pauseUntil: Int64?
    /// No more entries are asked for.
    private(set) var isEnding = false

    init(streams count: Int, options: ReadOptions, pending: PendingEntries) {
        follows = options.follows
        isCounted = options.count != nil
        batchRows = options.batchRows
        creates = options.createGroup
        autoAcks = options.autoAck
        onError = options.onError
        blockMs = options.blockMs
        claimIdleMs = options.claimIdleMs
        deliveriesMax = options.deliveriesMax
        consumer = options.consumer
        remaining = options.count ?? .max
        self.pending = pending
        handled = HandledEntries(streams: count)
        streams = Array(
            repeating: GroupStream(
                countsDeliveries: options.deliveriesMax != nil, claimIdleMs: options.claimIdleMs),
            count: count)
    }

    /// Other readers have a part in the same read, which does not follow. Rows that they have are
    /// rows of this read, too.
    mutating func shares(othersHaveRows: Bool) {
        sliceMs = TailPlan.sharedSliceMs
        hasRows = hasRows || othersHaveRows
    }

    // MARK: What to do

    mutating func next(_ moment: Moment) -> Step {
        let isReady = isBatchReady(moment)
        // Whatever is awaited: a time that has passed would wake the reader without end.
        if let pauseUntil, pauseUntil <= moment.now { self.pauseUntil = nil }
        switch moment.awaits {
        case .nothing: break
        // More is asked for although acknowledgements have not been answered yet.
        case .acknowledgements where hasBacklog && wanted(moment) > 0 && !isReady: break
        default: return .receive
        }
        if isReady { return .handOver }
        if wanted(moment) == 0 || moment.idleness.isOver { return finish() }
        if moment.idleness.isEmpty { return .handOver }
        if let pauseUntil { return .pause(until: pauseUntil) }
        if !follows, isOver(moment) { return finish() }
        return ask(moment)
    }

    /// Whether the batch is handed over now.
    func isBatchReady(_ moment: Moment) -> Bool {
        guard moment.rows > 0 else { return false }
        return moment.rows >= rowsMax || follows && moment.awaits != .answers
    }

    /// How many rows the batch may have.
    var rowsMax: Int { min(batchRows, remaining) }

    private func wanted(_ moment: Moment) -> Int { max(0, remaining - moment.rows) }

    private mutating func finish() -> Step {
        isEnding = true
        return .finish
    }

    /// A read that does not follow takes what there is, and waits only if that is nothing.
    private mutating func isOver(_ moment: Moment) -> Bool {
        guard cameEmpty else { return false }
        if hasRows || moment.rows > 0 { return true }
        guard let blockMs else { return true }
        if blockUntil == nil, blockMs > 0 {
            blockUntil = moment.now + blockMs
            return false
        }
        return blockUntil.map { moment.now >= $0 } ?? false
    }

    private mutating func ask(_ moment: Moment) -> Step {
        let now = moment.now
        for index in streams.indices {
            streams[index].retryIfDue(now)
            switch streams[index].phase {
            case .lost:
                return .ask(
                    .firstEntry(stream: index),
                    companion: .entry(stream: index, id: handled.last(index)))
            case .creating(let id): return .ask(.create(stream: index, at: id), companion: nil)
            case .counting(let after):
                let count = max(GroupPlan.pendingPage, 2 * page(moment))
                return .ask(
                    .deliveries(stream: index, after: after, count: count, idleMs: nil),
                    companion: nil)
            case .own(let after): return askForOwn(index, after: after, moment)
            case .missing, .ready: break
            }
        }
        let ready = streams.indices.filter { streams[$0].isReady }
        guard !ready.isEmpty else {
            let until = nextMissingRetry(now)
            pauseUntil = until
            return .pause(until: until)
        }
        for index in ready where streams[index].isLookDue(now) {
            return .ask(
                .look(
                    stream: index, after: streams[index].lookCursor, count: GroupPlan.pendingPage),
                companion: nil)
        }
        if !isTurnOfNew, let index = ready.first(where: { streams[$0].isClaimDue(now) }) {
            return askForIdle(index, moment)
        }
        isTurnOfNew = false
        return askForNew(ready, moment)
    }

    private mutating func askForOwn(_ stream: Int, after: EntryID, _ moment: Moment) -> Step {
        var count = page(moment)
        if deliveriesMax != nil {
            // No more than were counted.
            count = min(count, ownMax)
            ledger.askedForOwn()
        }
        // When a member begins, it is asked at once which entries can be claimed.
        let asksForIdle =
            after == .smallest && streams[stream].isClaimDue(moment.now)
            && streams[stream].claimable == nil
        return .ask(
            .own(stream: stream, after: after, count: count),
            companion: asksForIdle ? countIdle(stream, moment) : nil)
    }

    private func countIdle(_ stream: Int, _ moment: Moment) -> GroupRequest {
        .deliveries(
            stream: stream, after: streams[stream].claimCursor,
            count: max(GroupPlan.pendingPage, min(page(moment), GroupPlan.pageRows)),
            idleMs: claimIdleMs ?? 0)
    }

    private mutating func askForIdle(_ stream: Int, _ moment: Moment) -> Step {
        guard let run = streams[stream].claimable else {
            return .ask(countIdle(stream, moment), companion: nil)
        }
        if deliveriesMax != nil { ledger.askedForIdle(from: run.first, through: run.last) }
        return .ask(
            .claim(
                stream: stream, first: run.first, last: run.last,
                count: min(page(moment), run.count), idleMs: claimIdleMs ?? 0),
            companion: nil)
    }

    private mutating func askForNew(_ ready: [Int], _ moment: Moment) -> Step {
        // COUNT counts each stream by itself. What comes beyond what is wanted stays pending.
        var share = moment
        share.entriesMax /= ready.count
        var count = page(share)
        if wanted(moment) < count * ready.count { count = max(1, wanted(moment) / ready.count) }
        hadClaimed = hasClaimed(moment.now)
        return .ask(
            .new(streams: ready, count: count, blockMs: blockMs(ready, moment)), companion: nil)
    }

    /// How long the server is to wait for new entries.
    private func blockMs(_ ready: [Int], _ moment: Moment) -> Int64? {
        let now = moment.now
        let isDue = ready.contains { streams[$0].isClaimDue(now) }
        if isDue || follows && hasBacklog { return nil }
        let due = ready.reduce(nextMissingRetry(now)) { min($0, streams[$1].dueAt) }
        let slice = max(1, min(sliceMs, due - now))
        if follows { return moment.idleness.waitMs(now, most: slice) }
        // Only if nothing could be handed over instead.
        guard blockMs != nil, moment.rows == 0, !hasRows, cameEmpty else { return nil }
        return max(1, min(slice, blockUntil.map { $0 - now } ?? slice))
    }

    /// How many entries to ask for.
    private func page(_ moment: Moment) -> Int {
        var count = follows ? min(batchRows, GroupPlan.batchRowsMax) : GroupPlan.pageRows
        // What XPENDING tells of twice as many is read whole.
        if deliveriesMax != nil { count = min(count, GroupPlan.pageRows) }
        return max(1, min(count, wanted(moment), moment.entriesMax))
    }

    /// Whether no claiming is due: a read that does not follow has then looked at everything.
    private func hasClaimed(_ now: Int64) -> Bool {
        !streams.contains { $0.isReady && $0.isClaimDue(now) }
    }

    private func nextMissingRetry(_ now: Int64) -> Int64 {
        let soonest = streams.reduce(now + GroupStream.missingRetryMs) {
            min($0, $1.retryAt ?? .max)
        }
        return max(soonest, now)
    }

    /// Whether this asks for entries that are there already, without waiting for them: what was
    /// handed over is acknowledged while they come, and not before.
    func readsBacklog(_ request: GroupRequest) -> Bool {
        guard follows, case .new(_, _, blockMs: nil) = request else { return false }
        return true
    }

    // MARK: The connection and the groups

    mutating func connected(_ now: Int64) {
        for index in streams.indices { streams[index].connected(now) }
        pauseUntil = nil
    }

    /// `rows`: those of the batch, which stay in hand.
    mutating func connectionLost(rows: [RowID]) {
        hasBacklog = false
        ledger.delivered(rows)
        pending.connectionLost()
    }

    /// The server knows no group in the stream, or in one of the streams, of this request. False if
    /// that is an error to raise.
    mutating func groupLost(_ request: GroupRequest, _ now: Int64) -> Bool {
        guard let stream = request.stream else {
            if case .new(let asked, _, _) = request {
                for stream in asked { streams[stream].groupDoubted() }
            }
            return true
        }
        streams[stream].groupLost(now, creates: creates)
        return creates || streams.contains { !$0.isMissing }
    }

    /// The first entry of a stream whose group is lost.
    mutating func foundFirst(_ stream: Int, _ id: EntryID?) { streams[stream].foundFirst(id) }

    /// Whether the entry of such a stream is there that was handled last; nil if this user may not
    /// ask. The group is made where all is known to have been handled, or at the stream's beginning
    /// if the stream was begun again.
    mutating func foundHandled(_ stream: Int, isThere: Bool?) {
        let last = handled.last(stream)
        guard let isThere,
            !streams[stream].wasReset(
                since: last, isThere: handled.isEntry(stream) ? isThere : nil)
        else {
            // A new stream may have entries of the same ids.
            moved.forget(stream: stream)
            return streams[stream].create(at: .smallest)
        }
        streams[stream].create(at: beginning(stream))
    }

    /// After which entry a group that is lost begins again: all before it are handled.
    private func beginning(_ stream: Int) -> EntryID {
        let last = handled.last(stream)
        guard let oldest = pending.oldest(stream: stream) else { return last }
        return min(last, oldest.previous ?? .smallest)
    }

    /// The group is there. `isNew`: it was made at `id`; else it was there after all, and may still
    /// count as pending what is in hand.
    mutating func created(_ stream: Int, at id: EntryID, isNew: Bool, _ now: Int64) {
        if isNew {
            pending.forget(stream: stream)
            ledger.forget(stream: stream)
            moved.groupCreated(stream)
            handled.begin(stream, at: id)
        }
        streams[stream].created(now)
    }

    /// The group was made before anything was read.
    mutating func begin(_ stream: Int, at id: EntryID) { handled.begin(stream, at: id) }

    // MARK: Pending entries

    /// A page of XPENDING with counts. `inHand`: the entries that must not come again; `rows`: how
    /// many are in the batch. Returns the entries that were delivered too often.
    mutating func counted(
        _ page: [PendingLine], _ request: GroupRequest, inHand: Set<RowID>, rows: Int, _ now: Int64
    ) -> [DeadLetter] {
        guard case .deliveries(let stream, _, let count, let idleMs) = request else { return [] }
        let isOwn = idleMs == nil
        var letters: [DeadLetter] = []
        var claimable: [Int] = []
        ledger.beginPage(isOwn: isOwn)
        for (index, entry) in page.enumerated() {
            let row = RowID(id: entry.id, stream: Int32(truncatingIfNeeded: stream))
            let isInHand = inHand.contains(row)
            if let letter = deadLetter(entry, row, isOwnPage: isOwn, isInHand: isInHand) {
                letters.append(letter)
            } else if !isInHand {
                claimable.append(index)
            }
        }
        let isFull = page.count >= count
        if isOwn {
            ownMax = isFull ? page.count - letters.count : .max
            streams[stream].countedOwn(next: ownMax == 0 ? page.last?.id : nil)
        } else {
            streams[stream].countedIdle(
                now, run: firstRun(of: claimable, in: page, wanted: remaining - rows),
                last: isFull ? page.last?.id : nil)
        }
        return letters
    }

    private mutating func deadLetter(
        _ entry: PendingLine, _ row: RowID, isOwnPage: Bool, isInHand: Bool
    ) -> DeadLetter? {
        guard let deliveriesMax else { return nil }
        let (had, undelivered) = ledger.counted(
            row, entry.deliveries, isOwnPage: isOwnPage, isOwn: entry.consumer == consumer,
            isInHand: isInHand)
        guard !isInHand, had >= deliveriesMax else { return nil }
        return DeadLetter(
            row: row, consumer: entry.consumer, deliveries: entry.deliveries,
            undelivered: undelivered)
    }

    /// The first entries of a page that stand together and are all claimable.
    private func firstRun(
        of claimable: [Int], in page: [PendingLine], wanted: Int
    ) -> GroupStream.Claimable? {
        guard let first = claimable.first else { return nil }
        let most = min(batchRows, GroupPlan.pageRows, max(1, wanted), claimable.count)
        var count = 1
        while count < most, claimable[count] == first + count { count += 1 }
        return GroupStream.Claimable(
            first: page[first].id, last: page[first + count - 1].id, count: count)
    }

    /// A page of a look. `inHand`: the entries that must not come again. True if it was the last.
    mutating func looked(
        _ page: [PendingLine], _ request: GroupRequest, inHand: Set<RowID>, _ now: Int64
    ) -> Bool {
        guard case .look(let stream, let after, let count) = request else { return true }
        var rows: Set<RowID> = []
        var stray: EntryID?
        for entry in page {
            let row = RowID(id: entry.id, stream: Int32(truncatingIfNeeded: stream))
            rows.insert(row)
            if stray == nil, !inHand.contains(row) { stray = entry.id }
        }
        let last = page.count >= count ? page.last?.id : nil
        // What the server no longer counts as pending was acknowledged by someone else.
        pending.keepOnly(rows, stream: stream, after: after, through: last ?? .largest)
        ledger.keepOnly(rows, stream: stream, after: after, through: last ?? .largest)
        streams[stream].looked(now, last: last, stray: stray)
        return last == nil
    }

    // MARK: Entries

    /// An answer with entries has ended. `last`: the last of them. `hasNameless`: some
    /// were deleted, and the server did not tell their ids. `rows`: those of the batch.
    mutating func ended(
        _ request: GroupRequest, entries: Int, last: EntryID?, hasNameless: Bool, rows: [RowID]
    ) {
        ledger.delivered(rows)
        switch request {
        case .own(let stream, _, let count):
            streams[stream].ownPage(last: entries >= count ? last : nil)
            if entries < count { ledger.hasBegun(stream) }
        case .claim(let stream, _, _, _, _):
            isTurnOfNew = true
            streams[stream].claimed(hasNameless: hasNameless)
        case .new(_, let count, _):
            cameEmpty = entries == 0 && hadClaimed
            hasBacklog = entries >= count
        default: break
        }
    }

    /// Whether there may be more to read than the last answer had.
    var mayHaveMore: Bool { hasBacklog || !hadClaimed }

    /// The rows of a batch are handed over. `leftOut`: its entries that gave no row, which are
    /// acknowledged with it.
    mutating func handedOver(_ rows: [RowID], leftOut: [RowID] = []) {
        let before = handled
        pending.hold(rows)
        self.leftOut(leftOut, batch: rows)
        ledger.delivered(rows)
        remaining -= min(rows.count, remaining)
        handled.note(rows)
        if !rows.isEmpty { hasRows = true }
        settleMoved()
        lastBatch = (rows, leftOut, before)
    }

    /// An answer has ended, and there are no rows to hand over: entries that gave none have no
    /// batch to wait for.
    mutating func hasNoBatch(leftOut: [RowID]) {
        self.leftOut(leftOut, batch: [])
        settleMoved()
        if autoAcks { pending.queueHeld() }
    }

    private mutating func leftOut(_ rows: [RowID], batch: [RowID]) {
        guard !rows.isEmpty else { return }
        pending.holdRowless(rows, batch: batch)
        ledger.delivered(rows)
        handled.note(rows)
    }

    /// How many of these entries, which came as new ones, were handed over before.
    func repeated(_ rows: ArraySlice<RowID>) -> Int { handled.repeated(rows) }

    /// All rows that have come are handed over: dead letters among them are handled, too.
    private mutating func settleMoved() {
        guard !moved.isEmpty else { return }
        handled.note(moved.takeDelivered())
        moved.forget(upTo: streams.indices.map { beginning($0) })
    }

    var lastHandedOver: EntryID? { lastBatch?.rows.last?.id }

    /// The last entry of a stream that was handed over, or that needs not be; nil if none was.
    func lastHandled(_ stream: Int) -> EntryID? {
        handled.isEntry(stream) ? handled.last(stream) : nil
    }

    /// The caller asks for the next batch: it is done with the last one.
    mutating func nextIsAsked() {
        lastBatch = nil
        if autoAcks { pending.queueHeld() }
    }

    /// The last batch was not handed over after all. Returns how many of its rows come again; nil
    /// if there is no batch to take back.
    mutating func takeBack() -> Int? {
        guard let (rows, leftOut, before) = lastBatch, !rows.isEmpty else { return nil }
        let count = pending.takeBack(rows, others: leftOut)
        if deliveriesMax != nil { ledger.takenBack(rows) }
        handled = before
        if isCounted { remaining += count }
        lastBatch = nil
        return count
    }

    /// The read ends: entries that gave no row wait for no more batches. The rows of a read that
    /// does not follow are acknowledged without them.
    func queueRowless() {
        if follows {
            pending.queue([])
        } else {
            pending.queueRowless()
        }
    }

    /// An entry was delivered that cannot be handed over.
    mutating func refused(_ entry: RefusedEntry, _ now: Int64) -> RefusedEntry.Step {
        switch onError {
        case .skip where entry.isTooLarge: return .skip
        case .deadLetter:
            if moved.comesAgain(entry.row) { return .acknowledge }
            return .move(DeadLetter(row: entry.row, consumer: consumer, refusal: entry.refusal))
        default: break
        }
        guard follows else { return .raise }
        // After an entry that is too large, the connection is closed.
        if !entry.isTooLarge {
            pending.refuse(entry.row, until: now + GroupPlan.refusedRestMs)
            ledger.told(entry.row)
        }
        return .raiseLater
    }

    /// An entry was moved to the dead letters, or it turned out that it cannot be.
    mutating func letterEnded(_ letter: DeadLetter, _ outcome: DeadLetterTransaction.Outcome) {
        pending.forgetRefused(letter.row)
        switch outcome {
        case .kept, .deleted:
            ledger.forget(letter.row)
            if creates { moved.add(letter.row) }
        case .moved: ledger.told(letter.row)  // it may still be pending here
        }
    }
}
