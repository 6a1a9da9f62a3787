// SPDX-License-Identifier: Apache-2.0
// A frame on its way to one server: rows encoded, sent and answered on one connection, with a
// bounded number of bytes under way, so that neither side waits for the other to read.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A write on one connection. The plan decides what to do.
final class ServerWriter: FrameWriter {
    private let connection: Connection
    private var plan: WritePlan

    override var written: Int { plan.rows.written }
    override var refused: Int { plan.rows.refused.count }
    override var empty: Int { plan.rows.empty }
    override var known: Int { plan.rows.known }
    override var unknown: Int { plan.rows.unknown(sent: connection.bytesSent) }

    init(
        _ topology: Topology, _ connection: Connection, _ source: FrameSource,
        _ owner: EncoderOwner
    ) {
        self.connection = connection
        plan = WritePlan(
            isRepeatable: owner.encoder.pointee.isRepeatable,
            kind: owner.encoder.pointee.kind,
            silenceMs: topology.timeouts.silenceMs, retryMs: topology.timeouts.retryMs)
        super.init(topology, source, owner)
    }

    deinit {
        if case .closed = plan.state { return }
        topology.giveBack(connection, isIdle: plan.isIdle && !connection.hasUnsent)
    }

    // MARK: Any thread

    override func cancel() { connection.cancel() }

    override var pollDescriptor: Int32 { connection.pollDescriptor }

    // MARK: The caller's

    override func run(waitMs: Int64) throws(RedcolError) -> Bool {
        if plan.state.isStopped { throw RedcolError(.closed, "this write was stopped") }
        return try proceed(waitMs)
    }

    override func stop(waitMs: Int64) throws(RedcolError) -> Bool {
        plan.stop()
        return try proceed(waitMs)
    }

    private func proceed(_ waitMs: Int64) throws(RedcolError) -> Bool {
        if case .closed = plan.state { throw RedcolError(.closed, "this write was closed") }
        let (sum, overflow) = platform_monotonic_ms().addingReportingOverflow(waitMs)
        let until = waitMs < 0 || overflow ? nil : sum
        connection.callerIsBack()
        defer { connection.callerIsAway() }
        defer { noteProgress() }
        while !plan.state.isOver {
            do throws(RedcolError) {
                guard let step = try advance() else { break }
                noteProgress()
                if case .wait(let wake) = step {
                    var end = until
                    if let wake { end = min(until ?? wake, wake) }
                    // Also when the time is over: only a look shows what has come meanwhile.
                    if case .interrupted = try connection.wait(until: end) {
                        return pause(waitMs, step)
                    }
                }
                if let until, platform_monotonic_ms() >= until { return pause(waitMs, step) }
            } catch {
                // A cancel or a signal says nothing about the write.
                if error.cause == .cancelled || error.cause == .interrupted { throw error }
                connectionLost(error)
            }
        }
        // Nothing of the frame is read any more: its last batch need not wait until this is freed.
        source.finish()
        if let error = plan.state.error { throw error }
        return true
    }

    /// The caller's time is over. One that does not wait here waits for `pollDescriptor`, which has
    /// to tell of all that is worth another call.
    private func pause(_ waitMs: Int64, _ step: Step) -> Bool {
        guard waitMs == 0 else { return false }
        switch step {
        case .again: connection.armAlarm(until: 0)
        case .wait(let until): connection.armAlarm(until: until)
        }
        return false
    }

    override var told: String { plan.told }

    override func close() {
        plan.close()
        connection.closeSocket()
    }

    override func discard() {
        connection.discard()
        super.discard()
    }

    // MARK: Sending

    private enum Step {
        case again
        /// Until something comes, or until this time.
        case wait(until: Int64?)
    }

    /// Does what can be done now; nil if the write is over.
    private func advance() throws(RedcolError) -> Step? {
        if case .connecting(let notBefore) = plan.state {
            if let notBefore, platform_monotonic_ms() < notBefore {
                return .wait(until: notBefore)
            }
            guard try connection.advance() else { return .wait(until: nil) }
            try begin()
        }
        guard try readProbes() else { return .wait(until: nil) }
        try readAnswers()
        let mayEncodeMore = try sendMore()
        noteGivenUp(plan.giveUpRefused(isLost: false))
        if try plan.isOver() {
            connection.expectNothing()
            return nil
        }
        return mayEncodeMore ? .again : .wait(until: nil)
    }

    private func begin() throws(RedcolError) {
        let usesTransactions = encoder.pointee.usesTransactions
        plan.connected(usesTransactions: usesTransactions, sent: connection.bytesSent)
        guard usesTransactions else { return }
        connection.enqueue(Command("MULTI"))
        connection.enqueue(Command("EXEC"))
        try connection.flush()
    }

    private func readProbes() throws(RedcolError) -> Bool {
        while plan.state.probesLeft > 0 {
            guard let reply = try connection.nextReply() else { return false }
            var error: RedcolError?
            if case .error(let text) = reply {
                error = RedcolError.server(
                    text, endpoint: connection.endpoint, asked: "beginning a transaction")
            }
            try plan.probeAnswered(error, sent: connection.bytesSent)
        }
        return true
    }

    /// Encodes and sends rows while there is room; true if there is more to do without a wait.
    private func sendMore() throws(RedcolError) -> Bool {
        while plan.mayEncode, !connection.hasUnsent {
            guard plan.rows.bytesUnderWay < FrameWriter.bytesUnderWayMax else { return false }
            let rowsBefore = plan.rows.next
            encodeChunk()
            let commands = encoder.pointee.commands.bytes
            if commands.count > 0 {
                connection.enqueue(encoded: commands)
                progress.addSent(bytes: commands.count)
                encoder.pointee.commands.clear()
                try connection.flush()
            } else if plan.rows.next > rowsBefore {
                noteMissingIDs(plan.settleEmpty())
                return true
            }
        }
        return false
    }

    private func encodeChunk() {
        do throws(RedcolError) {
            var rows = 0
            while encoder.pointee.commands.count < FrameWriter.chunkBytes,
                rows < FrameWriter.chunkRows
            {
                guard let batch = try source.batch(holding: plan.rows.next) else {
                    plan.frameEnded()
                    return
                }
                let end = batch.firstRow + batch.rowCount
                encoder.pointee.rowsBefore = batch.firstRow
                while plan.rows.next < end, rows < FrameWriter.chunkRows,
                    encoder.pointee.commands.count < FrameWriter.chunkBytes
                {
                    let before = encoder.pointee.commands.count
                    let kind = try encoder.pointee.encode(plan.rows.next - batch.firstRow)
                    plan.encoded(kind, bytes: encoder.pointee.commands.count - before)
                    rows += 1
                }
            }
        } catch {
            fail(error, row: plan.rows.next)
        }
    }

    // MARK: Answers

    private func readAnswers() throws(RedcolError) {
        guard plan.rows.first != nil else { return }
        noteMissingIDs(plan.settleEmpty())
        if try connection.receive() { try takeAnswers() }
    }

    /// Takes the answers that have come in full.
    private func takeAnswers() throws(RedcolError) {
        var cursor = AnswerCursor(connection.incoming.waiting)
        var used = 0
        let sent = connection.bytesSent
        do throws(AnswerError) {
            while let row = plan.rows.first {
                let isError = cursor.isError
                let answer = try cursor.answer(to: row.kind, expected)
                // A server may refuse a row that it has not read to the end, but not take it.
                guard isError || row.end <= sent else {
                    throw .hostile("an answer to what was not sent")
                }
                take(answer, row)
                used = cursor.offset
                noteMissingIDs(plan.removeFirst())
            }
        } catch {
            if case .hostile(let what) = error { throw connection.violation(what) }
        }
        if used > 0 {
            connection.consume(used)
            connection.answeredEncoded()
        }
        if plan.rows.first == nil, connection.incoming.count > 0 {
            throw connection.violation("an answer that nobody asked for")
        }
        source.forget(before: known)
        plan.forgetAnswered()
    }

    private func take(_ answer: RowAnswer, _ row: SentRow) {
        switch answer {
        case .written(let id): settle(plan.executed(row.number, .written), id: id)
        case .received(let count):
            progress.addReceivers(count)
            settle(plan.executed(row.number, .written), id: nil)
        case .deleted: settle(plan.executed(row.number, .empty), id: nil)
        case .exists:
            settle(plan.executed(row.number, .refused), id: nil)
            fail(RedcolError(.keyExists, "the key exists already"), row: row.number)
        case .refused(let text): refuse(text, row.number)
        }
    }

    private func refuse(_ text: UnsafeBufferPointer<UInt8>, _ row: Int) {
        let error = refusal(text, connection)
        let settlement = plan.refused(row, error)
        settle(settlement, id: nil)
        if case .counted = settlement { fail(error, row: row) }
    }

    /// Notes the id of a row, if the plan has counted it.
    @inline(__always)
    private func settle(_ settlement: Settlement, id: UnsafeBufferPointer<UInt8>?) {
        guard case .counted(let givenUp) = settlement else { return }
        noteGivenUp(givenUp)
        note(id)
    }

    /// The write fails with the first of these rows, which were refused for now and will not be
    /// sent again.
    private func noteGivenUp(_ rows: RefusedRows?) {
        guard let rows else { return }
        noteMissingIDs(rows.outcomes.count)
        fail(rows.error, row: rows.first)
    }

    private func noteMissingIDs(_ count: Int) {
        for _ in 0..<count { note(nil) }
    }

    private func note(_ id: UnsafeBufferPointer<UInt8>?) {
        if !owner.note(id) { fail(RedcolError(.memory, "no memory for the ids"), row: nil) }
    }

    // MARK: Failing

    /// The write fails. The first error is kept, with what is known of its row.
    private func fail(_ error: RedcolError, row: Int?) {
        guard plan.state.error == nil else { return }
        plan.fail(row.map { named(error, row: $0) } ?? error)
    }

    private func connectionLost(_ error: RedcolError) {
        takeLastAnswers(error)
        noteGivenUp(plan.giveUpRefused(isLost: true))
        let loss = plan.connectionLost(
            error, sent: connection.bytesSent, platform_monotonic_ms())
        connection.closeSocket()
        encoder.pointee.commands.clear()
        switch loss {
        case .tryAgain:
            Log.write(
                error.isRefusalForNow ? .warning : .info, .retry, about: connection.endpoint.shown
            ) { "writing again from row \(plan.rows.next) on: \(error.message)" }
        case .giveUp(let row):
            fail(error, row: row)
            plan.connectionGone()
        }
    }

    /// A reset, or a failure to send, says nothing of the answers that have come already.
    private func takeLastAnswers(_ error: RedcolError) {
        guard error.cause == .connection, plan.state.awaitsRows else { return }
        // Rows without values have no answer, and may have been added since the last look.
        noteMissingIDs(plan.settleEmpty())
        do throws(RedcolError) {
            while plan.rows.first != nil, connection.receiveLast() { try takeAnswers() }
        } catch {}
    }
}
