// SPDX-License-Identifier: Apache-2.0
// What all reads have in common: a connection of their own, a parser, the wait for the next batch.
// Subclasses know what to ask and what an answer means; `Reconnecting` says when to connect again.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A read on one connection.
public class StreamReader: Reader {
    final let topology: Topology
    /// The connection that it was made with, and the one in hand: another one only while ranges are
    /// read from several nodes of a cluster.
    final let home: Connection
    private(set) final var connection: Connection
    private final let parserOwner: ParserOwner
    final let parser: UnsafeMutablePointer<RowParser>
    final let state: ReadState

    private(set) final var reconnecting: Reconnecting
    /// What is asked for at once is held to what gets through.
    final var answerSize: AnswerSize {
        get { reconnecting.answerSize }
        set { reconnecting.answerSize = newValue }
    }
    final var idleness: Idleness
    private final var failure: RedcolError?
    /// An error that belongs to the place in the stream after the rows of the batch.
    final var heldError: RedcolError?
    /// Nothing more will come.
    final var isDone = false
    /// Bytes parsed of the answer that `parser` expects.
    final var answerBytes = 0
    final var hasGivenBatch = false
    /// What was counted of the rows in the batch, and of those that were handed over last: to be
    /// taken off again if they are read again.
    final var leftOut = 0
    /// The stream of the last entry that was left out, and how many had been when the log said so.
    final var leftOutOf: [UInt8] = []
    final var leftOutTooLarge: String?
    final var leftOutSaid: Int64 = 0
    private final var counted = (nulled: 0, skipped: 0)
    private final var isClosed = false
    /// What `askNow` has asked, and how many answers it has taken; nil when it is not under way.
    final var opening: (commands: Int, taken: Int)?
    /// The ids that `askLastIDs` has heard, and the one that comes next.
    final var askedIDs: [EntryID?] = []
    final var askedEntry = LastEntry()
    /// Whether it is known if the streams are there.
    final var hasLookedForStreams = false
    /// The server's clock, once it was asked for.
    final var serverTime: UInt64?
    /// Whether `begin` has done its work.
    private final var hasBegun = false
    /// The attempts to get what `askNow` asks.
    final var beginning: RetryWindow
    /// How long `begin` may wait; nil for as long as it takes.
    final var beginUntil: Int64?

    init(_ parts: ReaderParts) {
        topology = parts.topology
        home = parts.connection
        connection = parts.connection
        parserOwner = parts.parserOwner
        parser = parts.parserOwner.parser
        state = parts.state
        reconnecting = Reconnecting(parts.options, parts.topology.timeouts)
        idleness = Idleness(parts.options.onIdle, blockMs: parts.options.blockMs)
        beginning = RetryWindow(
            limitMs: parts.options.follows
                ? parts.options.reconnectLimitMs : parts.topology.timeouts.silenceMs,
            longestMs: parts.topology.timeouts.retryMs)
        super.init(parts.streams, parts.options, parts.statistics)
        _ = home.takeReceived()  // by whoever had the connection before
    }

    override final var members: [StreamReader] { [self] }

    deinit {
        if isClosed { return }
        topology.giveBack(home, isIdle: !awaitsReply && failure == nil && opening == nil)
    }

    // MARK: For subclasses

    /// Does what a read must have done before it begins. A signal, or the end of the time to wait,
    /// ends it as an error of the cause `interrupted`; calling it again continues.
    func begin() throws(RedcolError) {}

    /// Whether what was asked may be asked again after a lost connection.
    var mayAskAgain: Bool { true }

    /// Whether an answer is awaited.
    var awaitsReply: Bool { false }

    /// Sends and receives what it can without waiting; true when a batch (or the end) is ready.
    /// The connection is ready.
    func exchange() throws(RedcolError) -> Bool { true }

    /// The connection is gone, and with it all that was awaited.
    func connectionLost() {}

    /// The connection is there, again or for the first time.
    func connected() {}

    /// Whether other servers have what the connection in hand, which has failed, was asked for.
    func canDoWithoutConnection(after error: RedcolError) -> Bool { false }

    /// How many entries are awaited in answers of which none has come; nil if none is awaited, or
    /// some have come. Asked before `connectionLost`.
    var entriesLost: Int? { nil }

    /// The rows of the batch are about to be handed over.
    func willHandOver(rows: Int) {}

    /// There was no memory to hand the batch over: nobody has its rows. A read that follows
    /// continues with them; of a group they are pending, and a new connection begins with those.
    func couldNotHandOver(rows: Int) {
        _ = parser.pointee.takeRows()
        _ = parser.pointee.leftOut.takeRows()
    }

    /// The caller asks for the next batch: it is done with the last one.
    func nextIsAsked() {}

    /// The entry of a stream after which this goes on; nil if that is not known.
    func position(_ stream: Int) -> EntryID? { nil }

    /// The last entry of the batch that was just handed over; nil if that is not known.
    var lastHandedOver: EntryID? { nil }

    /// Acknowledges what waits for it, although nothing else is sent now: rows or an error are
    /// ready.
    func acknowledgeAlone() throws(RedcolError) {}

    /// Whether there is something to send, or an answer to wait for, although no more rows will
    /// come.
    var hasMoreToSay: Bool { false }

    /// Whether the read has ended, although this error kept it from tidying up.
    func ends(despite error: RedcolError) -> Bool { false }

    /// The connection is about to be closed for good.
    func willClose() {}

    /// Forgets that the last batch was handed over; false if there is none to take back.
    func takeBack() -> Bool { false }

    /// When `exchange` should be called even if nothing has come.
    var wakeAt: Int64? { nil }

    /// When it ends, whatever has come by then; nil if time does not end it.
    var endsAt: Int64? { nil }

    /// What a group's member has of its pending entries; nil without a group.
    var pendingEntries: PendingEntries? { nil }

    /// The stream that an error is about; nil if that is not known.
    var streamInHand: [UInt8]? { streams.count == 1 ? streams[0] : nil }

    /// A stream's name for people.
    func shownStream(_ name: [UInt8]) -> String { escaped(name, limit: 200) }

    /// Whether it always returns at least one batch, so that there is one that shows the columns.
    var givesEmptyBatch: Bool { true }

    /// Others have a part in a read that does not follow. If they have rows, it waits no longer.
    func shares(othersHaveRows: Bool) {}

    /// Whether what comes before the first batch is still to be done.
    final var isBeginning: Bool { !hasBegun }

    /// How many entries may still be read, of a read that follows or is a group's: without those of
    /// `parser.rows`, which are not counted yet.
    var remaining: Int {
        get { .max }
        set {}
    }

    // MARK: Any thread

    override public func cancel() { home.cancel() }

    override public var pollDescriptor: Int32 { home.pollDescriptor }

    // MARK: Batches

    override public func close() {
        guard !isClosed else { return }
        isClosed = true
        willClose()
        sayLeftOutAtEnd()
        connection.closeSocket()
    }

    override public func closeAbandoned() {
        isClosed = true
        connection.closeSocket()
    }

    override public func discard() {
        connection.discard()
        parserOwner.discard()
    }

    override public func connect(waitMs: Int64) throws(RedcolError) -> Bool {
        connection.callerIsBack()
        var isAway = true
        defer { if isAway { connection.callerIsAway() } }
        let isDone = try connect(until: end(of: waitMs), isElsewhere: waitMs == 0)
        // Who waits elsewhere for the server's answer is not away.
        isAway = isDone || waitMs > 0
        return isDone
    }

    /// `isElsewhere`: whether the caller waits for `pollDescriptor`, and not here.
    private final func connect(until: Int64?, isElsewhere: Bool) throws(RedcolError) -> Bool {
        if isClosed { throw closed }
        if let failure { throw failure }
        if hasBegun { return true }
        beginUntil = until
        do throws(RedcolError) {
            try begin()
            noteBegun()
            return true
        } catch {
            guard error.cause == .interrupted else { throw error }
            if isElsewhere { connection.armAlarm(until: beginning.nextAt) }
            return false
        }
    }

    override public func connectNow() throws(RedcolError) {
        if options.connectsLater || hasBegun || !options.beginsNow { return }
        beginUntil = nil
        try begin()
        noteBegun()
    }

    private final func noteBegun() {
        hasBegun = true
        notePositions()
    }

    /// Shows other threads where this is.
    private final func notePositions() {
        for stream in streams.indices { state.moved(stream, to: position(stream)) }
    }

    override public var columns: [RequestedColumn] { parser.pointee.columns }

    override public func next(
        waitMs: Int64, array: UnsafeMutablePointer<ArrowArray>,
        schema: UnsafeMutablePointer<ArrowSchema>?, asViews: Bool = false
    ) throws(RedcolError) -> ReadOutcome {
        let until = end(of: waitMs)
        if connection !== home { home.unwatch(connection) }
        connection.callerIsBack()
        // Who waits elsewhere for the server's answer is not away.
        var isAway = true
        defer { if isAway { connection.callerIsAway() } }
        guard try connect(until: until, isElsewhere: waitMs == 0) else {
            isAway = waitMs > 0
            return .timeout
        }
        do {
            nextIsAsked()
            var isLate = false
            if options.follows { idleness.isAsked(platform_monotonic_ms()) }
            while true {
                if try advance() { return try handOver(array, schema, asViews: asViews) }
                // A server that never stops sending must not keep the caller.
                if isLate {
                    isAway = waitMs > 0
                    if waitMs == 0 { waitsElsewhere() }
                    return .timeout
                }
                let wake: Connection.Wake
                do {
                    wake = try wait(until)
                } catch {
                    // A server that was silent for too long is a lost connection too.
                    _ = try scheduleRetry(after: error)
                    continue
                }
                switch wake {
                case .ready:
                    isLate = until.map { platform_monotonic_ms() >= $0 } ?? false
                case .timeout, .interrupted:
                    isAway = waitMs > 0
                    if waitMs == 0 { waitsElsewhere() }
                    return .timeout
                }
            }
        } catch {
            if ends(despite: error) {
                isDone = true
                dropConnection(error)
                return .end
            }
            throw failed(error)
        }
    }

    /// The error as the caller sees it. The read ends, or connects again when it is continued.
    func failed(_ error: RedcolError) -> RedcolError {
        // A cancel or a signal says nothing about the read.
        if error.cause == .cancelled || error.cause == .interrupted { return error }
        idleness.handedOver()
        var shown = error
        if let stream = streamInHand {
            let name = shownStream(stream)
            shown = error.adding("stream \"\(name)\": ", .stream, name)
        }
        if error.cause == .value || error.cause == .gap, options.follows { return shown }
        dropConnection(error)
        reconnecting.begin()
        // A read that follows a stream may be asked again; one that has an end is over.
        if !options.follows { failure = shown }
        return shown
    }

    override public func unread() throws(RedcolError) {
        if isClosed { throw closed }
        guard options.follows else {
            throw RedcolError(.invalidArgument, "only a read that follows can take a batch back")
        }
        guard takeBack() else { return }
        notePositions()
        statistics.takeBatchBack()
        statistics.add(.nulled, -counted.nulled)
        statistics.add(.skipped, -counted.skipped)
        counted = (0, 0)
        isDone = false
        heldError = nil
        idleness.takeBack()
        // What is under way belongs after that batch.
        dropConnection(nil)
    }

    private final func handOver(
        _ array: UnsafeMutablePointer<ArrowArray>, _ schema: UnsafeMutablePointer<ArrowSchema>?,
        asViews: Bool
    ) throws(RedcolError) -> ReadOutcome {
        let rows = parser.pointee.batch.rowCount
        if rows == 0 {
            if let error = heldError {
                heldError = nil
                throw error
            }
            if isDone, hasGivenBatch || !givesEmptyBatch {
                sayLeftOutAtEnd()
                return .end
            }
        }
        if let error = parser.pointee.pastLayout(rows: rows) {
            parser.pointee.withBatch { $0.removeRows() }
            throw notHandedOver(rows: rows, error)
        }
        let hasRoom = pendingEntries?.hasRoom(for: rows) ?? true
        let isFinished = parser.pointee.withBatch { batch in
            if !hasRoom { batch.removeRows() }
            return hasRoom && batch.finish(array: array, schema: schema, asViews: asViews)
        }
        guard isFinished else {
            throw notHandedOver(rows: rows, RowParser.noMemory(rows: rows))
        }
        hasGivenBatch = true
        idleness.handedOver()
        counted = (parser.pointee.withBatch { $0.takeNulled() }, leftOut)
        leftOut = 0
        if counted.nulled > 0 { statistics.add(.nulled, counted.nulled) }
        willHandOver(rows: rows)
        notePositions()
        statistics.addBatch(rows: rows, last: rows > 0 ? lastHandedOver : nil)
        return .batch
    }

    private final func notHandedOver(rows: Int, _ error: RedcolError) -> RedcolError {
        couldNotHandOver(rows: rows)
        statistics.add(.rowsRead, -rows)
        _ = parser.pointee.withBatch { $0.takeNulled() }
        statistics.add(.skipped, -leftOut)
        leftOut = 0
        if options.follows {
            isDone = false
            idleness.takeBack()
        }
        return error
    }

    /// The caller waits for `pollDescriptor`.
    private final func waitsElsewhere() {
        connection.armAlarm(until: nextWake)
        if connection !== home { home.watch(connection, instead: true) }
    }

    /// Goes on with another connection, in whose wait a cancel of this read ends, too.
    final func use(_ other: Connection) throws(RedcolError) {
        countReceived()
        if other !== home { try other.shareCancel(of: home) }
        connection = other
    }

    final func useHome() {
        countReceived()
        connection = home
    }

    private func countReceived() { statistics.add(.bytesReceived, connection.takeReceived()) }

    private final var nextWake: Int64? {
        let wake = reconnecting.wakeAt(wakeAt)
        return endsAt.map { min($0, wake ?? $0) } ?? wake
    }

    private final func wait(_ until: Int64?) throws(RedcolError) -> Connection.Wake {
        guard let wake = nextWake else { return try connection.wait(until: until) }
        let outcome = try connection.wait(until: until.map { min($0, wake) } ?? wake)
        if case .timeout = outcome, until.map({ $0 > platform_monotonic_ms() }) ?? true {
            return .ready
        }
        return outcome
    }

    // MARK: Advancing

    /// Does all that can be done without waiting; true when a batch (or the end) can be handed
    /// over.
    final func advance() throws(RedcolError) -> Bool {
        if isDone {
            guard parser.pointee.batch.rowCount == 0, hasMoreToSay else { return true }
            isDone = false  // until that is answered
        }
        if !connection.isReady, let endsAt, platform_monotonic_ms() >= endsAt {
            isDone = true
            return true
        }
        guard try reconnecting.mayTry(platform_monotonic_ms()) else { return false }
        defer { countReceived() }
        do {
            if heldError != nil {
                try acknowledgeAlone()
                return true
            }
            if !connection.isReady {
                guard try connection.advance() else { return false }
                connected()
            }
            noteConnected()
            return try exchange()
        } catch {
            return try scheduleRetry(after: error) ? advance() : false
        }
    }

    /// What to do about an error: go on at once (then it is true), wait and try again, or give up
    /// by throwing it.
    private final func scheduleRetry(after error: RedcolError) throws(RedcolError) -> Bool {
        let isLoss = error.isConnectionLoss && reconnecting.isConnected
        if error.remedy != .raise, canDoWithoutConnection(after: error) {
            if isLoss { statistics.add(.reconnects, 1) }
            note(error, of: connection)
            dropConnection(error)
            return true
        }
        guard mayAskAgain || !error.isConnectionLoss, reconnecting.triesAgain(after: error)
        else { throw error }
        if isLoss { statistics.add(.reconnects, 1) }
        try reconnecting.failed(
            error, entriesLost: entriesLost, shown: connection.endpoint.shown,
            platform_monotonic_ms())
        dropConnection(error)
        return reconnecting.triesAtOnce
    }

    /// A server that is not needed has failed.
    final func note(_ error: RedcolError, of connection: Connection) {
        Log.write(.info, .retry, about: connection.endpoint.shown) {
            "reading without one of the servers: \(error.message)"
        }
    }

    final func dropConnection(_ error: RedcolError?) {
        connection.closeSocket()
        parser.pointee.abandonReply()
        connectionLost()
        reconnecting.disconnected()
        state.disconnected(error)
    }

    final func noteConnected() {
        if reconnecting.isConnected { return }
        parser.pointee.secrets = connection.endpoint.secrets
        reconnecting.connected(
            shown: connection.endpoint.shown, retryMs: topology.timeouts.retryMs)
        state.connected()
    }

    /// What has come is not asked for again: the next loss is another one.
    final func noteProgress() { reconnecting.progressed() }
}
