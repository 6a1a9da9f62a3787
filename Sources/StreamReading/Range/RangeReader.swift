// SPDX-License-Identifier: Apache-2.0
// Reads a range of a stream, batch by batch: asks what the plan says, several pages at once, and
// parses what comes in one row of columns. A large range may be read from several servers that have
// the stream: their pages are taken in the order of the range.

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

    private enum Reply {
        case end
        case page(RangePlan.Page)
        /// A page after one that was cut: its entries are asked for again.
        case discarded(RangePlan.Page)
    }
    /// The replies that are awaited, in the order in which they are taken, and the number of the
    /// server that sends each.
    private var awaited: [(reply: Reply, server: Int)] = []
    private var pagesUnderWay = 0
    /// Whether the parser expects the page that comes next.
    private var hasBegunPage = false
    private var pageBytes = 0
    private var roundTrip = RoundTrip()

    /// Whether other servers are to be asked for help once the range is known to be large.
    private var mayShare: Bool
    /// The connections to all servers that are asked, `home` first; none while it is alone.
    private var servers: [Connection] = []
    private var shares = PageShares()
    /// Those that are to help, and have not said yet how far they have the stream.
    private var companions: [Companion] = []
    private var inHand = 0
    /// Whether a page has come since `home` was lost: servers that are silent in turn end the read.
    private var mayLeaveHome = true
    /// The primary's number, and how far `home` has the stream if that is a replica.
    private var primary: Int? = 0
    private var reach = EntryID.largest
    private var lastRead = EntryID.smallest

    /// Nothing is sent before the first `next`, unless the range depends on the server's clock.
    static func make(
        topology: Topology, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> RangeReader {
        let plan = RangePlan(try options.range(now: 0), options, isLocal: topology.isLocal)
        let parts = try ReaderParts(
            topology: topology, streams: [stream], schema: schema, options: options)
        return RangeReader(parts, plan)
    }

    private init(_ parts: ReaderParts, _ plan: RangePlan) {
        self.plan = plan
        mayShare = parts.topology.sharesReads
        super.init(parts)
    }

    override func begin() throws(RedcolError) {
        try lookForStreams()
        guard options.needsServerTime else { return }
        let range = try options.range(now: try askTime())
        plan = RangePlan(range, options, isLocal: topology.isLocal)
    }

    override var awaitsReply: Bool { !awaited.isEmpty }

    override var entriesLost: Int? {
        guard parser.pointee.entriesParsed == 0 else { return nil }
        var asked = 0
        for case (.page(let page), inHand) in awaited {
            let (sum, overflow) = asked.addingReportingOverflow(page.count)
            asked = overflow ? .max : sum
        }
        return asked > 0 ? asked : nil
    }

    /// The server that was asked first may fall silent, too: then the read begins at another one.
    override func canDoWithoutConnection(after error: RedcolError) -> Bool {
        inHand != 0
            || error.cause == .timedOut && mayLeaveHome && state.isConnected
                && topology.sharesReads && topology.hasCopies(of: streams[0])
    }

    override func connectionLost() {
        plan.entriesMax = answerSize.entriesMax
        var head: RangePlan.Page?
        var isEndTold = true
        for (reply, server) in awaited {
            if case .page(let page) = reply, head == nil { head = page }
            if case .end = reply, server == inHand { isEndTold = false }
        }
        plan.interrupted(
            head, upTo: parser.pointee.lastID, rows: parser.pointee.rowsParsed,
            isEndTold: isEndTold, underWay: pagesUnderWay)
        if inHand == 0 {
            mayLeaveHome = false
            endSharing()
        } else {
            leave(inHand)
        }
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
            guard let (reply, server) = awaited.first else {
                isDone = true
                connection.expectNothing()
                return true
            }
            if server != inHand { try turn(to: server) }
            switch reply {
            case .end:
                guard try takeEnd() else { return false }
            case .page(let page):
                switch try parsePage(page) {
                case .batchFull: return true
                case .needsMore:
                    guard try connection.receive() else {
                        if pageBytes == 0 { shares.waits(for: inHand) }
                        return false
                    }
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
        if case .discarded = awaited.first?.reply { return }
        if mayShare, plan.isLarge { beginSharing() }
        if !companions.isEmpty, !hasBegunPage { takeCompanions() }
        if !servers.isEmpty { return try askSeveral() }
        var hasAsked = false
        while let page = plan.nextPage(underWay: pagesUnderWay) {
            if page.asksForEnd {
                connection.enqueue(LastEntry.command(streams[0]))
                awaited.append((.end, 0))
            }
            enqueue(page, on: connection, 0)
            hasAsked = true
        }
        guard hasAsked else { return }
        roundTrip.asked(platform_monotonic_ms())
        try connection.flush()
    }

    private func enqueue(_ page: RangePlan.Page, on connection: Connection, _ server: Int) {
        connection.enqueue(.entries(of: streams[0][...], page))
        awaited.append((.page(page), server))
        pagesUnderWay += 1
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
            shares.pageEnded(inHand)
            noteProgress()
            mayLeaveHome = true
            let entries = parser.pointee.entriesParsed
            if let last = parser.pointee.lastID { lastRead = last }
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
            if case .page(let page) = awaited[index].reply {
                awaited[index].reply = .discarded(page)
            }
        }
        pagesUnderWay = 0
    }

    /// Passes over a page that was asked for after the one that was cut; true when it is done.
    private func passOver(_ page: RangePlan.Page) throws(RedcolError) -> Bool {
        beginPage(page)
        guard try passOverPage() else { return false }
        awaited.removeFirst()
        shares.pageEnded(inHand)
        parser.pointee.upperBound = nil
        endPage()
        return true
    }

    /// Takes the stream's last entry; false when it has not come in full.
    private func takeEnd() throws(RedcolError) -> Bool {
        switch try lastEntry.take(from: connection) {
        case .incomplete: return false
        case .id(let id): if servers.isEmpty { plan.found(end: id) } else { reaches(id) }
        // A user who may only use XRANGE reads until a page is not full.
        case .error: if servers.isEmpty { plan.found(end: nil) } else { companions = [] }
        }
        awaited.removeFirst()
        noteProgress()
        return true
    }

    // MARK: Several servers

    /// Begins to connect to the other servers that have the stream, if there are any.
    private func beginSharing() {
        mayShare = false
        guard let copies = try? topology.copies(of: streams[0], besides: home),
            !copies.others.isEmpty
        else { return }
        servers = [home]
        primary = 0
        reach = .largest
        shares.add(upTo: reach, pagesUnderWay: pagesUnderWay)
        companions = copies.others.map { Companion($0.connection, isPrimary: $0.isPrimary) }
        if !copies.isOfPrimary {
            primary = nil
            home.enqueue(LastEntry.command(streams[0]))
            awaited.append((.end, 0))
        }
    }

    /// `home` is a replica that has the stream up to this entry. The rest is the primary's.
    private func reaches(_ last: EntryID?) {
        reach = last ?? .smallest
        shares.found(0, upTo: reach)
        if plan.reaches(reach, lastRead: lastRead) { giveUpPages() }
    }

    /// Takes those in that have said how far they have the stream.
    private func takeCompanions() {
        // Then what this one has must be known, too.
        if awaited.contains(where: { if case .end = $0.reply { true } else { false } }) { return }
        let waiting = companions
        companions = []
        for companion in waiting {
            let connection = companion.connection
            do throws(RedcolError) {
                switch try companion.advance(streams[0]) {
                case .incomplete: companions.append(companion)
                case .id(let last?):
                    try connection.shareCancel(of: home)
                    if companion.isPrimary {
                        plan.continues(to: last)
                        primary = servers.count
                    }
                    shares.add(upTo: companion.isPrimary ? .largest : last)
                    servers.append(connection)
                default: break  // it does not have the stream, or does not say so
                }
            } catch {
                note(error, of: connection)
            }
        }
    }

    private func askSeveral() throws(RedcolError) {
        while let page = plan.nextPage(underWay: pagesUnderWay) {
            let number = shares.choose(upTo: page.last) { servers[$0].isReady }
            enqueue(page, on: servers[number], number)
        }
        for (number, server) in servers.enumerated() where server.hasUnsent {
            do throws(RedcolError) {
                try server.flush()
            } catch {
                if number == inHand { throw error }
                // That is seen when its turn comes.
                server.closeSocket()
            }
        }
    }

    /// Goes on with the answers of another server.
    private func turn(to number: Int) throws(RedcolError) {
        let next = servers[number]
        connection.callerIsAway()
        next.takesTurn(of: connection)
        try use(next)
        inHand = number
        connection.callerIsBack()
    }

    /// A server that has helped is lost: the others go on without it.
    private func leave(_ number: Int) {
        shares.remove(number)
        if number == primary { plan.found(end: reach) }
        awaited.removeAll { $0.server == number }
        giveUpPages()
        inHand = 0
        useHome()
    }

    /// The server that was asked first is lost, and with it all that is under way.
    private func endSharing() {
        awaited = []
        servers = []
        companions = []
        shares = PageShares()
        mayShare = topology.sharesReads
    }

    override func willClose() {
        for server in servers { server.closeSocket() }
        for companion in companions { companion.connection.closeSocket() }
    }

    override func closeAbandoned() {
        willClose()
        super.closeAbandoned()
    }

    override func discard() {
        for server in servers { server.discard() }
        for companion in companions { companion.connection.discard() }
        super.discard()
    }
}

extension RangePlan {
    fileprivate init(_ range: ReadOptions.Range, _ options: ReadOptions, isLocal: Bool) {
        self.init(
            first: range.first, last: range.last, count: options.count, pageRows: options.pageRows,
            isLocal: isLocal)
    }
}

extension Command {
    /// XRANGE for a page.
    static func entries(of stream: ArraySlice<UInt8>, _ page: RangePlan.Page) -> Command {
        var command = Command("XRANGE")
        command.add(stream)
        // Shorter than the ids that they stand for.
        if page.first == .smallest { command.add("-") } else { command.add(page.first) }
        if page.last == .largest { command.add("+") } else { command.add(page.last) }
        command.add("COUNT")
        command.add(String(page.count))
        return command
    }
}
