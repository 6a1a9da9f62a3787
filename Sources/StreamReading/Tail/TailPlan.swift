// SPDX-License-Identifier: Apache-2.0
// What to ask next when streams are followed without a group: entries after those that were read,
// and now and then whether a stream was deleted and begun again. Pure: it knows no socket, and time
// is passed in. What it says is sent unchanged.

import RedcolBase

/// Where a read that follows is in each of its streams. `next` says what to do; the other functions
/// take the results.
struct TailPlan {
    /// The server is asked to wait this long at most: a connection that died unnoticed is found
    /// out.
    static let sliceMs: Int64 = 1_000
    /// The same for a reader that is one of several: each learns only then that another has rows.
    static let sharedSliceMs: Int64 = 100
    /// How often an idle stream is looked at, to see whether it was deleted and begun again.
    static let resetCheckMs: Int64 = 5_000
    private static let pageRows = 10_000
    private static let batchRowsMax = 1_000_000
    /// The next answer is prefetched if the one before was no larger: a reader that is slow leaves
    /// about that waiting in the server.
    private static let prefetchBytesMax = 256 * 1024
    /// Entries, batches, and about how many bytes, of a backlog that are asked for together where
    /// batches are smaller: while the server collects them, its other clients wait. The next
    /// entries may be far larger than the last ones: then the number of batches is what bounds
    /// them.
    private static let backlogRows = 800
    private static let backlogBytes = 128 * 1024
    private static let backlogBatches = 8

    /// XREAD: entries after these ids.
    struct Entries: Equatable {
        var streams: [Int]
        var after: [EntryID]
        /// COUNT: how many of each stream.
        var count: Int
        /// How long the server is asked to wait for some; nil for not at all.
        var blockMs: Int64?
        /// Whether the caller has a batch to work on meanwhile.
        var isPrefetch = false

        /// How many may come of all streams.
        var entriesMax: Int {
            let (all, overflow) = count.multipliedReportingOverflow(by: streams.count)
            return overflow ? .max : all
        }
    }

    enum Step: Equatable {
        /// Wait for the answer that comes next.
        case receive
        /// Hand over the batch, with the rows that it has; `prefetch`: ask for this before.
        case handOver(prefetch: Entries?)
        /// Nothing more will come.
        case end
        case ask(Entries)
        /// XINFO STREAM: how far these streams have come.
        case askHowFar([Look])
    }

    /// Whether a stream was deleted and begun again.
    struct Look: Equatable {
        var stream: Int
        /// XREVRANGE, before: the last entry up to this one, the last that was read. Only on a new
        /// connection: a server that has lost its data may have come further by now.
        var entry: EntryID?
    }

    /// What the plan has to know of its reader.
    struct Moment {
        var now: Int64
        /// Rows in the batch.
        var rows = 0
        var awaitsReply = false
        /// How many entries an answer may have.
        var entriesMax = Int.max
        var idleness: Idleness
    }

    /// An answer with entries.
    struct Answer {
        var entries: Int
        var bytes: Int
        /// How many streams it has entries of, and of how many it has all that were asked for.
        var streams: Int
        var fullStreams: Int
        /// Whether it had rows, or entries that were left out.
        var hadRows: Bool
    }

    private let follows: Bool
    private let isCounted: Bool
    private let batchRows: Int
    private let readBlockMs: Int64?
    /// Of each stream, entries after this one are not read; nil: all are.
    private(set) var upper: [EntryID?]
    /// Reading ends when the server has nothing more.
    private var endsWhenEmpty = false

    /// The last entry that was read of each stream.
    private(set) var cursors: [EntryID]
    /// The last entry that became a row, of whatever stream.
    private(set) var lastRow: EntryID?
    /// How far each stream is known to have come; nil before that is known.
    private var seen: [EntryID?]
    /// Where reading begins, if that is not known to be an entry.
    private var starts: [EntryID?]
    /// The connection is new.
    private var isDoubtful = false
    /// Streams where the last entry that was read is gone, and an earlier one is there.
    private var doubtful: Set<Int> = []
    /// Where the batch that is being read begins, and where the last one did, with its rows.
    private var batchFrom: [EntryID]
    private var watches: [GapWatch]
    /// Streams that are looked at before they are read: of what is gone then, nothing is missed.
    /// They stay until they were looked at, whichever connection that takes.
    private var firstLooks: [Int] = []
    /// Where the reading of a stream ended before its end, since entries after it came.
    private var stops: [EntryID?]
    /// Whether each stream's end was an entry when reading began.
    private var endWasThere: [Bool]
    /// Streams that are looked at once more before the end is told: what is gone since the last
    /// look was missed. Nil before that is due.
    private var lastLooks: [Int]?
    private var gaps: [(stream: Int, gap: Gap)] = []
    private var lastBatch: (from: [EntryID], rows: Int)?
    /// Entries that may still be read.
    var remaining: Int
    private var hasRows = false
    private var sliceMs = TailPlan.sliceMs
    private var nextResetCheck: Int64 = 0
    /// When a read that does not follow stops waiting; nil for never.
    private var blockUntil: Int64?
    private var hasBlocked = false
    /// A read that does not follow has what it came for.
    private var isOver = false
    /// Whether the last answer had as many entries of a stream as were asked for: there may be
    /// more.
    private(set) var hasBacklog = false
    private var answerBytes = 0
    /// What an entry takes, as far as the last answer tells.
    private var entryBytes = 128
    /// How many streams share a batch: those that filled their part of the last answer. If none
    /// did, those that had an entry in it. So entries that trickle into some streams take nothing
    /// from one with a backlog.
    private var streamsSharing: Int

    init(streams: Int, options: ReadOptions) {
        follows = options.follows
        isCounted = options.count != nil
        batchRows = options.batchRows
        readBlockMs = options.blockMs
        upper = Array(repeating: nil, count: streams)
        remaining = options.count ?? .max
        streamsSharing = max(1, streams)
        cursors = Array(repeating: .smallest, count: streams)
        seen = Array(repeating: nil, count: streams)
        starts = seen
        batchFrom = cursors
        watches = Array(repeating: GapWatch(), count: streams)
        stops = seen
        endWasThere = Array(repeating: false, count: streams)
    }

    /// Reading begins after these entries. `seen`: how far the streams have come, where known.
    mutating func begin(after ids: [EntryID], seen: [EntryID?], _ now: Int64) {
        cursors = ids
        batchFrom = ids
        self.seen = seen
        starts = ids.indices.map { ids[$0] == seen[$0] ? nil : ids[$0] }
        nextResetCheck = now + TailPlan.resetCheckMs
    }

    /// Looks at the streams that are read from their beginning before that. What they lose after
    /// the look is a gap.
    mutating func looksAtBeginnings() {
        firstLooks = cursors.indices.filter { cursors[$0] == .smallest && upper[$0] != .smallest }
    }

    /// Entries after these are not read. `whenEmpty`: all that is wanted is there, so that reading
    /// ends when nothing comes: the last entries may be gone by then.
    mutating func ends(with last: [EntryID], whenEmpty: Bool) {
        for stream in upper.indices {
            upper[stream] = min(last[stream], upper[stream] ?? .largest)
            endWasThere[stream] = whenEmpty && upper[stream] == last[stream]
        }
        endsWhenEmpty = whenEmpty
    }

    /// Other readers have a part in the same read, which does not follow. Rows that they have are
    /// rows of this read, too.
    mutating func shares(othersHaveRows: Bool) {
        sliceMs = TailPlan.sharedSliceMs
        hasRows = hasRows || othersHaveRows
    }

    // MARK: What to do

    mutating func next(_ moment: Moment) -> Step {
        if remaining == 0 { return .end }
        if moment.awaitsReply { return .receive }
        if isOver || hasReachedEnd { return end(moment) }
        if follows, moment.rows > 0 {
            let mayPrefetch =
                hasBacklog && answerBytes <= TailPlan.prefetchBytesMax
                && moment.now < nextResetCheck
            return .handOver(
                prefetch: mayPrefetch ? entries(moment, blockMs: nil, isPrefetch: true) : nil)
        }
        if moment.idleness.isOver { return end(moment) }
        if moment.idleness.isEmpty { return .handOver(prefetch: nil) }
        if follows, !firstLooks.isEmpty {
            return .askHowFar(firstLooks.map { Look(stream: $0) })
        }
        if follows, moment.now >= nextResetCheck {
            nextResetCheck = moment.now + TailPlan.resetCheckMs
            let looks = seen.indices.filter { seen[$0] != nil }.map {
                Look(stream: $0, entry: isDoubtful ? lastRead($0) : nil)
            }
            isDoubtful = false
            // Not together with XREAD: its answer could be from before what must be read again.
            if !looks.isEmpty { return .askHowFar(looks) }
        }
        return .ask(entries(moment, blockMs: blockMs(moment), isPrefetch: false))
    }

    /// Nothing more will come, if nothing was missed.
    private mutating func end(_ moment: Moment) -> Step {
        guard follows else { return .end }
        let looks =
            lastLooks
            ?? cursors.indices.filter { stream in
                guard let end = upper[stream] else { return true }
                return (stops[stream] ?? cursors[stream]) < end
                    && (endWasThere[stream] || watches[stream].knows(upTo: end))
            }
        if looks.isEmpty { return .end }
        if moment.rows > 0 { return .handOver(prefetch: nil) }
        lastLooks = looks
        return .askHowFar(looks.map { Look(stream: $0) })
    }

    /// How many rows the batch may have, `noted` of which were noted: no more than a batch, and no
    /// more than are wanted in all.
    func rowsMax(noted: Int) -> Int {
        let (wanted, overflow) = noted.addingReportingOverflow(remaining)
        return min(batchRows, overflow ? .max : wanted)
    }

    private var hasReachedEnd: Bool {
        !cursors.indices.contains { stream in upper[stream].map { cursors[stream] < $0 } ?? true }
    }

    /// A read that does not follow takes what is there, and waits only if that is nothing.
    private mutating func blockMs(_ moment: Moment) -> Int64? {
        if endsWhenEmpty { return nil }
        if follows { return moment.idleness.waitMs(moment.now, most: sliceMs) }
        if hasRows { return nil }
        if blockUntil == nil, let readBlockMs, readBlockMs > 0 {
            blockUntil = moment.now + readBlockMs
        }
        hasBlocked = true
        guard let blockUntil else { return sliceMs }
        return max(1, min(sliceMs, blockUntil - moment.now))
    }

    private func entries(_ moment: Moment, blockMs: Int64?, isPrefetch: Bool) -> Entries {
        let wanted = cursors.indices.filter { stream in
            upper[stream].map { cursors[stream] < $0 } ?? true
        }
        let most = moment.entriesMax / max(1, wanted.count)
        return Entries(
            streams: wanted, after: wanted.map { cursors[$0] },
            count: max(1, min(page(of: wanted.count), remaining, most)), blockMs: blockMs,
            isPrefetch: isPrefetch)
    }

    /// How many entries of each of so many streams are asked for, so that all that have some make
    /// up a batch; of a backlog several small batches, since every answer wakes the server and this
    /// reader up.
    private func page(of streamCount: Int) -> Int {
        guard follows else { return TailPlan.pageRows }
        let batch = min(batchRows, TailPlan.batchRowsMax)
        let share = batch / streamsSharing
        guard hasBacklog else { return max(1, share) }
        // By now, any of the streams may have that many.
        let most =
            min(
                TailPlan.backlogRows, TailPlan.backlogBytes / entryBytes,
                TailPlan.backlogBatches * batch) / max(1, streamCount)
        return max(1, share, most < batch ? most : most / batch * batch)
    }

    // MARK: Results

    /// The connection is gone. The server may come back without what it had.
    mutating func connectionLost() {
        hasBacklog = false
        nextResetCheck = 0
        isDoubtful = true
        doubtful = []
    }

    /// These entries were read. `passed`: the streams that have sent an entry after the end.
    mutating func note(_ rows: [RowID], leftOut: [RowID], passed: Set<Int>) {
        note(rows)
        note(leftOut)
        for stream in watches.indices where stops[stream] == nil {
            if let gap = watches[stream].reached(cursors[stream]) { gaps.append((stream, gap)) }
        }
        if let last = rows.last { lastRow = last.id }
        for stream in passed {
            guard let last = upper[stream], cursors[stream] < last else { continue }
            stops[stream] = cursors[stream]
            cursors[stream] = last
        }
        remaining -= min(rows.count, remaining)
        if !rows.isEmpty { hasRows = true }
    }

    /// One look at the arrays for each run of rows of one stream.
    private mutating func note(_ rows: [RowID]) {
        var next = 0
        while next < rows.count {
            let begin = next
            while next < rows.count, rows[next].stream == rows[begin].stream { next += 1 }
            let (stream, last) = (Int(rows[begin].stream), rows[next - 1].id)
            cursors[stream] = max(cursors[stream], last)
            seen[stream] = max(seen[stream] ?? last, last)
            watches[stream].read(rows[begin..<next])
        }
    }

    /// How far a stream reaches; nil if the server does not say. Only when all that was read is
    /// noted.
    mutating func looked(_ extent: StreamExtent?, _ stream: Int) {
        let isLast = lastLooks?.contains(stream) ?? false
        lastLooks?.removeAll { $0 == stream }
        var gap: Gap?
        if isLast, let end = upper[stream] {
            gap = watches[stream].ended(
                extent, cursor: stops[stream] ?? cursors[stream], end: end,
                wasThere: endWasThere[stream])
        } else if let extent, stops[stream] == nil {
            gap = watches[stream].looked(extent, cursor: cursors[stream])
        }
        if let gap { gaps.append((stream, gap)) }
    }

    /// The gaps that were noticed since this was asked last.
    mutating func takeGaps() -> [(stream: Int, gap: Gap)] {
        if gaps.isEmpty { return [] }
        defer { gaps = [] }
        return gaps
    }

    /// An answer has ended.
    mutating func ended(_ answer: Answer, _ now: Int64) {
        answerBytes = answer.bytes
        if answer.entries > 0 { entryBytes = max(1, answer.bytes / answer.entries) }
        hasBacklog = answer.fullStreams > 0
        if answer.streams > 0 { streamsSharing = hasBacklog ? answer.fullStreams : answer.streams }
        if endsWhenEmpty, answer.entries == 0 { isOver = true }
        if !follows, !answer.hadRows {
            let isLate = blockUntil.map { now >= $0 } ?? false
            isOver = hasRows || hasBlocked && isLate
        }
    }

    /// Reading continues after this entry, which becomes no row; the caller gets its error.
    /// `isFirst`: the batch has no rows before it.
    mutating func pass(_ id: EntryID, _ stream: Int, isFirst: Bool) {
        cursors[stream] = max(cursors[stream], id)
        watches[stream].read([RowID(id: id, stream: Int32(truncatingIfNeeded: stream))])
        // The caller gets its error now, and not a second time.
        if isFirst { batchFrom = cursors }
    }

    /// The entry where the cursor of a stream is; nil if it is not known to be one.
    private func lastRead(_ stream: Int) -> EntryID? {
        let id = cursors[stream]
        return id == .smallest || id == starts[stream] || id == upper[stream] ? nil : id
    }

    /// The last entry that is left up to the one that was read last; nil: none is. Trimming takes
    /// the oldest entries. So if only an earlier one is left, the one read last was deleted by
    /// itself, or all were.
    mutating func foundEntry(_ id: EntryID?, _ stream: Int) {
        if let id, id < cursors[stream] { doubtful.insert(stream) }
    }

    /// How far a stream has come, and the largest id that was deleted from it; nil for what the
    /// server does not say. A stream that has not come as far as it was seen was deleted and begun
    /// again: then its entries are all new. Deleting and trimming entries does not change how far
    /// it came. So it is with a stream in doubt, unless an entry as late as the last that was read
    /// was deleted by itself. Where that is not known, entries rather come twice than never.
    /// Returns how far it was seen before, if it was begun again.
    mutating func foundLast(
        _ last: EntryID?, deleted: EntryID? = nil, _ stream: Int
    ) -> EntryID? {
        firstLooks.removeAll { $0 == stream }
        let isGone = doubtful.remove(stream) != nil && (deleted ?? .smallest) < cursors[stream]
        guard let before = seen[stream], isGone || last.map({ $0 < before }) ?? false
        else { return nil }
        cursors[stream] = .smallest
        batchFrom[stream] = .smallest
        watches[stream] = GapWatch()
        seen[stream] = last
        stops[stream] = nil
        endWasThere[stream] = false
        // Unless only what was there at the beginning is wanted, there is more to read.
        if !endsWhenEmpty { lastLooks = nil }
        return before
    }

    /// A batch of so many rows is handed over.
    mutating func handedOver(rows: Int) {
        lastBatch = (batchFrom, rows)
        batchFrom = cursors
    }

    /// The caller is done with the last batch.
    mutating func nextIsAsked() { lastBatch = nil }

    /// The last batch comes again. Returns how many rows it had; nil without a last batch.
    mutating func takeBack() -> Int? {
        guard let (from, rows) = lastBatch else { return nil }
        lastBatch = nil
        goBack(to: from, rows: rows)
        return rows
    }

    /// The batch that was being read comes again.
    mutating func readAgain(rows: Int) { goBack(to: batchFrom, rows: rows) }

    private mutating func goBack(to from: [EntryID], rows: Int) {
        cursors = from
        batchFrom = from
        for stream in watches.indices {
            watches[stream] = GapWatch()
            stops[stream] = nil
        }
        lastLooks = nil
        if isCounted { remaining += rows }
    }
}
