// SPDX-License-Identifier: Apache-2.0
// Reads a range of a stream, batch by batch: asks what the plan says, several pages at once, and
// parses what comes in one row of columns.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A range read in progress.
final class RangeReader: StreamReader {
    private var plan: RangePlan
    /// The answer to the question for the stream's last id.
    private var lastEntry = LastEntry()

    /// The replies that are awaited, in the order in which they will come.
    private enum Awaited {
        case end
        case page(RangePlan.Page)
        /// A page after one that was cut: its entries are asked for again.
        case discarded(RangePlan.Page)
    }
    private var awaited: [Awaited] = []
    private var pagesUnderWay = 0
    /// Whether the parser expects the page that comes next.
    private var hasBegunPage = false
    private var pageBytes = 0
    private var roundTrip = RoundTrip()

    /// Nothing is sent before the first `next`.
    static func make(
        topology: Topology, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> RangeReader {
        let plan = RangePlan(
            first: try RangeBound.lower(options.startID, name: "start_id"),
            last: try RangeBound.upper(options.endID, name: "end_id"), count: options.count,
            pageRows: options.pageRows, isLocal: topology.isLocal)
        let parts = try ReaderParts(
            topology: topology, streams: [stream], schema: schema, options: options)
        return RangeReader(parts, plan)
    }

    private init(_ parts: ReaderParts, _ plan: RangePlan) {
        self.plan = plan
        super.init(parts)
    }

    override var awaitsReply: Bool { !awaited.isEmpty }

    override var entriesLost: Int? {
        guard parser.pointee.entriesParsed == 0 else { return nil }
        var asked = 0
        for case .page(let page) in awaited {
            let (sum, overflow) = asked.addingReportingOverflow(page.count)
            asked = overflow ? .max : sum
        }
        return asked > 0 ? asked : nil
    }

    override func connectionLost() {
        plan.entriesMax = answerSize.entriesMax
        var head: RangePlan.Page?
        var isEndTold = true
        for reply in awaited {
            if case .page(let page) = reply, head == nil { head = page }
            if case .end = reply { isEndTold = false }
        }
        plan.interrupted(
            head, upTo: parser.pointee.lastID, rows: parser.pointee.rowsParsed,
            isEndTold: isEndTold, underWay: pagesUnderWay)
        awaited = []
        pagesUnderWay = 0
        parser.pointee.upperBound = nil
        lastEntry.connectionLost()
        endPage()
    }

    private func endPage() {
        hasBegunPage = false
        pageBytes = 0
        parser.pointee.forgetPosition()
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            try ask()
            guard let reply = awaited.first else {
                isDone = true
                connection.expectNothing()
                return true
            }
            switch reply {
            case .end:
                guard try takeEnd() else { return false }
            case .page(let page):
                switch try parsePage(page) {
                case .batchFull: return true
                case .needsMore: guard try connection.receive() else { return false }
                default: continue
                }
            case .discarded(let page):
                if try passOver(page) { continue }
                guard try connection.receive() else { return false }
            }
        }
    }

    /// Asks for all that may be under way.
    private func ask() throws(RedcolError) {
        if case .discarded = awaited.first { return }
        var hasAsked = false
        while let page = plan.nextPage(underWay: pagesUnderWay) {
            if page.asksForEnd {
                connection.enqueue(LastEntry.command(streams[0]))
                awaited.append(.end)
            }
            connection.enqueue(.entries(of: streams[0][...], page))
            awaited.append(.page(page))
            pagesUnderWay += 1
            hasAsked = true
        }
        guard hasAsked else { return }
        roundTrip.asked(platform_monotonic_ms())
        try connection.flush()
    }

    private func beginPage(_ page: RangePlan.Page) {
        guard !hasBegunPage else { return }
        hasBegunPage = true
        parser.pointee.expect(
            .entries, entriesMax: page.count, after: page.first.previous ?? .smallest)
    }

    private func parsePage(_ page: RangePlan.Page) throws(RedcolError) -> ParseOutcome {
        beginPage(page)
        let before = connection.incoming.count
        if before > 0, let took = roundTrip.answered() { plan.measured(roundTripMs: took) }
        // Pages under way may hold more than is wanted in all.
        let (wanted, overflow) = parser.pointee.batch.rowCount.addingReportingOverflow(
            plan.remaining - parser.pointee.rowsParsed)
        let outcome = parse(rowsMax: min(options.batchRows, overflow ? .max : wanted))
        pageBytes += before - connection.incoming.count
        switch outcome {
        case .needsMore: break
        case .batchFull:
            if plan.remaining <= parser.pointee.rowsParsed { isDone = true }
        case .replyEnd:
            try requireWithin(page)
            awaited.removeFirst()
            pagesUnderWay -= 1
            noteProgress()
            let entries = parser.pointee.entriesParsed
            answerSize.came(entries: entries)
            plan.entriesMax = answerSize.entriesMax
            let isCut = plan.pageEnded(
                page, entries: entries, rows: parser.pointee.rowsParsed,
                first: parser.pointee.firstID,
                last: parser.pointee.lastID, bytes: pageBytes)
            endPage()
            if isCut { giveUpPages() }
        case .serverError:
            guard let error = try serverError("XRANGE") else { return .needsMore }
            throw error
        case .refused(let error), .failed(let error): throw error
        }
        return outcome
    }

    /// A page was cut: those after it still come, but out of order.
    private func giveUpPages() {
        for index in awaited.indices {
            if case .page(let page) = awaited[index] { awaited[index] = .discarded(page) }
        }
        pagesUnderWay = 0
    }

    /// Passes over a page that was asked for after the one that was cut; true when it is done.
    private func passOver(_ page: RangePlan.Page) throws(RedcolError) -> Bool {
        beginPage(page)
        guard try passOverPage() else { return false }
        awaited.removeFirst()
        parser.pointee.upperBound = nil
        endPage()
        return true
    }

    /// Takes the stream's last entry; false when it has not come in full.
    private func takeEnd() throws(RedcolError) -> Bool {
        switch try lastEntry.take(from: connection) {
        case .incomplete: return false
        case .id(let id): plan.found(end: id)
        // A user who may only use XRANGE reads until a page is not full.
        case .error: plan.found(end: nil)
        }
        awaited.removeFirst()
        noteProgress()
        return true
    }
}
