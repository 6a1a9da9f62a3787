// SPDX-License-Identifier: Apache-2.0
// A frame on its way to the server: rows encoded, sent and answered on one connection, with a
// bounded number of bytes under way, so that neither side waits for the other to read.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A write in progress. One thread at a time, but for `cancel()`.
public final class FrameWriter {
    /// Bytes that are sent, or about to be, and not answered.
    private static let bytesUnderWayMost = 1 << 20
    /// Bytes that are encoded before they are sent.
    private static let chunkBytes = 1 << 16

    /// A row that waits for its answer.
    private struct UnderWay {
        let row: Int
        /// Where its commands end, counted in bytes from the beginning of the connection's use.
        let end: Int
        let kind: EncodedRow
    }

    private let topology: Topology
    private let connection: Connection
    private let source: FrameSource
    private let owner: EncoderOwner
    private let encoder: UnsafeMutablePointer<RowEncoder>
    private let isRepeatable: Bool
    private let transactionCount: Int

    private var underWay: [UnderWay] = []
    /// The first of `underWay` that is not answered.
    private var head = 0
    private var nextRow = 0
    private var encodedBytes = 0
    /// Where the commands of the last row that was answered end.
    private var answeredBytes = 0
    /// What the connection had sent before.
    private var bytesBefore = 0
    private var isConnected = false
    /// Answers that are awaited to the question whether transactions are allowed.
    private var probesLeft = 0

    private var retries: RetryWindow
    private var retryAt: Int64?
    /// Rows from one on that the server has refused for now, and will be sent again.
    private var refusedForNow: RefusedRows?
    private var failure: RedcolError?
    private var hasReadAll = false
    private var isStopping = false
    /// The caller has ended it, rather than an error.
    private var wasStopped = false
    private var isDone = false
    private var isClosed = false

    /// Rows, or keys, that the server has confirmed.
    public private(set) var written = 0
    /// Rows that the server has refused.
    public var refused: Int { refusedRows.count }
    /// Which they are: the first of them ends the write, and the others were sent already.
    private var refusedRows = RowRanges()
    /// Rows that have no values.
    public private(set) var empty = 0
    /// Rows from the beginning, of each of which it is known what became of it.
    public var known: Int {
        if let refusedForNow { return refusedForNow.first }
        return head < underWay.count ? underWay[head].row : lostFrom ?? nextRow
    }
    /// Rows after those, which were sent and have no answer: they may be written or not.
    public var unknown: Int { lostFrom == nil ? unanswered : lost }
    private var lost = 0
    private var lostFrom: Int?
    /// The row after the last one that was sent on a connection that was lost before its answer
    /// came: rows up to it may be written, although they are sent again.
    private var mayBeWrittenEnd = 0
    /// Whether there was no memory for an id. Then none is told: each would be taken for that of
    /// another row.
    private var hasLostIDs = false

    /// Rows as entries of streams. `stream` is taken over in every case.
    public static func make(
        topology: Topology, moving stream: UnsafeMutablePointer<ArrowArrayStream>,
        entries options: EntryOptions
    ) throws(RedcolError) -> FrameWriter {
        let source = try FrameSource.make(moving: stream)
        return try make(
            topology, source, try RowEncoder(source.schema, options), to: options.stream)
    }

    /// Rows as hashes. `stream` is taken over in every case.
    public static func make(
        topology: Topology, moving stream: UnsafeMutablePointer<ArrowArrayStream>,
        hashes options: HashOptions
    ) throws(RedcolError) -> FrameWriter {
        let source = try FrameSource.make(moving: stream)
        return try make(topology, source, try RowEncoder(source.schema, options), to: nil)
    }

    private static func make(
        _ topology: Topology, _ source: FrameSource, _ encoder: consuming RowEncoder,
        to key: [UInt8]?
    ) throws(RedcolError) -> FrameWriter {
        let owner = try EncoderOwner.make(encoder)
        return FrameWriter(topology, try topology.take(for: key, to: .writing), source, owner)
    }

    private init(
        _ topology: Topology, _ connection: Connection, _ source: FrameSource,
        _ owner: EncoderOwner
    ) {
        self.owner = owner
        encoder = owner.encoder
        isRepeatable = owner.encoder.pointee.isRepeatable
        transactionCount = owner.encoder.pointee.transactionCount
        self.topology = topology
        self.source = source
        self.connection = connection
        retries = RetryWindow(limitMs: topology.timeouts.silenceMs)
    }

    deinit {
        if isClosed { return }
        let isIdle = head == underWay.count && probesLeft == 0 && retryAt == nil
        topology.giveBack(connection, isIdle: isIdle && !connection.hasUnsent)
    }

    // MARK: Any thread

    /// Ends a wait on another thread.
    public func cancel() { connection.cancel() }

    /// A file descriptor that is readable when `run` or `stop` has something to do.
    public var pollDescriptor: Int32 { connection.pollDescriptor }

    // MARK: The caller's

    /// Writes on for up to `waitMs` (-1: as long as it takes); true when all rows are written.
    public func run(waitMs: Int64) throws(RedcolError) -> Bool {
        if wasStopped { throw RedcolError(.closed, "this write was stopped") }
        return try proceed(waitMs)
    }

    /// Sends no more rows, and waits up to `waitMs` for the answers to those that were sent; true
    /// when all have come.
    public func stop(waitMs: Int64) throws(RedcolError) -> Bool {
        isStopping = true
        wasStopped = wasStopped || !isDone
        return try proceed(waitMs)
    }

    private func proceed(_ waitMs: Int64) throws(RedcolError) -> Bool {
        if isClosed { throw RedcolError(.closed, "this write was closed") }
        let (sum, overflow) = platform_monotonic_ms().addingReportingOverflow(waitMs)
        let until = waitMs < 0 || overflow ? nil : sum
        connection.callerIsBack()
        defer { connection.callerIsAway() }
        while !isDone {
            do throws(RedcolError) {
                let step = try goOn()
                if step == .done { break }
                if step == .wait {
                    var end = until
                    if let retryAt { end = end.map { min($0, retryAt) } ?? retryAt }
                    // Also when the time is over: only a look shows what has come meanwhile.
                    if case .interrupted = try connection.wait(until: end) {
                        return pause(waitMs, step)
                    }
                }
                if let until, platform_monotonic_ms() >= until { return pause(waitMs, step) }
            } catch {
                // A cancel or a signal says nothing about the write.
                if error.cause == .cancelled || error.cause == .interrupted { throw error }
                try connectionLost(error)
            }
        }
        isDone = true
        // Nothing of the frame is read any more: its last batch need not wait until this is freed.
        source.finish()
        if let failure { throw failure }
        return true
    }

    /// The caller's time is over. One that does not wait here waits for `pollDescriptor`, which has
    /// to tell of all that is worth another call.
    private func pause(_ waitMs: Int64, _ step: Step) -> Bool {
        if waitMs == 0 { connection.armAlarm(until: step == .again ? 0 : retryAt) }
        return false
    }

    /// Moves the ids of the rows that are known into `array`; null where there is none.
    public func takeIDs(
        array: UnsafeMutablePointer<ArrowArray>, schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedcolError) {
        guard let ids = owner.ids else {
            throw RedcolError(
                .invalidArgument, "hashes are written under the keys they have: no ids")
        }
        guard !hasLostIDs, ids.pointee.finish(array: array, schema: schema) else {
            hasLostIDs = true
            throw RedcolError(.memory, "no memory for the ids" + progress)
        }
    }

    /// Closes the connection. Later calls of `run` are errors. It is not given back: a
    /// `cancel()` that comes late must not reach another writer or reader.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        connection.closeSocket()
    }

    /// Closes it after a call that will never end has used it, in whatever state that left it.
    public func closeAbandoned() {
        isClosed = true
        connection.closeSocket()
    }

    /// Frees what it holds, though a call that will never end still has it. After `closeAbandoned`.
    public func discard() {
        connection.discard()
        source.finish()
        owner.discard()
    }

    /// Rows that were sent and have no answer yet, from the first of them to the last.
    private var unanswered: Int {
        let sent = connection.bytesSent - bytesBefore
        var last: Int?
        for index in head..<underWay.count {
            // A row's commands do nothing before the server has the last byte of them.
            guard underWay[index].end <= sent else { break }
            if underWay[index].kind != .nothing { last = underWay[index].row }
        }
        return max(last.map { $0 - known + 1 } ?? 0, mayBeWrittenEnd - known, 0)
    }

    // MARK: Going on

    private enum Step {
        case done, again, wait
    }

    private func goOn() throws(RedcolError) -> Step {
        if let retryAt {
            guard platform_monotonic_ms() >= retryAt else { return .wait }
            self.retryAt = nil
        }
        if !isConnected {
            if isStopping { return .done }
            guard try connection.advance() else { return .wait }
            try begin()
        }
        if probesLeft > 0 {
            guard try readProbes() else { return .wait }
        }
        try readAnswers()
        let mayEncodeMore = try sendMore()
        if head == underWay.count, let rows = refusedForNow {
            if !isStopping { throw rows.error }
            tellRefused(rows)
        }
        if head == underWay.count, isStopping || hasReadAll {
            connection.expectNothing()
            finishFailure()
            return .done
        }
        return mayEncodeMore ? .again : .wait
    }

    private func begin() throws(RedcolError) {
        isConnected = true
        bytesBefore = connection.bytesSent
        encodedBytes = 0
        answeredBytes = 0
        guard encoder.pointee.usesTransactions else { return }
        // A user who may not use MULTI would have its commands done one by one, all the same.
        connection.enqueue(Command("MULTI"))
        connection.enqueue(Command("EXEC"))
        try connection.flush()
        probesLeft = 2
    }

    private func readProbes() throws(RedcolError) -> Bool {
        while probesLeft > 0 {
            guard let reply = try connection.nextReply() else { return false }
            probesLeft -= 1
            guard case .error(let text) = reply, failure == nil else { continue }
            let error = RedcolError.server(
                text, endpoint: connection.endpoint, asked: "beginning a transaction")
            if error.isRefusalForNow { throw error }
            fail(error, row: nil)
        }
        bytesBefore = connection.bytesSent
        return true
    }

    /// Encodes and sends rows while there is room; true if there is more to do without a wait.
    private func sendMore() throws(RedcolError) -> Bool {
        while !isStopping, !hasReadAll, !connection.hasUnsent, refusedForNow == nil {
            guard encodedBytes - answeredBytes < FrameWriter.bytesUnderWayMost else { return false }
            let rowsBefore = nextRow
            encodeChunk()
            let commands = encoder.pointee.commands.bytes
            if commands.count > 0 {
                connection.enqueue(encoded: commands)
                encoder.pointee.commands.clear()
                try connection.flush()
            } else if nextRow > rowsBefore {
                settleEmptyRows()
                return true
            }
        }
        return false
    }

    private func encodeChunk() {
        do throws(RedcolError) {
            var rows = 0
            while encoder.pointee.commands.count < FrameWriter.chunkBytes, rows < 16_384 {
                guard let batch = try source.batch(holding: nextRow) else {
                    hasReadAll = true
                    return
                }
                let end = batch.firstRow + batch.rowCount
                while nextRow < end, rows < 16_384,
                    encoder.pointee.commands.count < FrameWriter.chunkBytes
                {
                    let before = encoder.pointee.commands.count
                    let kind = try encoder.pointee.encode(nextRow - batch.firstRow)
                    encodedBytes += encoder.pointee.commands.count - before
                    underWay.append(UnderWay(row: nextRow, end: encodedBytes, kind: kind))
                    nextRow += 1
                    rows += 1
                }
            }
        } catch {
            fail(error, row: nextRow)
        }
    }

    // MARK: Answers

    private func readAnswers() throws(RedcolError) {
        guard head < underWay.count else { return }
        settleEmptyRows()
        if try connection.receive() { try takeAnswers() }
    }

    /// Takes the answers that have come in full.
    private func takeAnswers() throws(RedcolError) {
        var cursor = AnswerCursor(connection.incoming.waiting)
        var used = 0
        let sent = connection.bytesSent - bytesBefore
        do throws(AnswerError) {
            while head < underWay.count {
                let isError = cursor.isError
                try take(underWay[head], &cursor)
                // A server may refuse a row that it has not read to the end, but not take it.
                guard isError || underWay[head].end <= sent else {
                    throw .hostile("an answer to what was not sent")
                }
                used = cursor.offset
                answeredBytes = underWay[head].end
                head += 1
                settleEmptyRows()
            }
        } catch {
            if case .hostile(let what) = error { throw connection.violation(what) }
        }
        if used > 0 {
            connection.consume(used)
            connection.answeredEncoded()
        }
        if head == underWay.count, connection.incoming.count > 0 {
            throw connection.violation("an answer that nobody asked for")
        }
        forgetAnswered()
    }

    private func settleEmptyRows() {
        while head < underWay.count, underWay[head].kind == .nothing {
            if refusedForNow != nil {
                refusedForNow?.outcomes.append(.empty)
            } else {
                empty += 1
                noteID(nil)
            }
            answeredBytes = underWay[head].end
            head += 1
        }
    }

    private func forgetAnswered() {
        source.forget(before: known)
        if head == underWay.count {
            underWay.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 32_768 {
            underWay.removeFirst(head)
            head = 0
        }
    }

    private func take(_ sent: UnderWay, _ cursor: inout AnswerCursor) throws(AnswerError) {
        if sent.kind == .transaction {
            if let text = try cursor.transaction(transactionCount, most: encoder.pointee.answerMost)
            {
                refuse(text, sent.row)
            } else if isDone(sent.row) {
                written += 1
            }
            return
        }
        switch try cursor.next() {
        case .bulk(let id):
            guard owner.ids != nil else { throw .hostile("a string in answer to a number") }
            guard isDone(sent.row) else { return }
            written += 1
            noteID(id)
        case .integer(let number):
            guard owner.ids == nil else { throw .hostile("a number in answer to XADD") }
            let most = sent.kind == .deletion ? 1 : encoder.pointee.answerMost
            guard let number = number.count(most: most) else {
                throw .hostile("a count that cannot be")
            }
            guard isDone(sent.row) else { return }
            if sent.kind == .deletion {
                empty += 1
            } else if number == 0, !isRepeatable {
                refusedRows.add(sent.row)
                fail(RedcolError(.keyExists, "the key exists already"), row: sent.row)
            } else {
                written += 1
            }
        case .error(let text):
            refuse(text, sent.row)
        default: throw .hostile("an answer that does not fit the command")
        }
    }

    private func noteID(_ id: UnsafeBufferPointer<UInt8>?) {
        guard let ids = owner.ids, !hasLostIDs else { return }
        var isStored = ids.pointee.beginRow()
        if let text = id?.baseAddress, let id { ids.pointee.set(0, text, id.count) }
        if case .committed = ids.pointee.commitRow() {} else { isStored = false }
        guard !isStored else { return }
        hasLostIDs = true
        fail(RedcolError(.memory, "no memory for the ids"), row: nil)
    }

    private func refuse(_ text: UnsafeBufferPointer<UInt8>, _ row: Int) {
        let asked = owner.ids == nil ? "writing a hash" : "adding an entry"
        let error = RedcolError.server(Array(text), endpoint: connection.endpoint, asked: asked)
        if error.isRefusalForNow, failure == nil, !isStopping {
            if refusedForNow == nil { refusedForNow = RefusedRows(first: row, error: error) }
            refusedForNow?.outcomes.append(.refused)
            return
        }
        if let rows = refusedForNow { tellRefused(rows) }
        refusedRows.add(row)
        noteID(nil)
        if failure == nil { fail(error, row: row) }
    }

    /// The row was executed; false if it will be sent again all the same, with those before it that
    /// were refused.
    private func isDone(_ row: Int) -> Bool {
        if let rows = refusedForNow {
            if isRepeatable {
                refusedForNow?.outcomes.append(.written)
                return false
            }
            // Rows come in their order or not at all: those before this one are too late.
            tellRefused(rows)
        } else {
            retries.succeeded()
        }
        return true
    }

    /// Rows that were refused for now are not sent again.
    private func tellRefused(_ rows: RefusedRows) {
        refusedForNow = nil
        for (index, outcome) in rows.outcomes.enumerated() {
            switch outcome {
            case .refused: refusedRows.add(rows.first + index)
            case .empty: empty += 1
            case .written: written += 1
            }
            noteID(nil)
        }
        fail(rows.error, row: rows.first)
    }

    // MARK: Failing

    /// Keeps the first error. Nothing more is sent; what is under way is still awaited.
    private func fail(_ error: RedcolError, row: Int?) {
        isStopping = true
        guard failure == nil else { return }
        guard let row else {
            failure = error
            return
        }
        // Of one stream the name is known even if the row cannot be read.
        var key = encoder.pointee.stream
        do throws(RedcolError) {
            if key == nil, let batch = try source.batch(holding: row) {
                key = encoder.pointee.keyText(row - batch.firstRow)
            }
        } catch {}
        guard let key else {
            failure = error.adding("row \(row): ", .row, String(row))
            return
        }
        let name = owner.ids == nil ? "key" : "stream"
        let shown = escaped(key, limit: 200)
        failure = error.adding("row \(row), \(name) \"\(shown)\": ", .row, String(row))
        failure = failure?.adding("", owner.ids == nil ? .key : .stream, shown)
    }

    /// Says how far the write has come, once that is known.
    private func finishFailure() {
        guard let error = failure else { return }
        failure = error.saying(progress)
        let rows = refusedRows.text(limit: .max)
        if !rows.isEmpty { failure = failure?.adding("", .refusedRows, rows) }
    }

    private var progress: String {
        var told = "; \(written) "
        told += owner.ids == nil ? "key" : "entr"
        told += owner.ids == nil ? (written == 1 ? "" : "s") : (written == 1 ? "y" : "ies")
        told += written == 1 ? " was written" : " were written"
        if refused > 1 {
            told += "; of the rows before row \(known), the server refused rows "
            told += refusedRows.text(limit: 100)
        }
        if lost > 0 {
            told += ", and of \(lost) more, from row \(known) on, it is unknown: they were sent, "
            told += "and no answer came"
        }
        return told
    }

    /// The connection is gone: what may be repeated is, and else it is said what is unknown.
    private func connectionLost(_ error: RedcolError) throws(RedcolError) {
        takeLastAnswers(error)
        if isStopping, let rows = refusedForNow { tellRefused(rows) }
        let firstUnknown = known
        var unknown = unanswered
        if let rows = refusedForNow {
            refusedForNow = nil
            if rows.hasWritten { unknown = max(unknown, rows.outcomes.count) }
        }
        mayBeWrittenEnd = firstUnknown + unknown
        connection.closeSocket()
        isConnected = false
        probesLeft = 0
        encoder.pointee.commands.clear()
        underWay.removeAll(keepingCapacity: true)
        head = 0
        nextRow = firstUnknown
        hasReadAll = false
        if failure == nil, !isStopping, error.isWorthAnotherTry, isRepeatable || unknown == 0,
            scheduleRetry(error)
        {
            return
        }
        isStopping = true
        lost = unknown
        lostFrom = firstUnknown
        if failure == nil { fail(error, row: error.isRefusalForNow ? firstUnknown : nil) }
        finishFailure()
        isDone = true
    }

    /// A reset, or a failure to send, says nothing of the answers that have come already.
    private func takeLastAnswers(_ error: RedcolError) {
        guard error.cause == .connection, isConnected, probesLeft == 0 else { return }
        // Rows without values have no answer, and may have been added since the last look.
        settleEmptyRows()
        do throws(RedcolError) {
            while head < underWay.count, connection.receiveLast() { try takeAnswers() }
        } catch {}
    }

    private func scheduleRetry(_ error: RedcolError) -> Bool {
        guard let next = retries.failed(platform_monotonic_ms()) else { return false }
        retryAt = next
        Log.write(
            error.isRefusalForNow ? .warning : .info, .retry, about: connection.endpoint.shown
        ) { "writing again from row \(nextRow) on: \(error.message)" }
        return true
    }
}
