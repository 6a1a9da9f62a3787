// SPDX-License-Identifier: Apache-2.0
// The way to one node of a cluster for a read of many ranges, or to the one server: its connection,
// its streams, and what is awaited of it. While other nodes' rows are taken, it looks through what
// has come, so that its node is asked for more.

import RedcolBase
import RedisConnection
import RedisTopology

/// A connection on which ranges of many streams are read, one stream after the other.
final class RangeLane {
    enum Awaited {
        /// Keys that match the pattern.
        case keys
        /// Whether this one of its streams is there.
        case exists(Int)
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
    private(set) var awaited = Queue<Awaited>()
    private(set) var hasAnswered = false
    private(set) var pagesUnderWay = 0
    var roundTrip = RoundTrip()
    var lastEntry = LastEntry()
    /// Whether it was asked, or is to be asked when its turn comes.
    var hasBegun = false

    /// How many of those awaited have come and were looked through before their turn: `plan` knows
    /// what they have.
    private var seen = 0
    /// Where what was not looked through begins, among all bytes that the connection has received.
    private var seenUpTo = 0
    /// The one that is being looked through, and its bytes so far.
    private var skim: PageSkim?
    private var skimmedBytes = 0

    init(_ connection: Connection, _ plan: ManyRangesPlan, streams: [Int]?) {
        self.connection = connection
        self.plan = plan
        self.streams = streams
    }

    /// Which of all streams a page is of.
    func stream(_ page: ManyRangesPlan.Page) -> Int { streams?[page.stream] ?? page.stream }

    func asked(_ reply: Awaited) {
        awaited.append(reply)
        if case .page = reply { pagesUnderWay += 1 }
    }

    /// The first of those awaited was taken. False if it was looked through before, so that there
    /// is nothing to tell the plan.
    func taken() -> Bool {
        hasAnswered = true
        let isNew = seen == 0
        if isNew {
            if case .page = awaited.first { pagesUnderWay -= 1 }
            (skim, skimmedBytes, seenUpTo) = (nil, 0, 0)
        } else {
            seen -= 1
        }
        awaited.removeFirst()
        return isNew
    }

    /// What was asked after the page that came last is not what is to come next.
    func giveUpPages() {
        awaited.replaceAll(after: seen) {
            if case .page(let page) = $0 { return .discarded(page) }
            return $0
        }
        pagesUnderWay = 0
    }

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
        seen = 0
        (skim, skimmedBytes, seenUpTo) = (nil, 0, 0)
        roundTrip = RoundTrip()
        hasBegun = false
    }

    /// Whether all of a stream has come: one that `stream` names.
    func hasFinished(_ stream: Int) -> Bool {
        for case .page(let page) in awaited.waiting {
            if page.stream == stream { return false }
            break
        }
        return plan.hasFinished(stream)
    }

    // MARK: Before its turn

    /// How many bytes are taken in then: on each lane, and on all of them.
    private static let aheadBytesMost = 2 * 1024 * 1024
    private static let aheadBytesOfAll = 24 * 1024 * 1024

    /// Whether more may be taken in; `lanes`: how many there are.
    func mayTakeIn(besides lanes: Int) -> Bool {
        awaitsUnseen && connection.isReady
            && connection.incoming.count
                < min(RangeLane.aheadBytesMost, RangeLane.aheadBytesOfAll / max(lanes, 1))
    }

    /// Whether some of what is awaited was not looked through.
    var awaitsUnseen: Bool { seen < awaited.waiting.count }

    /// Looks through what waits, the first byte of which is the one after `used` of all that were
    /// received. An error, and what cannot be read, are left to the turn of this lane.
    func lookThrough(_ waiting: UnsafeBufferPointer<UInt8>, used: Int) {
        var offset = max(0, seenUpTo - used)
        while awaitsUnseen, offset < waiting.count {
            let bytes = UnsafeBufferPointer(rebasing: waiting[offset...])
            guard let count = lookOn(bytes) else { break }
            offset += count
        }
        seenUpTo = used + offset
    }

    /// Looks through what belongs to the first of those that were not; how many bytes that was, or
    /// nil if it says nothing more now.
    private func lookOn(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        let next = awaited.waiting[awaited.waiting.startIndex + seen]
        if case .exists = next { return passOver(next, bytes) }
        var skim = self.skim ?? PageSkim(entriesMax: next.entriesMax)
        switch skim.parse(bytes) {
        case .needsMore(let used):
            self.skim = skim
            skimmedBytes += used
            return used > 0 ? used : nil
        case .end(let used):
            came(next, skim, bytes: skimmedBytes + used)
            return used
        case .serverError:
            // A user who may only use XRANGE is not told the end.
            if case .end = next { return passOver(next, bytes) }
            return nil
        default: return nil
        }
    }

    /// An answer without entries.
    private func passOver(_ reply: Awaited, _ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard case .complete(let count) = scanReply(bytes) else { return nil }
        came(reply, PageSkim(entriesMax: 1), bytes: count)
        return count
    }

    private func came(_ reply: Awaited, _ skim: PageSkim, bytes: Int) {
        self.skim = nil
        skimmedBytes = 0
        seen += 1
        switch reply {
        case .keys, .exists, .discarded: break
        case .end: plan.found(end: skim.last)
        case .page(let page):
            pagesUnderWay -= 1
            let isCut = plan.pageEnded(
                page, entries: skim.entries, first: skim.first, last: skim.last, bytes: bytes)
            if isCut { giveUpPages() }
        }
    }
}

extension RangeLane.Awaited {
    /// How many entries it may have.
    fileprivate var entriesMax: Int {
        switch self {
        case .keys, .exists, .end: return 1
        case .page(let page), .discarded(let page): return page.range.count
        }
    }
}
