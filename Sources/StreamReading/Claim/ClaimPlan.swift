// SPDX-License-Identifier: Apache-2.0
// What to ask next when entries are claimed for a consumer: a page of them at a time. Pure: it
// knows no socket.

import RedcolBase

/// Which pending entries are claimed.
public enum ClaimedEntries: Equatable, Sendable {
    case named([EntryID])
    /// All that have been idle for long enough.
    case idle
}

/// The state of a claim. `next` says what to ask, `ended` what came of it.
struct ClaimPlan {
    enum Request: Equatable {
        /// XCLAIM of these, in the order of their ids.
        case named(ArraySlice<EntryID>)
        /// XAUTOCLAIM of at most so many, from this id on.
        case idle(from: EntryID, count: Int)
    }

    static let firstPageRows = 100
    /// As of ranges: other clients wait for each page.
    static let pageRowsMost = RangePlan.pageRowsMost
    static let pageBytes = RangePlan.pageBytes

    private let ids: [EntryID]?
    private var asked = 0
    /// Where XAUTOCLAIM continues; nil: it has seen all.
    private var cursor: EntryID? = .smallest
    private var pageRows = ClaimPlan.firstPageRows
    /// Entries that may still be claimed.
    private var remaining: Int

    init(_ entries: ClaimedEntries, count: Int?) {
        if case .named(let named) = entries {
            var distinct: [EntryID] = []
            distinct.reserveCapacity(named.count)
            for place in sortedIndices(named.count, { named[$0] < named[$1] })
            where distinct.last != named[place] {
                distinct.append(named[place])
            }
            ids = distinct
        } else {
            ids = nil
        }
        remaining = count ?? .max
    }

    /// Nil when all is claimed.
    var next: Request? {
        let rows = min(pageRows, remaining)
        guard rows > 0 else { return nil }
        if let ids {
            return asked < ids.count ? .named(ids[asked..<min(asked + rows, ids.count)]) : nil
        }
        return cursor.map { .idle(from: $0, count: rows) }
    }

    /// A page has come, of so many entries and bytes. `cursor`: where XAUTOCLAIM continues. False
    /// if it does not get any further.
    mutating func ended(_ request: Request, entries: Int, bytes: Int, cursor next: EntryID) -> Bool
    {
        remaining -= min(remaining, entries)
        if entries > 0 {
            pageRows = max(
                1, min(ClaimPlan.pageBytes / max(1, bytes / entries), ClaimPlan.pageRowsMost))
        }
        switch request {
        case .named(let ids): asked = ids.endIndex
        case .idle(let from, _):
            guard next == .smallest || next > from else { return false }
            cursor = next == .smallest ? nil : next
        }
        return true
    }
}
