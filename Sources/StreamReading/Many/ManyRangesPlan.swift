// SPDX-License-Identifier: Apache-2.0
// What to ask next when the same range of many streams is read, one stream after the other: many
// requests under way at once, since a small stream takes the server less time than the way to it.
// Pure: it knows no socket.

import RedcolBase

/// The state of a read of many ranges. `nextPage` says what to ask, the other functions what came
/// of it.
///
/// Answers come in the order of the questions, and rows are wanted in the order of the streams. So
/// the first page of one stream is asked for after that of another, and a stream that has more than
/// its first page is read on by a plan of its own (`rest`): what was asked after it is then passed
/// over, and asked again later. Only the first page of the next stream follows its last one, so
/// that the server is not idle between them. How many are asked for at once starts again at one
/// after that, and grows by one with each that was whole (so it doubles with each round): no more
/// streams are passed over than are read.
struct ManyRangesPlan {
    struct Page: Equatable {
        /// Which of the streams, counted from 0.
        var stream: Int
        var range: RangePlan.Page
    }

    /// Streams under way at once: what they ask for has to be encoded and kept.
    static let streamsUnderWayMost = 4_096
    /// Entries that the answers under way may have, in terms of those that are expected, when the
    /// streams are suddenly larger than those before.
    static let surpriseMost = 8
    /// Entries under way at once: enough for a server that is near, and for each millisecond of the
    /// way to one that is not.
    static let rowsUnderWay = 8_000
    static let rowsUnderWayPerMs = 3_500
    static let rowsUnderWayMost = 96_000
    /// What is asked of a stream at the least.
    static let firstPageRowsLeast = 64

    private let first: EntryID
    private let last: EntryID
    private let countPerStream: Int
    private let fixedPageRows: Int
    private let streamsMost: Int
    /// Whether no entry can be in the range.
    let isEmpty: Bool

    /// How many streams are known.
    private(set) var streamCount = 0
    /// The first stream that was not asked for.
    private var next = 0
    /// Entries that may still be read, of all streams.
    var remaining: Int
    /// What is left of a stream that is larger than its first page.
    private var rest: (stream: Int, plan: RangePlan, rows: Int)?

    /// Streams that may be under way now.
    private var depth = 1
    /// Whether more are asked for, until `depth` of them are under way. Else half of them are
    /// awaited first: one by one, each request would be a packet.
    private var isFilling = true
    private var rowsWanted = ManyRangesPlan.rowsUnderWay
    /// How many entries may be under way at once, since more do not get through.
    var entriesMax = Int.max {
        didSet { rest?.plan.entriesMax = entriesMax }
    }
    /// How many entries a stream had of late, on average; nil before the first.
    private var rowsPerStream: Int?
    private var pageRows = RangePlan.firstPageRows

    /// `first` or `last` nil: nothing lies in the range. `pageRows`, `streamsMost` 0: chosen here.
    /// `asksAnyway`: the streams are asked for also where no entry can come.
    init(
        first: EntryID?, last: EntryID?, count: Int?, countPerStream: Int?, pageRows: Int,
        streamsMost: Int, asksAnyway: Bool = false
    ) {
        self.first = first ?? .largest
        self.last = last ?? .smallest
        self.countPerStream = countPerStream ?? .max
        remaining = count ?? .max
        fixedPageRows = pageRows
        self.streamsMost = streamsMost > 0 ? streamsMost : ManyRangesPlan.streamsUnderWayMost
        let hasNone =
            first == nil || last == nil || self.first > self.last || count == 0
            || countPerStream == 0
        isEmpty = hasNone && !asksAnyway
    }

    /// The streams are known from now on; they are read in this order.
    mutating func found(streams: Int) { streamCount = isEmpty ? 0 : streams }

    // MARK: Asking

    /// What to ask now, while the answers to `underWay` pages are awaited; nil for nothing now.
    mutating func nextPage(underWay: Int) -> Page? {
        if let stream = rest?.stream {
            if let range = rest?.plan.nextPage(underWay: underWay) {
                return Page(stream: stream, range: range)
            }
            if underWay > 0 {
                guard next == stream + 1, next < streamCount, mayFollow else { return nil }
                return firstPage()
            }
            restEnded()
        }
        guard next < streamCount, remaining > 0 else { return nil }
        if underWay >= depthNow {
            isFilling = false
        } else if underWay <= depthNow / 2 {
            isFilling = true
        }
        guard isFilling else { return nil }
        // What is under way may be all that is wanted.
        if underWay > 0, remaining / underWay <= rowsPerStream ?? 1 { return nil }
        return firstPage()
    }

    /// Whether the next stream may be asked for after the last page of the one that is read on.
    private var mayFollow: Bool {
        remaining == .max && streamsMost > 1 && entriesMax == .max
            && rest?.plan.hasAskedAll == true
    }

    private mutating func firstPage() -> Page {
        next += 1
        return Page(
            stream: next - 1,
            range: RangePlan.Page(
                first: first, last: last, count: min(firstPageRows, countPerStream, remaining),
                asksForEnd: false))
    }

    /// How many entries the first page of a stream may have: so many that few streams have more.
    private var firstPageRows: Int {
        if fixedPageRows > 0 { return max(1, min(fixedPageRows, entriesMax)) }
        guard let rowsPerStream else { return pageRows }
        let likely = max(rowsPerStream, ManyRangesPlan.firstPageRowsLeast / 4)
        return max(1, min(likely * 4, pageRows, entriesMax))
    }

    private var depthNow: Int {
        let expected = rowsWanted / max(rowsPerStream ?? 1, 1)
        let surprise = rowsWanted * ManyRangesPlan.surpriseMost / firstPageRows
        return max(1, min(depth, expected, surprise, streamsMost, entriesMax / firstPageRows))
    }

    /// How long an answer takes to come, in milliseconds, the server's own time included.
    mutating func measured(roundTripMs: Int64) {
        let far = Int(min(max(roundTripMs, 0), 1_000)) * ManyRangesPlan.rowsUnderWayPerMs
        rowsWanted = min(ManyRangesPlan.rowsUnderWay + far, ManyRangesPlan.rowsUnderWayMost)
    }

    /// The last id of the stream that is read on; nil if that is not told.
    mutating func found(end: EntryID?) { rest?.plan.found(end: end) }

    /// Whether a page is the first of its stream.
    func begins(_ page: Page) -> Bool { page.range.first == first }

    // MARK: What has come of it

    /// How many entries of `page` are wanted: later pages of its stream may have more of them.
    func wanted(_ page: Page) -> Int {
        guard let rest, rest.stream == page.stream else { return page.range.count }
        return rest.plan.remaining
    }

    /// A page ended, or was ended since no more of it is wanted, with `entries`, the
    /// first and last of which are given, in `bytes` bytes; `rows` of them count (nil: all). True
    /// if what was asked after it must be passed over.
    mutating func pageEnded(
        _ page: Page, entries: Int, rows: Int? = nil, first: EntryID?, last: EntryID?, bytes: Int
    ) -> Bool {
        let rows = rows ?? entries
        remaining -= min(rows, remaining)
        if entries > 0, fixedPageRows == 0 {
            let entryBytes = max(bytes / entries, 1)
            pageRows = max(1, min(RangePlan.pageRowsMost, RangePlan.pageBytes / entryBytes))
        }
        if rest?.stream == page.stream {
            rest?.rows += entries
            let isCut =
                rest?.plan.pageEnded(
                    page.range, entries: entries, rows: rows, first: first, last: last,
                    bytes: bytes) ?? false
            guard isCut || rest?.plan.remaining == 0 else { return false }
            next = page.stream + 1
            return true
        }
        restEnded()
        let isCut = entries >= page.range.count && rows < countPerStream
        if isCut, remaining > 0, let last, last < page.range.last, let from = last.next {
            readOn(page.stream, from: from, after: rows)
            return true
        }
        depth = min(depth + 1, ManyRangesPlan.streamsUnderWayMost)
        observe(rows: entries)
        return false
    }

    /// The stream of this page is gone, or was replaced by something else. True if what was asked
    /// after it must be passed over.
    mutating func streamEnded(_ page: Page) -> Bool {
        guard rest?.stream == page.stream else { return false }
        rest = nil
        next = page.stream + 1
        return true
    }

    /// Whether all that was wanted of a stream has been asked for, and was not cut.
    func hasFinished(_ stream: Int) -> Bool {
        next > stream && (rest?.stream != stream || rest?.plan.hasAskedAll == true)
    }

    /// The plan of what `page`, of which nothing has come, and the pages after it would have been,
    /// for another connection.
    func rest(of page: Page) -> ManyRangesPlan {
        let left = rest?.stream == page.stream ? rest?.plan.remaining ?? 0 : countPerStream
        var plan = ManyRangesPlan(
            first: page.range.first, last: last, count: remaining == .max ? nil : remaining,
            countPerStream: left == .max ? nil : left, pageRows: fixedPageRows,
            streamsMost: streamsMost)
        plan.found(streams: 1)
        return plan
    }

    private mutating func readOn(_ stream: Int, from: EntryID, after rows: Int) {
        let left = countPerStream == .max ? remaining : min(countPerStream - rows, remaining)
        var plan = RangePlan(
            first: from, last: last, count: left == .max ? nil : left, pageRows: fixedPageRows)
        plan.entriesMax = entriesMax
        rest = (stream, plan, rows)
        next = stream + 1
        depth = 1
        isFilling = true
    }

    /// All pages of the stream that was read on have come.
    private mutating func restEnded() {
        guard let rows = rest?.rows else { return }
        rest = nil
        observe(rows: rows)
    }

    private mutating func observe(rows: Int) {
        guard let before = rowsPerStream else {
            rowsPerStream = rows
            return
        }
        // Rows are bounded by memory, so that this cannot overflow.
        rowsPerStream = (before * 7 + rows + 4) / 8
    }

    /// The connection was lost in the middle of `page` (the first of those under way; nil if none
    /// was), of which `rows` were read, up to `id` (nil: not one entry). `isEndTold`: see
    /// `RangePlan`.
    mutating func interrupted(_ page: Page?, upTo id: EntryID?, rows: Int, isEndTold: Bool) {
        depth = 1
        isFilling = true
        guard let page else {
            rest?.plan.interrupted(nil, upTo: nil, rows: 0, isEndTold: isEndTold)
            return
        }
        remaining -= min(rows, remaining)
        if rest?.stream == page.stream {
            rest?.rows += rows
            rest?.plan.interrupted(page.range, upTo: id, rows: rows, isEndTold: isEndTold)
            next = page.stream + 1
            return
        }
        rest = nil
        next = page.stream
        if id == nil, page.range.first == first { return }
        guard rows < countPerStream, let from = id.map({ $0.next }) ?? page.range.first,
            from <= last
        else {
            next = page.stream + 1
            return
        }
        readOn(page.stream, from: from, after: rows)
    }
}

extension ManyRangesPlan {
    init(_ range: ReadOptions.Range, _ options: ReadOptions) {
        let (range, count, countPerStream) = ManyRangesPlan.wanted(range, options)
        self.init(
            first: range.first, last: range.last, count: count, countPerStream: countPerStream,
            pageRows: options.pageRows, streamsMost: options.streamsAtOnce,
            asksAnyway: options.raisesMissingStreams)
    }

    /// Asks for an empty range of all streams, where it matters whether they are there.
    private static func wanted(
        _ range: ReadOptions.Range, _ options: ReadOptions
    ) -> (ReadOptions.Range, count: Int?, countPerStream: Int?) {
        guard options.raisesMissingStreams, options.count == 0 || options.countPerStream == 0
        else { return (range, options.count, options.countPerStream) }
        return (ReadOptions.Range(first: nil, last: nil), nil, nil)
    }
}
