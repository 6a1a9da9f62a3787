// Reads a range of a stream, batch by batch: asks what the plan says and parses what comes.

import ArrowColumns
import CPlatform
import RedisConnection

/// A range read in progress.
final class RangeReader: StreamReader {
    private var plan: RangePlan
    /// Answers the question for the stream's last id; keeps no rows.
    private let endParser: ParserOwner

    /// The replies that are awaited, in the order in which they will come.
    private enum Awaited {
        case end
        case page(asked: Int)
    }
    private var awaited: [Awaited] = []
    private var pageBytes = 0
    private var pageEntries = 0

    /// Nothing is sent before the first `next`.
    init(
        pool: ConnectionPool, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedisError) {
        plan = RangePlan(
            first: try RangeBound.lower(options.startID, name: "start_id"),
            last: try RangeBound.upper(options.endID, name: "end_id"), count: options.count,
            pageRows: options.pageRows)
        endParser = ParserOwner(
            try RowParser(
                streams: [], columns: [], idColumns: RowParser.IDColumns(), ignoredNames: [],
                unknown: .ignore, columnsMax: 0, onRefused: .null))
        try super.init(pool: pool, streams: [stream], schema: schema, options: options)
    }

    override var awaitsReply: Bool { !awaited.isEmpty }

    override func connectionLost() {
        awaited = []
        endParser.parser.pointee.abandonReply()
        noteEntries()
    }

    /// Lets the plan know of the entries that were read, so that it goes on after them.
    private func noteEntries() {
        guard let last = parser.pointee.lastID else { return }
        plan.read(upTo: last, entries: parser.pointee.entriesParsed)
        pageEntries += parser.pointee.entriesParsed
        parser.pointee.forgetPosition()
    }

    override func exchange() throws(RedisError) -> Bool {
        while true {
            guard let reply = awaited.first else {
                guard let page = plan.nextPage() else {
                    isDone = true
                    connection.expectNothing()
                    return true
                }
                try ask(page)
                continue
            }
            switch reply {
            case .end:
                guard try parseEnd() else {
                    guard try connection.receive() else { return false }
                    continue
                }
            case .page(let asked):
                switch try parsePage(asked) {
                case .batchFull: return true
                case .needsMore: guard try connection.receive() else { return false }
                default: continue
                }
            }
        }
    }

    private func ask(_ page: RangePlan.Page) throws(RedisError) {
        if page.asksForEnd {
            var command = Command("XREVRANGE")
            command.add(streams[0])
            for word in ["+", "-", "COUNT", "1"] { command.add(word) }
            try connection.enqueue(command)
            awaited.append(.end)
            endParser.parser.pointee.expect(.entries, entriesMax: 1)
        }
        var command = Command("XRANGE")
        command.add(streams[0])
        command.add(page.first)
        command.add(page.last)
        command.add("COUNT")
        command.add(String(page.count))
        try connection.enqueue(command)
        awaited.append(.page(asked: page.count))
        parser.pointee.expect(.entries, entriesMax: page.count)
        pageBytes = 0
        pageEntries = 0
        try connection.flush()
    }

    private func parsePage(_ asked: Int) throws(RedisError) -> ParseOutcome {
        let before = connection.incoming.count
        let outcome = parse(rowsMax: options.batchRows)
        pageBytes += before - connection.incoming.count
        switch outcome {
        case .needsMore, .batchFull: break
        case .replyEnd:
            awaited.removeFirst()
            noteEntries()
            plan.pageEnded(asked: asked, entries: pageEntries, bytes: pageBytes)
        case .serverError:
            guard let error = try serverError("XRANGE") else { return .needsMore }
            throw error
        case .refused(let error), .failed(let error): throw error
        }
        return outcome
    }

    /// Reads the answer to the question for the stream's last id; false when it has not come in
    /// full.
    private func parseEnd() throws(RedisError) -> Bool {
        let (used, outcome) = endParser.parser.pointee.parse(
            connection.incoming.waiting, rowsMax: .max)
        connection.consume(used)
        switch outcome {
        case .needsMore, .batchFull: return false
        case .replyEnd: plan.found(end: endParser.parser.pointee.lastID)
        case .serverError:
            // A user who may only use XRANGE reads until a page is not full.
            guard try connection.nextReply() != nil else { return false }
            plan.found(end: nil)
        case .refused(let error), .failed(let error): throw error
        }
        awaited.removeFirst()
        return true
    }
}

extension Command {
    mutating func add(_ id: EntryID) { add(id.milliseconds, hyphen: id.sequence) }
}
