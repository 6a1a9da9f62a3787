// SPDX-License-Identifier: Apache-2.0
// Reads the newest entries of a range: asks for pages from its end (XREVRANGE), keeps what comes,
// and then parses it in the order of the stream. So no more entries are sent than are wanted.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A read of the newest entries in progress.
final class NewestReader: StreamReader {
    /// In mirrored ids: the range from its end.
    private var plan: RangePlan
    private let wanted: Int

    /// The pages that are awaited; one that is not wanted came after one that was cut.
    private var awaited: [(page: RangePlan.Page, isWanted: Bool)] = []
    private var pagesUnderWay = 0
    private var roundTrip = RoundTrip()

    // The page that comes now
    private var walk: EntryWalk?
    private var pageFirst: EntryID?
    private var pageLast: EntryID?
    private var pageEntries = 0
    private var pageBytes = 0

    /// What is kept, the oldest entries last.
    private var blocks: [ReversedEntries] = []
    private var kept = 0
    private var hasAll = false
    /// What is left of the block that is being parsed, and the last entry before it.
    private var rest: UnsafeBufferPointer<UInt8>?
    private var lastParsed = EntryID.smallest

    /// Nothing is sent before the first `next`, unless the range depends on the server's clock.
    static func make(
        topology: Topology, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions,
        newest wanted: Int
    ) throws(RedcolError) -> NewestReader {
        let plan = NewestReader.plan(
            try options.range(now: 0), wanted, options, isLocal: topology.isLocal)
        let parts = try ReaderParts(
            topology: topology, streams: [stream], schema: schema, options: options)
        return NewestReader(parts, plan, wanted)
    }

    private init(_ parts: ReaderParts, _ plan: RangePlan, _ wanted: Int) {
        self.plan = plan
        self.wanted = wanted
        super.init(parts)
    }

    private static func plan(
        _ range: ReadOptions.Range, _ wanted: Int, _ options: ReadOptions, isLocal: Bool
    ) -> RangePlan {
        // No entry has the id 0-0. Without it the end of the range is never asked for.
        RangePlan(
            first: range.last?.mirrored, last: range.first.map { max($0, EntryID(0, 1)).mirrored },
            count: wanted, pageRows: options.pageRows, isLocal: isLocal)
    }

    override func begin() throws(RedcolError) {
        try lookForStreams()
        guard options.needsServerTime else { return }
        let range = try options.range(now: try askTime())
        plan = NewestReader.plan(range, wanted, options, isLocal: topology.isLocal)
    }

    override var awaitsReply: Bool { !awaited.isEmpty }

    override var entriesLost: Int? {
        guard pageEntries == 0, !awaited.isEmpty else { return nil }
        return awaited.reduce(0) { $0 &+ $1.page.count }
    }

    override func connectionLost() {
        plan.entriesMax = answerSize.entriesMax
        plan.interrupted(
            awaited.first { $0.isWanted }?.page, upTo: pageLast, rows: pageEntries,
            underWay: pagesUnderWay)
        awaited = []
        pagesUnderWay = 0
        endPage()
    }

    private func endPage() {
        walk = nil
        pageFirst = nil
        pageLast = nil
        pageEntries = 0
        pageBytes = 0
    }

    override func discard() {
        blocks = []
        rest = nil
        super.discard()
    }

    override func exchange() throws(RedcolError) -> Bool {
        while !hasAll {
            try ask()
            guard let (page, isWanted) = awaited.first else {
                hasAll = true
                connection.expectNothing()
                break
            }
            if try take(page, isWanted) { continue }
            guard try connection.receive() else { return false }
        }
        return try parseKept()
    }

    // MARK: Asking and keeping

    private func ask() throws(RedcolError) {
        if awaited.first?.isWanted == false { return }
        var hasAsked = false
        while let page = plan.nextPage(underWay: pagesUnderWay) {
            var command = Command("XREVRANGE")
            command.add(streams[0])
            command.add(page.first.mirrored)
            command.add(page.last.mirrored)
            command.add("COUNT")
            command.add(String(page.count))
            connection.enqueue(command)
            awaited.append((page, true))
            pagesUnderWay += 1
            hasAsked = true
        }
        guard hasAsked else { return }
        roundTrip.asked(platform_monotonic_ms())
        try connection.flush()
    }

    /// Takes what has come of a page; true when that is all of it.
    private func take(_ page: RangePlan.Page, _ isWanted: Bool) throws(RedcolError) -> Bool {
        let bytes = connection.incoming.waiting
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return false }
        if let took = roundTrip.answered() { plan.measured(roundTripMs: took) }
        var walk = self.walk ?? EntryWalk(entriesMax: page.count)
        let limits = EntryLimits(bytes: options.entryBytesMax, fields: options.entryFieldsMax)
        var position = start
        while true {
            switch walk.next(&position, start + bytes.count, limits) {
            case .entry(let id, let length):
                guard isWanted else { continue }
                try note(id.mirrored, of: page)
                if kept < wanted { try keep(position - length, length) }
            case .needsMore:
                use(position - start)
                self.walk = walk
                return false
            case .end:
                use(position - start)
                try connection.answered()
                pageEnded(page, isWanted)
                return true
            case .serverError:
                guard let error = try serverError("XREVRANGE") else { return false }
                throw error
            case .malformed:
                throw connection.violation("no entry in answer to XREVRANGE")
            case .tooLarge(let id):
                throw RedcolError(
                    .tooLarge,
                    "entry \(id.text) is larger than entry_bytes_max or entry_fields_max: read it "
                        + "with a larger limit, begin after it, or delete it",
                    details: [(.entryID, id.text)])
            }
        }
    }

    private func use(_ bytes: Int) {
        connection.consume(bytes)
        pageBytes += bytes
    }

    /// An entry of a page, by its mirrored id.
    private func note(_ id: EntryID, of page: RangePlan.Page) throws(RedcolError) {
        guard id >= page.first, id <= page.last, pageLast.map({ $0 < id }) ?? true else {
            throw connection.violation("entry \(id.mirrored.text), which was not asked for")
        }
        if pageFirst == nil { pageFirst = id }
        pageLast = id
        pageEntries += 1
    }

    private func keep(_ start: UnsafePointer<UInt8>, _ bytes: Int) throws(RedcolError) {
        if blocks.last?.add(start, bytes) != true {
            guard let block = ReversedEntries.make(for: bytes), block.add(start, bytes) else {
                throw RedcolError(.memory, "no memory for the newest entries of a stream")
            }
            blocks.append(block)
        }
        kept += 1
    }

    private func pageEnded(_ page: RangePlan.Page, _ isWanted: Bool) {
        awaited.removeFirst()
        noteProgress()
        if isWanted {
            pagesUnderWay -= 1
            answerSize.came(entries: pageEntries)
            plan.entriesMax = answerSize.entriesMax
            let isCut = plan.pageEnded(
                page, entries: pageEntries, first: pageFirst, last: pageLast, bytes: pageBytes)
            if isCut {
                for index in awaited.indices { awaited[index].isWanted = false }
                pagesUnderWay = 0
            }
        }
        endPage()
        if kept >= wanted {
            hasAll = true
            if awaited.isEmpty { connection.expectNothing() }
        }
    }

    // MARK: Rows

    private func parseKept() throws(RedcolError) -> Bool {
        while let block = blocks.last {
            if rest == nil {
                parser.pointee.expect(.entries, entriesMax: block.count, after: lastParsed)
            }
            let bytes = rest ?? block.reply()
            let (used, outcome) = parse(bytes, rowsMax: options.batchRows)
            rest = UnsafeBufferPointer(
                start: bytes.baseAddress.map { $0 + used }, count: bytes.count - used)
            switch outcome {
            case .batchFull: return true
            case .replyEnd:
                lastParsed = parser.pointee.lastID ?? lastParsed
                blocks.removeLast()
                rest = nil
            case .needsMore, .serverError:
                throw connection.violation("an entry that ends too early")
            case .refused(let error), .failed(let error): throw error
            }
        }
        isDone = true
        return true
    }
}
