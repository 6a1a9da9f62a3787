// SPDX-License-Identifier: Apache-2.0
// What to ask next when a range of ids is read: slices of the range, several of them under way at
// once, so that neither the server nor the way to it is ever idle. Pure: it knows no socket.

import RedcolBase

/// The state of a range read. `nextPage` says what to ask, the other functions what came of it.
///
/// Pages are disjoint slices of the range in its order, each as wide as is likely to hold
/// `pageRows` entries, judged from those before. A page that holds more than it may (`count`) is
/// cut there by the server; what was asked after it is then passed over, and asked again from the
/// cut.
struct RangePlan {
    struct Page: Equatable {
        var first: EntryID
        var last: EntryID
        var count: Int
        /// Ask for the stream's last id first, in the same write: reading ends there, however fast
        /// entries are added.
        var asksForEnd: Bool
    }

    /// A page that shows how large and how dense the entries are, before more are asked for.
    static let firstPageRows = 256
    /// How many entries a page should have at most: while the server collects them, its other
    /// clients wait.
    static let pageRowsMost = 800
    /// About how many bytes a page should have, and how many may be under way at once: enough for
    /// a server that is near, and for each millisecond of the way to one that is not. The server
    /// holds them until they are sent.
    static let pageBytes = 128 * 1024
    static let bytesUnderWay = 1536 * 1024
    /// The same through a unix socket. Redis writes no more than 64 KiB to a client before it looks
    /// at what else there is to do, and continues when the socket is three quarters empty: it would
    /// sleep in the middle of a larger page. Two pages, one that it makes and one that it is to
    /// find when it is done: it would make more of them at once, and sleep until they are read.
    static let pageBytesLocal = 56 * 1024
    static let bytesUnderWayLocal = 2 * pageBytesLocal
    static let bytesUnderWayPerMs = 448 * 1024
    static let bytesUnderWayMost = 12 * 1024 * 1024
    static let pagesUnderWayMost = 128

    /// How wide a slice is.
    private enum Width {
        case milliseconds(UInt64)
        /// Within one millisecond.
        case sequence(UInt64)
    }

    /// The first id that was not asked for; nil when all were.
    private var next: EntryID?
    private let last: EntryID
    /// The last id of the stream, if it matters.
    private var end: EntryID
    /// Entries that may still be read.
    private(set) var remaining: Int
    private let fixedPageRows: Int
    private var pageRows: Int
    private var width: Width?
    private var wasEmpty = false
    private var hasAskedForEnd: Bool
    private var pagesDone = 0
    /// Pages that may be under way now: after a cut it begins at one, so that a stream whose
    /// density cannot be guessed costs no more than a page in vain.
    private var depth = 1
    private let isLocal: Bool
    private var bytesWanted: Int
    /// How many entries may be under way at once, since more do not get through.
    var entriesMax = Int.max {
        didSet { pageRows = max(1, min(pageRows, entriesMax)) }
    }
    /// How many pages may be under way, once some together did not get through; grows again by one
    /// with each eight pages.
    private var depthMax = RangePlan.pagesUnderWayMost
    private var pagesSinceLoss = 0
    /// Bytes of an entry, estimated from the last page.
    private var entryBytes = 128

    /// `first` or `last` nil: nothing lies in the range. `pageRows` 0: chosen here. `isLocal`: the
    /// server is reached through a unix socket.
    init(first: EntryID?, last: EntryID?, count: Int?, pageRows: Int, isLocal: Bool = false) {
        self.isLocal = isLocal
        bytesWanted = isLocal ? RangePlan.bytesUnderWayLocal : RangePlan.bytesUnderWay
        next = last == nil ? nil : first
        self.last = last ?? .smallest
        end = self.last
        remaining = count ?? .max
        fixedPageRows = pageRows
        self.pageRows = pageRows > 0 ? pageRows : RangePlan.firstPageRows
        hasAskedForEnd = self.last != .largest
        if let first, first > self.last { next = nil }
        if remaining <= 0 { next = nil }
    }

    // MARK: Asking

    /// What to ask now, while the answers to `underWay` pages are awaited; nil for nothing now.
    mutating func nextPage(underWay: Int) -> Page? {
        guard let first = next, remaining > 0, first <= end else { return nil }
        guard underWay < (width == nil ? 1 : depth) else { return nil }
        // What is under way may be all that is wanted.
        let (expected, overflow) = pageRows.multipliedReportingOverflow(by: underWay)
        let left = overflow ? 0 : remaining - expected
        if left <= 0 { return nil }
        let bound = min(end, sliceEnd(first))
        // A slice may hold twice what is expected before it is cut.
        let (twice, _) = pageRows.multipliedReportingOverflow(by: 2)
        let usual = width == nil || fixedPageRows > 0 ? pageRows : twice
        let most = max(1, min(usual, entriesMax))
        if underWay > 0, entriesMax / most <= underWay { return nil }
        let page = Page(
            first: first, last: bound, count: min(most, left),
            asksForEnd: !hasAskedForEnd && pagesDone > 0)
        if page.asksForEnd { hasAskedForEnd = true }
        next = bound < end ? bound.next : nil
        return page
    }

    private func sliceEnd(_ first: EntryID) -> EntryID {
        switch width {
        case .none: return end
        case .milliseconds(let span):
            let (sum, overflow) = first.milliseconds.addingReportingOverflow(span - 1)
            return EntryID(overflow ? .max : sum, .max)
        case .sequence(let span):
            let (sum, overflow) = first.sequence.addingReportingOverflow(span - 1)
            return EntryID(first.milliseconds, overflow ? .max : sum)
        }
    }

    /// How long an answer takes to come, in milliseconds, the server's own time included.
    mutating func measured(roundTripMs: Int64) {
        let near = isLocal ? RangePlan.bytesUnderWayLocal : RangePlan.bytesUnderWay
        // The clock may have ticked within half a millisecond: only what lies behind a socket that
        // is forwarded takes longer.
        let way = isLocal ? roundTripMs - 1 : roundTripMs
        let far = Int(min(max(way, 0), 1_000)) * RangePlan.bytesUnderWayPerMs
        bytesWanted = min(near + far, RangePlan.bytesUnderWayMost)
    }

    private var depthMost: Int {
        let (pageBytes, overflow) = max(pageRows, 1).multipliedReportingOverflow(by: entryBytes)
        return min(depthMax, overflow ? 2 : max(2, bytesWanted / pageBytes))
    }

    /// The stream's last id at this moment; nil if that is not told.
    mutating func found(end: EntryID?) {
        guard let end, end < self.end else { return }
        self.end = end
        if let first = next, first > end { next = nil }
    }

    /// The server that is asked is a replica, and has the stream up to `end`: reading ends there,
    /// unless it `continues`. True if more was asked of it than it may have had then. All after
    /// `lastRead` is asked again, so that no later page has what an earlier one lacks.
    mutating func reaches(_ end: EntryID, lastRead: EntryID) -> Bool {
        let isBeyond = (next?.previous ?? self.end) > end
        if isBeyond { next = lastRead.next }
        found(end: end)
        return isBeyond
    }

    /// The primary has the stream up to `end`.
    mutating func continues(to end: EntryID) {
        let end = min(end, last)
        guard end > self.end else { return }
        if next == nil, remaining > 0 { next = self.end.next }
        self.end = end
    }

    /// Whether nothing more will be asked for, unless a page is cut.
    var hasAskedAll: Bool { remaining <= 0 || next.map { $0 > end } ?? true }

    /// Whether there is much to read, and more to ask for.
    var isLarge: Bool { pagesDone >= RangePlan.pagesOfLarge && next != nil }
    static let pagesOfLarge = 8

    // MARK: What has come of it

    /// A page ended with `entries`, the first and last of which are given, in `bytes`
    /// bytes; `rows` of them count (nil: all). True if it was cut, so that the pages after it must
    /// be passed over.
    mutating func pageEnded(
        _ page: Page, entries: Int, rows: Int? = nil, first: EntryID?, last: EntryID?, bytes: Int
    ) -> Bool {
        pagesDone += 1
        pagesSinceLoss &+= 1
        if depthMax < RangePlan.pagesUnderWayMost, pagesSinceLoss & 7 == 0 { depthMax += 1 }
        remaining -= min(rows ?? entries, remaining)
        let isCut = entries >= page.count && (last.map { $0 < page.last } ?? false)
        if entries > 0 { entryBytes = max(bytes / entries, 1) }
        if entries > 0, fixedPageRows == 0 {
            let pageBytes = isLocal ? RangePlan.pageBytesLocal : RangePlan.pageBytes
            pageRows = max(1, min(RangePlan.pageRowsMost, pageBytes / entryBytes, entriesMax))
        }
        if isCut {
            depth = width == nil ? min(4, depthMost) : 1
            next = last?.next
        } else {
            // A slice without entries says nothing about how dense the next ones are.
            if entries > 0 { depth = min(depth * 2, depthMost) }
            if page.last >= end { next = nil }
        }
        adaptWidth(page, entries: entries, first: first, last: last, isCut: isCut)
        return isCut
    }

    private mutating func adaptWidth(
        _ page: Page, entries: Int, first: EntryID?, last: EntryID?, isCut: Bool
    ) {
        let rows = UInt64(entries)
        let wanted = UInt64(pageRows)
        if case .sequence = width, !isCut, rows < wanted {
            // Few are left in this millisecond, if any: next comes the rest of it.
            width = .milliseconds(1)
            depth = 1
            return
        }
        guard let first, let last, entries > 0 else {
            // A gap: the next slices are wider, until entries come again.
            if wasEmpty, case .milliseconds(let span) = width {
                width = .milliseconds(grown(span, by: 8))
            }
            wasEmpty = true
            return
        }
        wasEmpty = false
        // A page that was cut, and the first, say nothing about the slice as a whole.
        let isPart = isCut || width == nil
        let from = isPart ? first.milliseconds : page.first.milliseconds
        let to = isPart ? last.milliseconds : page.last.milliseconds
        let span = to >= from ? to - from : 0
        if span == 0, isCut || rows >= wanted {
            width = .sequence(wanted)
            return
        }
        // Entries per millisecond say how many milliseconds hold the rows wanted.
        let (milliseconds, isAll) = span.addingReportingOverflow(1)
        let (product, overflow) = (isAll ? span : milliseconds)
            .multipliedReportingOverflow(by: wanted)
        var ideal = max(1, (overflow ? .max : product) / rows)
        if case .milliseconds(let before) = width {
            ideal = min(max(ideal, before / 8), grown(before, by: 8))
        }
        width = .milliseconds(ideal)
    }

    private func grown(_ span: UInt64, by factor: UInt64) -> UInt64 {
        let (product, overflow) = max(span, 1).multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }

    /// The connection was lost in the middle of `page` (the first of those under way; nil if none
    /// was), of which `rows` were read, up to `id`.
    /// `isEndTold`: whether no question for the stream's end was left without an answer.
    /// `underWay`: how many pages were.
    mutating func interrupted(
        _ page: Page?, upTo id: EntryID?, rows: Int, isEndTold: Bool = true, underWay: Int = 0
    ) {
        depth = 1
        pagesSinceLoss = 0
        // All of these pages together may be more than the server keeps for a client.
        if id == nil, underWay > 1 { depthMax = max(1, min(depthMax, underWay) / 2) }
        if !isEndTold { hasAskedForEnd = false }
        guard let page else { return }
        remaining -= min(rows, remaining)
        next = id.map { $0.next } ?? page.first
        if let first = next, first > end { next = nil }
    }
}
