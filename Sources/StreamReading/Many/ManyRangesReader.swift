// SPDX-License-Identifier: Apache-2.0
// Reads the same range of many streams, one after the other, with many requests under way on one
// connection: finds the streams if they are given by a pattern, asks what the plan says, and parses
// what comes in one row of columns.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// Which streams are read.
public enum ChosenStreams {
    /// Those whose keys match this pattern, sorted.
    case matching([UInt8])
    /// These, in their order.
    case named([[UInt8]])
}

/// What is awaited, in the order in which it will come. Taking the first costs the same however
/// many there are.
private struct Queue<Element> {
    private var elements: [Element] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }
    var waiting: ArraySlice<Element> { elements[head...] }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() {
        guard head < elements.count else { return }
        head += 1
        if head >= 1_024 || head == elements.count {
            elements.removeFirst(head)
            head = 0
        }
    }

    mutating func replaceAll(_ transform: (Element) -> Element) {
        for index in head..<elements.count { elements[index] = transform(elements[index]) }
    }

    mutating func removeAll() {
        elements = []
        head = 0
    }
}

/// A read of many ranges in progress.
final class ManyRangesReader: StreamReader {
    private var plan: ManyRangesPlan
    private var scan: KeyScan?
    /// Whether the streams are found by a search, which may be over.
    private let isSearch: Bool
    private var names = NameList()

    private enum Awaited {
        /// Keys that match the pattern.
        case keys
        /// The last entry of the stream whose reading continues.
        case end
        case page(ManyRangesPlan.Page)
        /// A page whose entries are not wanted, or are asked for again.
        case discarded(ManyRangesPlan.Page)
    }
    private var awaited = Queue<Awaited>()
    private var pagesUnderWay = 0
    /// Whether the parser expects the page that comes next.
    private var hasBegunPage = false
    private var pageBytes = 0
    private var roundTrip = RoundTrip()
    private var lastEntry = LastEntry()
    /// The stream whose name the parser writes, and whether it had an entry.
    private var current = -1
    private var currentHasEntries = false

    /// Nothing is sent before the first `next`.
    static func make(
        topology: Topology, streams: ChosenStreams, schema: [RequestedColumn]?,
        options: ReadOptions
    ) throws(RedcolError) -> ManyRangesReader {
        let plan = ManyRangesPlan(
            first: try RangeBound.lower(options.startID, name: "start_id"),
            last: try RangeBound.upper(options.endID, name: "end_id"), count: options.count,
            countPerStream: options.countPerStream, pageRows: options.pageRows,
            streamsMost: options.streamsAtOnce)
        // One name, which changes.
        let parts = try ReaderParts(
            topology: topology, streams: [[]], schema: schema, options: options)
        return ManyRangesReader(parts, plan, streams)
    }

    private init(_ parts: ReaderParts, _ plan: ManyRangesPlan, _ streams: ChosenStreams) {
        self.plan = plan
        switch streams {
        case .matching(let pattern):
            isSearch = true
            scan = KeyScan(
                pattern: pattern, count: parts.options.scanCount,
                countsOthers: parts.options.countsWrongTypes)
        case .named(let list):
            isSearch = false
            names = NameList(list)
        }
        super.init(parts)
        self.plan.found(streams: names.count)
    }

    override var awaitsReply: Bool { awaited.first != nil }

    override var streamInHand: [UInt8]? {
        switch awaited.first {
        case .page(let page): return Array(names[page.stream])
        default: return nil
        }
    }

    /// A name that a search has found was sent by the server, as any value.
    override func shownStream(_ name: [UInt8]) -> String {
        isSearch
            ? topology.secrets.shown(name, limit: 200, keeping: .names)
            : super.shownStream(name)
    }

    override var entriesLost: Int? {
        guard parser.pointee.entriesParsed == 0 else { return nil }
        var asked = 0
        for case .page(let page) in awaited.waiting {
            let (sum, overflow) = asked.addingReportingOverflow(page.range.count)
            asked = overflow ? .max : sum
        }
        return asked > 0 ? asked : nil
    }

    override func connectionLost() {
        plan.entriesMax = answerSize.entriesMax
        var head: ManyRangesPlan.Page?
        var isEndTold = true
        for reply in awaited.waiting {
            if case .page(let page) = reply, head == nil { head = page }
            if case .end = reply { isEndTold = false }
        }
        plan.interrupted(
            head, upTo: parser.pointee.lastID, rows: parser.pointee.rowsParsed,
            isEndTold: isEndTold)
        scan?.interrupted()
        lastEntry.connectionLost()
        awaited.removeAll()
        pagesUnderWay = 0
        roundTrip = RoundTrip()
        endPage()
    }

    private func endPage() {
        hasBegunPage = false
        pageBytes = 0
        parser.pointee.upperBound = nil
        parser.pointee.forgetPosition()
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            try ask()
            guard let reply = awaited.first else {
                noteStreamEnded()
                isDone = true
                connection.expectNothing()
                return true
            }
            let hasTaken: Bool
            switch reply {
            case .keys: hasTaken = try takeKeys()
            case .end: hasTaken = try takeEnd()
            case .page(let page):
                switch try parsePage(page) {
                case .batchFull: return true
                case .needsMore: hasTaken = try connection.receive()
                default: hasTaken = true
                }
            case .discarded(let page):
                hasTaken = try passOver(page) ? true : connection.receive()
            }
            guard hasTaken else { return false }
        }
    }

    // MARK: Asking

    /// Asks for all that may be under way.
    private func ask() throws(RedcolError) {
        if let scan {
            if plan.isEmpty || scan.isDone {
                names = plan.isEmpty ? NameList() : scan.sortedKeys()
                statistics.add(.wrongTypes, scan.otherKeys)
                self.scan = nil
                plan.found(streams: names.count)
            } else {
                guard awaited.first == nil else { return }
                // Its keys are only a part of those that the pattern means.
                if connection.isClusterNode {
                    throw RedcolError(
                        .unsupported,
                        "\(connection.endpoint.shown) is one node of a cluster, and a pattern "
                            + "would find the streams of that node only: name the streams")
                }
                for command in scan.commands {
                    connection.enqueue(command)
                    awaited.append(.keys)
                }
                return try connection.flush()
            }
        }
        if case .discarded = awaited.first { return }
        var hasAsked = false
        while let page = plan.nextPage(underWay: pagesUnderWay) {
            if page.range.asksForEnd {
                connection.enqueue(LastEntry.command(Array(names[page.stream])))
                awaited.append(.end)
            }
            connection.enqueue(.entries(of: names[page.stream], page.range))
            awaited.append(.page(page))
            pagesUnderWay += 1
            hasAsked = true
        }
        guard hasAsked else { return }
        roundTrip.asked(platform_monotonic_ms())
        try connection.flush()
    }

    /// Takes an answer to SCAN; false when it has not come in full.
    private func takeKeys() throws(RedcolError) -> Bool {
        guard let reply = try connection.nextReply() else { return false }
        awaited.removeFirst()
        if case .error(let text) = reply {
            throw RedcolError.server(text, endpoint: connection.endpoint, asked: "SCAN")
        }
        try Memory.require(scan?.memory(for: reply) ?? 0, for: "the keys that were found")
        guard scan?.take(reply) ?? false else {
            throw connection.violation("an answer to SCAN that is not valid")
        }
        noteProgress()
        return true
    }

    /// Takes the last entry of the stream whose reading continues; false when it is incomplete.
    private func takeEnd() throws(RedcolError) -> Bool {
        switch try lastEntry.take(from: connection) {
        case .incomplete: return false
        case .id(let id): plan.found(end: id)
        // A user who may only use XRANGE reads until a page is not full.
        case .error: plan.found(end: nil)
        }
        awaited.removeFirst()
        return true
    }

    // MARK: Pages

    private func beginPage(_ page: ManyRangesPlan.Page) throws(RedcolError) {
        guard !hasBegunPage else { return }
        hasBegunPage = true
        parser.pointee.expect(
            .entries, entriesMax: page.range.count, after: page.range.first.previous ?? .smallest)
    }

    private func beginStream(_ stream: Int) throws(RedcolError) {
        guard stream != current else { return }
        noteStreamEnded()
        current = stream
        currentHasEntries = false
        guard parser.pointee.renameStream(names[stream]) else {
            throw RedcolError(.memory, "no memory for a stream's name")
        }
    }

    /// Counts the stream that was read last.
    private func noteStreamEnded() {
        guard current >= 0 else { return }
        statistics.add(.streams, 1)
        if !currentHasEntries { statistics.add(.emptyStreams, 1) }
        current = -1
    }

    private func parsePage(_ page: ManyRangesPlan.Page) throws(RedcolError) -> ParseOutcome {
        try beginStream(page.stream)
        try beginPage(page)
        let before = connection.incoming.count
        if before > 0, let took = roundTrip.answered() { plan.measured(roundTripMs: took) }
        let wanted = min(plan.wanted(page), plan.remaining) - parser.pointee.rowsParsed
        let (rowsMax, overflow) = parser.pointee.batch.rowCount.addingReportingOverflow(wanted)
        let outcome = parse(rowsMax: min(options.batchRows, overflow ? .max : rowsMax))
        pageBytes += before - connection.incoming.count
        let entries = parser.pointee.entriesParsed
        if entries > 0 { currentHasEntries = true }
        switch outcome {
        case .needsMore: break
        case .batchFull:
            let rows = parser.pointee.rowsParsed
            if plan.remaining <= rows {
                noteStreamEnded()
                isDone = true
            } else if plan.wanted(page) <= rows {
                // The stream has given as many as may be; the rest of this page is passed over.
                _ = pageEnded(page)
                awaited.replaceAll(discarded)
                pagesUnderWay = 0
                parser.pointee.forgetPosition()
                return .replyEnd
            }
        case .replyEnd:
            try requireWithin(page.range)
            awaited.removeFirst()
            pagesUnderWay -= 1
            noteProgress()
            answerSize.came(entries: entries)
            plan.entriesMax = answerSize.entriesMax
            let mustPassOver = pageEnded(page)
            endPage()
            if mustPassOver { giveUpPages() }
        case .serverError:
            guard let error = try serverError("XRANGE") else { return .needsMore }
            guard error.cause == .wrongType else { throw error }
            // It was not a stream, or no longer is.
            noteProgress()
            statistics.add(.wrongTypes, 1)
            if currentHasEntries { statistics.add(.streams, 1) }
            current = -1
            awaited.removeFirst()
            pagesUnderWay -= 1
            endPage()
            if plan.streamEnded(page) { giveUpPages() }
            return .replyEnd
        case .refused(let error), .failed(let error): throw error
        }
        return outcome
    }

    private func pageEnded(_ page: ManyRangesPlan.Page) -> Bool {
        plan.pageEnded(
            page, entries: parser.pointee.entriesParsed, rows: parser.pointee.rowsParsed,
            first: parser.pointee.firstID, last: parser.pointee.lastID, bytes: pageBytes)
    }

    /// What was asked after the page that came last is not what is to come next.
    private func giveUpPages() {
        awaited.replaceAll(discarded)
        pagesUnderWay = 0
    }

    private func discarded(_ reply: Awaited) -> Awaited {
        if case .page(let page) = reply { return .discarded(page) }
        return reply
    }

    /// True when all of it has been passed over.
    private func passOver(_ page: ManyRangesPlan.Page) throws(RedcolError) -> Bool {
        try beginPage(page)
        guard try passOverPage() else { return false }
        awaited.removeFirst()
        endPage()
        return true
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
