// Reads a range of a stream, batch by batch: asks what the plan says, parses what comes, and goes on after a
// lost connection from the last entry it has.

import ArrowColumns
import CArrowData
import CPlatform
import RedisConnection

/// What a call for the next batch has brought.
public enum ReadOutcome: Sendable {
    case batch, end, timeout
}

/// A range read in progress. One thread at a time, but for `cancel()`.
public final class RangeReader {
    private let pool: ConnectionPool
    private let connection: Connection
    private let stream: [UInt8]
    private let batchRows: Int
    private var plan: RangePlan
    private let parser: UnsafeMutablePointer<RowParser>
    /// Answers the question for the stream's last id; keeps no rows.
    private let endParser: UnsafeMutablePointer<RowParser>

    /// The replies that are awaited, in the order in which they will come.
    private enum Awaited {
        case end
        case page(asked: Int)
    }
    private var awaited: [Awaited] = []
    private var pageBytes = 0
    private var pageEntries = 0

    private var backoff = Backoff()
    private var retryAt: Int64?
    private var firstLossAt: Int64?
    private var isDone = false
    private var isFirstBatch = true
    private var failure: RedisError?
    private var isClosed = false

    /// Nothing is sent before the first `next`.
    public init(
        pool: ConnectionPool, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedisError) {
        let first = try RangeBound.lower(options.startID, name: "start_id")
        let last = try RangeBound.upper(options.endID, name: "end_id")
        let columns = try ReadColumns(options, schema: schema)
        let onlyIDs = try RowParser(
            columns: [], idColumns: RowParser.IDColumns(), ignoredNames: [], unknown: .ignore,
            columnsMax: 0, onRefused: .null)
        endParser = .allocate(capacity: 1)
        endParser.initialize(to: onlyIDs)
        parser = .allocate(capacity: 1)
        do {
            parser.initialize(to: try columns.makeParser(options))
            connection = try pool.take()
        } catch {
            endParser.pointee.free()
            endParser.deallocate()
            parser.deallocate()
            throw error
        }
        self.pool = pool
        self.stream = stream
        batchRows = options.batchRows
        plan = RangePlan(
            first: first, last: last, count: options.count, pageRows: options.pageRows)
    }

    deinit {
        close()
        parser.pointee.free()
        parser.deallocate()
        endParser.pointee.free()
        endParser.deallocate()
    }

    /// Ends a wait on another thread. Any thread.
    public func cancel() { connection.cancel() }

    /// Gives the connection back. Later calls of `next` are errors.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        pool.giveBack(connection, isIdle: awaited.isEmpty && failure == nil)
    }

    // MARK: Batches

    /// Waits up to `waitMs` (-1: as long as it takes) for the next batch, and moves it out.
    public func next(
        waitMs: Int64, array: UnsafeMutablePointer<ArrowArray>,
        schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedisError) -> ReadOutcome {
        if isClosed { throw RedisError(.closed, "this read was closed") }
        if let failure { throw failure }
        let now = platform_monotonic_ms()
        let (sum, overflow) = now.addingReportingOverflow(waitMs)
        let until = waitMs < 0 || overflow ? nil : sum
        do {
            while true {
                if try goOn() { return try handOver(array, schema) }
                switch try wait(until) {
                case .ready: continue
                case .timeout, .interrupted: return .timeout
                }
            }
        } catch {
            // A cancel says nothing about the read; everything else would only happen again.
            if error.cause != .cancelled { fail(error) }
            throw failure ?? error
        }
    }

    private func fail(_ error: RedisError) {
        failure = error.adding(
            "stream \"\(escaped(stream, limit: 200))\": ", .stream, escaped(stream, limit: 200))
        connection.closeSocket()
        awaited = []
    }

    private func handOver(
        _ array: UnsafeMutablePointer<ArrowArray>, _ schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedisError) -> ReadOutcome {
        let rows = parser.pointee.batch.rowCount
        if isDone, rows == 0, !isFirstBatch { return .end }
        isFirstBatch = false
        guard parser.pointee.withBatch({ $0.finish(array: array, schema: schema) }) else {
            throw RedisError(.memory, "no memory to hand over a batch of \(rows) rows")
        }
        return .batch
    }

    private func wait(_ until: Int64?) throws(RedisError) -> Connection.Wake {
        guard let retryAt else { return try connection.wait(until: until) }
        let earlier = until.map { min($0, retryAt) } ?? retryAt
        let wake = try connection.wait(until: earlier)
        if case .timeout = wake, until.map({ $0 > platform_monotonic_ms() }) ?? true { return .ready }
        return wake
    }

    // MARK: Going on

    /// Does all that can be done without waiting; true when a batch (or the end) can be handed over.
    private func goOn() throws(RedisError) -> Bool {
        if isDone { return true }
        if let retryAt {
            guard platform_monotonic_ms() >= retryAt else { return false }
            self.retryAt = nil
        }
        do {
            guard try connection.advance() else { return false }
            return try exchange()
        } catch {
            try scheduleRetry(after: error)
            return false
        }
    }

    /// What to do about an error: wait and try again, or give up by throwing it.
    private func scheduleRetry(after error: RedisError) throws(RedisError) {
        guard error.cause == .connection || error.isTemporary else { throw error }
        let now = platform_monotonic_ms()
        let began = firstLossAt ?? now
        firstLossAt = began
        let delay = backoff.nextDelayMs()
        guard now + delay - began <= pool.timeouts.silenceMs else { throw error }
        retryAt = now + delay
        connection.closeSocket()
        awaited = []
        parser.pointee.abandonReply()
        endParser.pointee.abandonReply()
        noteProgress()
    }

    /// Lets the plan know of the entries that were read, so that it goes on after them.
    private func noteProgress() {
        guard let last = parser.pointee.lastID else { return }
        plan.read(upTo: last, entries: parser.pointee.entriesParsed)
        pageEntries += parser.pointee.entriesParsed
        parser.pointee.forgetPosition()
    }

    private func exchange() throws(RedisError) -> Bool {
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
            command.add(stream)
            for word in ["+", "-", "COUNT", "1"] { command.add(word) }
            try connection.enqueue(command)
            awaited.append(.end)
        }
        var command = Command("XRANGE")
        command.add(stream)
        command.add(page.first.text)
        command.add(page.last.text)
        command.add("COUNT")
        command.add(String(page.count))
        try connection.enqueue(command)
        awaited.append(.page(asked: page.count))
        pageBytes = 0
        pageEntries = 0
        try connection.flush()
    }

    private func parsePage(_ asked: Int) throws(RedisError) -> ParseOutcome {
        let (used, outcome) = parser.pointee.parse(
            connection.incoming.waiting, entriesMax: asked, rowsMax: batchRows)
        connection.consume(used)
        pageBytes += used
        if used > 0 {
            backoff.succeeded()
            firstLossAt = nil
        }
        switch outcome {
        case .needsMore, .batchFull: break
        case .replyEnd:
            awaited.removeFirst()
            noteProgress()
            plan.pageEnded(asked: asked, entries: pageEntries, bytes: pageBytes)
        case .serverError: try takeServerError(command: "XRANGE")
        case .failed(let error): throw error
        }
        return outcome
    }

    /// Reads the answer to the question for the stream's last id; false when it has not come in full.
    private func parseEnd() throws(RedisError) -> Bool {
        let (used, outcome) = endParser.pointee.parse(
            connection.incoming.waiting, entriesMax: 1, rowsMax: .max)
        connection.consume(used)
        switch outcome {
        case .needsMore, .batchFull: return false
        case .replyEnd: plan.found(end: endParser.pointee.lastID)
        case .serverError:
            // A user who may only use XRANGE reads until a page is not full.
            guard try connection.nextReply() != nil else { return false }
            plan.found(end: nil)
        case .failed(let error): throw error
        }
        awaited.removeFirst()
        return true
    }

    private func takeServerError(command: String) throws(RedisError) {
        guard let reply = try connection.nextReply() else { return }
        guard case .error(let text) = reply else { return }
        throw RedisError.server(
            text, endpoint: connection.endpoint,
            asked: "\(command) of \"\(escaped(stream, limit: 200))\"")
    }
}
