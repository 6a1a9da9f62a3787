// What to ask next when a range of ids is read: pages, each beginning after the last entry of the
// one before. Pure: it knows no socket.

/// The state of a range read. `nextPage()` says what to ask, the other functions what came of it.
struct RangePlan {
    struct Page: Equatable {
        var first: EntryID
        var last: EntryID
        var count: Int
        /// Ask for the stream's last id first, in the same write: reading ends there, however fast
        /// entries are added.
        var asksForEnd: Bool
    }

    /// A page that shows how large the entries are, before larger pages are asked for.
    static let firstPageRows = 256
    static let pageRowsMost = 10_000
    /// About what a page should have: the server builds the whole of it in memory before it sends
    /// any.
    static let pageBytes = 4 * 1024 * 1024

    private var next: EntryID?
    private var last: EntryID
    private var remaining: Int
    private let fixedPageRows: Int
    private var pageRows: Int
    private var isEndKnown: Bool
    private var pagesDone = 0

    /// `first` or `last` nil: nothing lies in the range. `pageRows` 0: chosen here.
    init(first: EntryID?, last: EntryID?, count: Int?, pageRows: Int) {
        next = last == nil ? nil : first
        self.last = last ?? .smallest
        remaining = count ?? .max
        fixedPageRows = pageRows
        self.pageRows = pageRows > 0 ? pageRows : RangePlan.firstPageRows
        isEndKnown = last != .largest
        if let first, first > self.last { next = nil }
        if remaining <= 0 { next = nil }
    }

    /// What to ask now; nil when everything has been read.
    func nextPage() -> Page? {
        guard let next else { return nil }
        return Page(
            first: next, last: last, count: min(pageRows, remaining),
            asksForEnd: !isEndKnown && pagesDone > 0)
    }

    /// The stream's last id at this moment; nil for an empty stream.
    mutating func found(end: EntryID?) {
        guard !isEndKnown else { return }
        isEndKnown = true
        if let end, end < last { last = end }
    }

    /// Entries were read up to `id`; also called when a page was cut short by a lost connection.
    mutating func read(upTo id: EntryID, entries: Int) {
        remaining -= min(entries, remaining)
        next = id < last && remaining > 0 ? id.next : nil
    }

    /// A page came to its end with `entries` of the `asked`, in `bytes` bytes.
    mutating func pageEnded(asked: Int, entries: Int, bytes: Int) {
        pagesDone += 1
        if entries < asked { next = nil }
        guard fixedPageRows == 0, entries > 0 else { return }
        let entryBytes = max(bytes / entries, 1)
        pageRows = max(1, min(RangePlan.pageRowsMost, RangePlan.pageBytes / entryBytes))
    }
}
