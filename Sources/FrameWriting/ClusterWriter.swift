// SPDX-License-Identifier: Apache-2.0
// A frame on its way to the nodes of a cluster: each row is sent to the node that has its key, and
// all nodes work at once. Rows of one key come in their order; ids and errors are those of rows.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A write on a connection to each node. What is refused for now, since its slot is elsewhere or
/// moves, and what was under way on a connection that was lost, is sent again once all else is
/// answered.
final class ClusterWriter: FrameWriter {
    private let poller: ConnectionPoller
    private var plan: ScatteredPlan
    /// One for each node that was needed so far; nil while it has no connection.
    private var lanes: [WriteLane?] = []
    private var laneOfPlace: [Int: Int] = [:]
    /// Lanes to look at.
    private var isDue: [Bool] = []
    /// The lanes of keys, each at the place that its hash has.
    private var lanesOfKeys: [(key: Int, lane: Int)] = []
    /// Rows that are being sent again, and how many of them were.
    private var repeated: [ScatteredRows.Again] = []
    private var repeatedCount = 0
    private var idText = [UInt8](repeating: 0, count: 64)
    /// While it is not known whether the servers are a cluster, and what serves them if they are
    /// none.
    private var probe: Connection?
    private var single: ServerWriter?

    private static let knownMost = 1_024
    private static let asking: StaticString = "*1\r\n$6\r\nASKING\r\n"

    static func make(
        _ topology: Topology, _ source: FrameSource, _ owner: EncoderOwner
    ) throws(RedcolError) -> ClusterWriter {
        let keepsIDs = owner.encoder.pointee.writesEntries
        try Memory.require(ScatteredRows.memory(keepsIDs: keepsIDs), for: "the rows of a write")
        let poller = try ConnectionPoller.make()
        let probe = topology.isCluster ? nil : try topology.take(for: nil, to: .writing)
        if let probe { try poller.watch(probe, 0) }
        return ClusterWriter(topology, source, owner, poller, probe)
    }

    private init(
        _ topology: Topology, _ source: FrameSource, _ owner: EncoderOwner,
        _ poller: ConnectionPoller, _ probe: Connection?
    ) {
        self.poller = poller
        self.probe = probe
        plan = ScatteredPlan(
            isRepeatable: owner.encoder.pointee.isRepeatable,
            kind: owner.encoder.pointee.kind,
            silenceMs: topology.timeouts.silenceMs, retryMs: topology.timeouts.retryMs)
        super.init(topology, source, owner)
        forgetLanesOfKeys()
    }

    deinit {
        if case .closed = plan.state { return }
        if let probe, single == nil { topology.giveBack(probe, isIdle: probe.isReady) }
        for (index, lane) in lanes.enumerated() {
            guard let lane else { continue }
            topology.giveBack(
                lane.connection,
                isIdle: lane.isReady && plan.rows.lanes[index].first == nil
                    && !lane.connection.hasUnsent)
        }
    }

    override var written: Int { single?.written ?? plan.rows.written }
    override var refused: Int { single?.refused ?? plan.rows.refused.count }
    override var empty: Int { single?.empty ?? plan.rows.empty }
    override var known: Int { single?.known ?? plan.rows.known }
    override var unknown: Int {
        if let single { return single.unknown }
        if plan.state.isOver { return plan.unknown.count }
        return plan.rows.unknown(sent: bytesSent).count
    }
    override var told: String { single?.told ?? plan.told }

    private func bytesSent(_ lane: Int) -> Int { lanes[lane]?.connection.bytesSent ?? 0 }

    // MARK: Any thread

    override func cancel() { poller.cancel() }

    override var pollDescriptor: Int32 { poller.descriptor }

    // MARK: The caller's

    override func run(waitMs: Int64) throws(RedcolError) -> Bool {
        if plan.state.isStopped { throw RedcolError(.closed, "this write was stopped") }
        return try proceed(waitMs, stops: false)
    }

    override func stop(waitMs: Int64) throws(RedcolError) -> Bool {
        plan.stop()
        return try proceed(waitMs, stops: true)
    }

    private func proceed(_ waitMs: Int64, stops: Bool) throws(RedcolError) -> Bool {
        if case .closed = plan.state { throw RedcolError(.closed, "this write was closed") }
        let (sum, overflow) = platform_monotonic_ms().addingReportingOverflow(waitMs)
        let until = waitMs < 0 || overflow ? nil : sum
        for lane in lanes { lane?.connection.callerIsBack() }
        defer { for lane in lanes { lane?.connection.callerIsAway() } }
        defer { noteProgress() }
        var isLate = false
        while true {
            var hasMore = false
            if let single {
                if try stops ? single.stop(waitMs: 0) : single.run(waitMs: 0) { return true }
            } else {
                if probe != nil { decide() } else { hasMore = advance() }
                if probe == nil, plan.state.isOver { break }
            }
            noteProgress()
            // Also when the time is over: only a look shows what has come meanwhile.
            let wake = try wait(hasMore || isLate ? 0 : until)
            if isLate || !isReady(wake) && until.map({ $0 <= platform_monotonic_ms() }) ?? false {
                if waitMs == 0, hasMore { poller.wake(afterMs: 0) }
                return false
            }
            if case .interrupted = wake { return false }
            isLate = until.map { platform_monotonic_ms() >= $0 } ?? false
        }
        // Nothing of the frame is read any more: its last batch need not wait until this is freed.
        source.finish()
        if let error = plan.state.error { throw error }
        return true
    }

    private func isReady(_ wake: Connection.Wake) -> Bool {
        if case .ready = wake { return true }
        return false
    }

    private func wait(_ until: Int64?) throws(RedcolError) -> Connection.Wake {
        for lane in lanes { lane?.connection.armAlarm(until: nil) }
        var end = until
        if let notBefore = plan.notBefore { end = min(until ?? notBefore, notBefore) }
        let wake = try poller.wait(until: end) { lane in
            if isDue.indices.contains(lane) { isDue[lane] = true }
        }
        if case .timeout = wake, end != until { return .ready }
        return wake
    }

    /// Finds out whether the servers are a cluster.
    private func decide() {
        guard let probe else { return }
        do throws(RedcolError) {
            guard try probe.advance() else {
                _ = try probe.wait(until: 0)
                probe.armAlarm(until: nil)
                return
            }
        } catch {
            plan.fail(error)
        }
        self.probe = nil
        if topology.isCluster || plan.state.error != nil {
            poller.unwatch(probe)
            topology.giveBack(probe, isIdle: probe.isReady)
        } else {
            single = ServerWriter(topology, probe, source, owner)
        }
    }

    override func close() {
        plan.close()
        single?.close()
        probe?.closeSocket()
        for lane in lanes { lane?.connection.closeSocket() }
    }

    override func discard() {
        probe?.discard()
        for lane in lanes { lane?.connection.discard() }
        poller.close()
        if let single { single.discard() } else { super.discard() }
    }

    // MARK: Advancing

    /// Does what can be done now; true if there is more to do without a wait.
    private func advance() -> Bool {
        plan.begin()
        for lane in lanes.indices where isDue[lane] {
            isDue[lane] = false
            serve(lane)
        }
        let hasMore = sendMore()
        noteKnown()
        guard plan.isOver(repeated: repeated[repeatedCount...], sent: bytesSent) else {
            return hasMore
        }
        for lane in lanes { lane?.connection.expectNothing() }
        noteRest()
        return false
    }

    /// Connects a lane, and takes the answers that have come on it.
    private func serve(_ index: Int) {
        guard let lane = lanes[index] else { return }
        do throws(RedcolError) {
            _ = try lane.connection.wait(until: 0)
            guard try lane.connection.advance() else { return }
            if !lane.isReady { guard try begin(lane, index) else { return } }
            while try lane.connection.receive() { try takeAnswers(lane, index) }
        } catch {
            connectionLost(lane, index, error)
        }
    }

    /// Asks whether this user may use transactions, if they are needed; true when rows may be sent.
    private func begin(_ lane: WriteLane, _ index: Int) throws(RedcolError) -> Bool {
        if lane.probesLeft == nil {
            guard encoder.pointee.usesTransactions else {
                plan.rows.begin(index, sent: lane.connection.bytesSent)
                lane.isReady = true
                return true
            }
            lane.connection.enqueue(Command("MULTI"))
            lane.connection.enqueue(Command("EXEC"))
            try lane.connection.flush()
            lane.probesLeft = WritePlan.probes
        }
        while let left = lane.probesLeft, left > 0 {
            guard let reply = try lane.connection.nextReply() else { return false }
            lane.probesLeft = left - 1
            guard case .error(let text) = reply else { continue }
            let error = RedcolError.server(
                text, endpoint: lane.connection.endpoint, asked: "beginning a transaction")
            if error.isRefusalForNow, plan.state.error == nil { throw error }
            plan.fail(error)
        }
        plan.rows.begin(index, sent: lane.connection.bytesSent)
        lane.isReady = true
        return true
    }

    // MARK: Sending

    /// Encodes and sends rows while there is room; true if there is more to do without a wait.
    private func sendMore() -> Bool {
        if repeatedCount < repeated.count, !plan.rows.again.isEmpty {
            // The rest must not come before what was refused again.
            for row in repeated[repeatedCount...] { plan.rows.putBack(row) }
            repeatedCount = repeated.count
        }
        let sending = plan.sending(
            platform_monotonic_ms(), isRepeating: repeatedCount < repeated.count)
        if sending == .nothing { return false }
        if sending == .new, !repeated.isEmpty {
            // What was sent again comes first.
            guard plan.rows.underWay == 0 else { return false }
            repeated = []
            repeatedCount = 0
        }
        if sending == .again, repeatedCount == repeated.count {
            repeated = plan.rows.takeAgain()
            repeatedCount = 0
            forgetLanesOfKeys()
        }
        let hasMore = sendChunk(sending)
        for (index, lane) in lanes.enumerated() {
            guard let lane, lane.hasNew else { continue }
            lane.hasNew = false
            do throws(RedcolError) {
                try lane.connection.flush()
            } catch {
                connectionLost(lane, index, error)
            }
        }
        return hasMore
    }

    private func sendChunk(_ sending: ScatteredPlan.Sending) -> Bool {
        for lane in lanes where lane?.connection.hasUnsent ?? false { return false }
        var row = plan.rows.next
        var bytes = 0
        defer { progress.addSent(bytes: bytes) }
        do throws(RedcolError) {
            for _ in 0..<FrameWriter.chunkRows {
                var again: ScatteredRows.Again?
                if sending == .again {
                    guard repeatedCount < repeated.count else { return false }
                    again = repeated[repeatedCount]
                    row = repeated[repeatedCount].row
                } else {
                    guard plan.rows.hasRoom else { return false }
                    row = plan.rows.next
                }
                if !source.boundRows.contains(row), try source.batch(holding: row) == nil {
                    plan.frameEnded()
                    return false
                }
                encoder.pointee.commands.clear()
                let kind = try encoder.pointee.encode(row - source.boundRows.lowerBound)
                if kind == .nothing {
                    plan.rows.encoded(row, kind, to: 0, bytes: 0, key: 0)
                    continue
                }
                let key = encoder.pointee.keyHash
                let index = try lane(of: key, asked: again?.asked)
                guard let lane = lanes[index], lane.isReady,
                    plan.rows.bytesUnderWay(index) < FrameWriter.bytesUnderWayMax
                else { return false }
                bytes += send(row, kind, key, lane, index, asks: again?.asked != nil)
                if again != nil { repeatedCount += 1 }
                if bytes >= FrameWriter.chunkBytes * max(1, laneOfPlace.count) { break }
            }
        } catch {
            fail(error, row: row)
            return false
        }
        return true
    }

    /// Adds the row that was encoded to what is sent to a node; the number of its bytes.
    private func send(
        _ row: Int, _ kind: EncodedRow, _ key: Int, _ lane: WriteLane, _ index: Int, asks: Bool
    ) -> Int {
        var bytes = encoder.pointee.commands.count
        if asks {
            let asking = ClusterWriter.asking
            lane.connection.enqueue(
                encoded: UnsafeBufferPointer(
                    start: asking.utf8Start, count: asking.utf8CodeUnitCount))
            bytes += asking.utf8CodeUnitCount
        }
        lane.connection.enqueue(encoded: encoder.pointee.commands.bytes)
        lane.hasNew = true
        plan.rows.encoded(row, kind, to: index, bytes: bytes, key: key, asks: asks)
        return bytes
    }

    // MARK: Lanes

    private func forgetLanesOfKeys() {
        lanesOfKeys = Array(repeating: (0, -1), count: ClusterWriter.knownMost)
    }

    /// The lane to the node that has the key that was encoded, or to the one that is asked.
    private func lane(of key: Int, asked: Int?) throws(RedcolError) -> Int {
        if let asked { return try lane(to: asked) }
        let place = key & (ClusterWriter.knownMost - 1)
        let known = lanesOfKeys[place]
        if known.key == key, known.lane >= 0, lanes[known.lane] != nil { return known.lane }
        let text = Array(encoder.pointee.keyBytes)
        let index = try lane(to: topology.place(of: text) ?? topology.places.first ?? 0)
        lanesOfKeys[place] = (key, index)
        return index
    }

    private func lane(to place: Int) throws(RedcolError) -> Int {
        let index = laneOfPlace[place] ?? lanes.count
        if index < lanes.count, lanes[index] != nil { return index }
        let connection = try topology.take(at: place, to: .writing)
        if index == lanes.count {
            lanes.append(nil)
            isDue.append(false)
            plan.rows.addLane()
            laneOfPlace[place] = index
        }
        try poller.watch(connection, index)
        lanes[index] = WriteLane(place: place, connection: connection)
        serve(index)
        return index
    }

    // MARK: Answers

    /// Takes the answers that have come in full.
    private func takeAnswers(_ lane: WriteLane, _ index: Int) throws(RedcolError) {
        var cursor = AnswerCursor(lane.connection.incoming.waiting)
        var used = 0
        let sent = lane.connection.bytesSent
        do throws(AnswerError) {
            while let row = plan.rows.first(of: index) {
                // What was wrong with ASKING is wrong with the row, too.
                if row.asks { _ = try cursor.next() }
                let isError = cursor.isError
                let answer = try cursor.answer(to: row.kind, expected)
                // A server may refuse a row that it has not read to the end, but not take it.
                guard isError || row.end <= sent else {
                    throw .hostile("an answer to what was not sent")
                }
                guard take(answer, row, lane, index) else {
                    throw .hostile("an id that is not valid")
                }
                used = cursor.offset
            }
        } catch {
            if case .hostile(let what) = error { throw lane.connection.violation(what) }
        }
        if used > 0 {
            lane.connection.consume(used)
            lane.connection.answeredEncoded()
        }
        guard plan.rows.lanes[index].first == nil else { return }
        if lane.connection.incoming.count > 0 {
            throw lane.connection.violation("an answer that nobody asked for")
        }
        lane.connection.expectNothing()
    }

    /// False if the answer cannot be one.
    private func take(
        _ answer: RowAnswer, _ row: ScatteredRows.Sent, _ lane: WriteLane, _ index: Int
    ) -> Bool {
        switch answer {
        case .written(let text):
            var id: EntryID?
            if let text {
                id = text.baseAddress.flatMap { readID($0, text.count) }
                if id == nil { return false }
            }
            executed(index, .written, id)
        case .received(let count):
            progress.addReceivers(count)
            executed(index, .written, nil)
        case .deleted: executed(index, .empty, nil)
        case .exists:
            executed(index, .refused, nil)
            fail(RedcolError(.keyExists, "the key exists already"), row: row.row)
        case .refused(let text):
            let redirect = topology.redirect(Array(text), from: lane.connection)
            let error = refusal(text, lane.connection)
            let asked = redirect.flatMap { $0.asks ? $0.place : nil }
            if !plan.refused(index, error, asked: asked, platform_monotonic_ms()) {
                fail(error, row: row.row)
            }
        }
        return true
    }

    private func executed(_ lane: Int, _ outcome: ScatteredRows.Outcome, _ id: EntryID?) {
        if let (row, error) = plan.executed(lane, outcome, id: id) { fail(error, row: row) }
    }

    /// Notes the ids of leading rows whose outcome is known by now.
    private func noteKnown() {
        while let row = plan.rows.takeKnown() {
            note(row)
            plan.rows.forget(row)
        }
        source.forget(before: plan.rows.known)
    }

    /// At the end: the ids of the rows after one whose outcome is not known.
    private func noteRest() {
        for row in plan.rows.known..<plan.rows.next { note(row) }
    }

    private func note(_ row: Int) {
        guard encoder.pointee.writesEntries else { return }
        guard plan.rows.outcome(of: row) == .written else { return keep(owner.note(nil)) }
        let id = plan.rows.id(of: row)
        let isNoted = idText.withUnsafeMutableBufferPointer { text in
            guard let start = text.baseAddress else { return false }
            var count = writeDecimal(id.milliseconds, to: start)
            start[count] = UInt8(ascii: "-")
            count += 1
            count += writeDecimal(id.sequence, to: start + count)
            return owner.note(UnsafeBufferPointer(start: start, count: count))
        }
        keep(isNoted)
    }

    private func keep(_ isNoted: Bool) {
        if !isNoted { fail(RedcolError(.memory, "no memory for the ids"), row: nil) }
    }

    // MARK: Failing

    /// The write fails. The first error is kept, with what is known of its row.
    private func fail(_ error: RedcolError, row: Int?) {
        guard plan.state.error == nil else { return }
        plan.fail(row.map { named(error, row: $0) } ?? error)
    }

    private func connectionLost(_ lane: WriteLane, _ index: Int, _ error: RedcolError) {
        // A reset, or a failure to send, says nothing of the answers that have come already.
        if error.cause == .connection, lane.isReady {
            do throws(RedcolError) {
                while plan.rows.lanes[index].first != nil, lane.connection.receiveLast() {
                    try takeAnswers(lane, index)
                }
            } catch {}
        }
        let goesOn = plan.connectionLost(
            index, error, sent: lane.connection.bytesSent, wasReady: lane.isReady,
            platform_monotonic_ms())
        lane.connection.closeSocket()
        poller.unwatch(lane.connection)
        lanes[index] = nil
        guard goesOn else { return fail(error, row: nil) }
        Log.write(.info, .retry, about: lane.connection.endpoint.shown) {
            "writing again to the node that has what was under way: \(error.message)"
        }
    }
}
