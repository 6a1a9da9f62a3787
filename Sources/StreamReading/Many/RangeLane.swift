// SPDX-License-Identifier: Apache-2.0
// The way to one node of a cluster for a read of many ranges, or to the one server: its connection,
// its streams, and what is awaited of it.

import RedcolBase
import RedisConnection
import RedisTopology

/// A connection on which ranges of many streams are read, one stream after the other.
final class RangeLane {
    enum Awaited {
        /// Keys that match the pattern.
        case keys
        /// The last entry of the stream that is read on.
        case end
        case page(ManyRangesPlan.Page)
        /// A page whose entries are not wanted, or are asked for again.
        case discarded(ManyRangesPlan.Page)
    }

    let connection: Connection
    var plan: ManyRangesPlan
    /// Which of all streams these are, in their order; nil: all are.
    let streams: [Int]?
    /// The search for streams on this node, while it lasts.
    var scan: KeyScan?
    /// Which of its streams is in hand next.
    var position = 0
    var awaited = Queue<Awaited>()
    var pagesUnderWay = 0
    var roundTrip = RoundTrip()
    var lastEntry = LastEntry()
    /// Whether it was asked, or is to be asked when its turn comes.
    var hasBegun = false

    init(_ connection: Connection, _ plan: ManyRangesPlan, streams: [Int]?) {
        self.connection = connection
        self.plan = plan
        self.streams = streams
    }

    /// Which of all streams a page is of.
    func stream(_ page: ManyRangesPlan.Page) -> Int { streams?[page.stream] ?? page.stream }

    /// The connection is gone. Of the first page that was awaited `rows` were read, up to `id`.
    func connectionLost(upTo id: EntryID?, rows: Int) {
        var head: ManyRangesPlan.Page?
        var isEndTold = true
        for reply in awaited.waiting {
            if case .page(let page) = reply, head == nil { head = page }
            if case .end = reply { isEndTold = false }
        }
        plan.interrupted(head, upTo: id, rows: rows, isEndTold: isEndTold)
        scan?.interrupted()
        lastEntry.connectionLost()
        awaited.removeAll()
        pagesUnderWay = 0
        roundTrip = RoundTrip()
        hasBegun = false
    }

    /// Whether all of a stream has come: one that `stream` names.
    func hasFinished(_ stream: Int) -> Bool {
        if case .page(let page) = awaited.first, page.stream == stream { return false }
        return plan.hasFinished(stream)
    }
}
