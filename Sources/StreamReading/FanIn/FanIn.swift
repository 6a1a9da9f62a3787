// SPDX-License-Identifier: Apache-2.0
// One iterator over streams in different slots of a cluster, which no command can name together:
// a reader for each slot, and one wait for all of them. A slot that moves to another node takes
// nothing from the others: its reader's connection follows it.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// Several readers as one. Their descriptors are watched by one poller, as an event loop would: a
/// reader is only looked at when it has something to do.
final class FanIn: Reader {
    /// Each slot takes a connection, since a server answers a connection that waits for entries
    /// nothing else.
    static let slotsMost = 1_000

    private let topology: Topology
    private let schema: [RequestedColumn]?
    private let poller: ConnectionPoller
    private let locked: Lock
    /// One for each slot. While it is not known whether the servers are a cluster, and if they are
    /// none, one for all streams. Changed within the lock.
    private var readers: [StreamReader]
    private var isDecided: Bool
    private var hasBegun = false
    private var isClosed = false

    private var turns = ReaderTurns(readers: 0)
    /// The reader whose batch was handed over last, until the next one is asked for.
    private var last: Int?
    private var hasGivenBatch = false
    /// Entries that may still be read, of all readers.
    private var budget: Int
    private var shared: SharedColumns?

    /// Whether these streams may take more than one reader.
    static func isNeeded(_ topology: Topology, _ streams: [[UInt8]]) -> Bool {
        guard streams.count > 1, topology.isCluster || !topology.isKnown else { return false }
        let slot = Topology.slot(of: streams[0])
        return streams.contains { Topology.slot(of: $0) != slot }
    }

    /// All that can be wrong with the arguments is found here.
    static func make(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> FanIn {
        let statistics = try Statistics.make()
        let poller = try ConnectionPoller.make()
        let lock = try Lock(for: "a read")
        let readers =
            topology.isCluster
            ? try bySlot(topology, streams, schema, options, statistics)
            : [
                try makeMember(
                    topology: topology, streams: streams, schema: schema, options: options,
                    statistics: statistics)
            ]
        let fan = FanIn(
            topology, streams, schema, options, statistics, poller, lock, readers,
            isDecided: topology.isCluster)
        try fan.watchAll()
        return fan
    }

    private init(
        _ topology: Topology, _ streams: [[UInt8]], _ schema: [RequestedColumn]?,
        _ options: ReadOptions, _ statistics: Statistics, _ poller: ConnectionPoller,
        _ lock: consuming Lock, _ readers: [StreamReader], isDecided: Bool
    ) {
        self.topology = topology
        self.schema = schema
        self.poller = poller
        locked = lock
        self.readers = readers
        self.isDecided = isDecided
        budget = options.count ?? .max
        super.init(streams, options, statistics)
    }

    private static func bySlot(
        _ topology: Topology, _ streams: [[UInt8]], _ schema: [RequestedColumn]?,
        _ options: ReadOptions, _ statistics: Statistics
    ) throws(RedcolError) -> [StreamReader] {
        var places: [Int: Int] = [:]
        var groups: [[[UInt8]]] = []
        for stream in streams {
            let slot = Topology.slot(of: stream)
            if let place = places[slot] {
                groups[place].append(stream)
            } else {
                places[slot] = groups.count
                groups.append([stream])
            }
        }
        guard groups.count <= slotsMost else {
            throw RedcolError(
                .unsupported,
                "these streams are in \(groups.count) slots of a cluster, each of which takes a "
                    + "connection; an iterator has at most \(slotsMost): read them with several")
        }
        var readers: [StreamReader] = []
        for group in groups {
            readers.append(
                try makeMember(
                    topology: topology, streams: group, schema: schema, options: options,
                    statistics: statistics))
        }
        return readers
    }

    private func watchAll() throws(RedcolError) {
        let count = readers.count
        turns = ReaderTurns(readers: count)
        for (index, reader) in readers.enumerated() { try poller.watch(reader.connection, index) }
        if count > 1, !options.follows {
            for reader in readers { reader.shares(othersHaveRows: false) }
        }
        if count > 1, readers[0].fixedColumns == nil {
            for reader in readers { reader.parser.pointee.keepsFields = true }
            shared = SharedColumns(readers: count)
        }
    }

    // MARK: Any thread

    override var members: [StreamReader] { locked { readers } }

    override func cancel() { poller.cancel() }

    override var pollDescriptor: Int32 { poller.descriptor }

    // MARK: Beginning

    override func connectNow() throws(RedcolError) {
        if options.connectsLater { return }
        guard try begin(until: nil) else { throw RedcolError.interrupted }
    }

    override func connect(waitMs: Int64) throws(RedcolError) -> Bool {
        if isClosed { throw closed }
        return try begin(until: end(of: waitMs))
    }

    private func begin(until: Int64?) throws(RedcolError) -> Bool {
        if hasBegun { return true }
        guard try decide(until) else { return false }
        var left = readers.count { $0.isBeginning }
        while left > 0 {
            while let index = turns.takeDue() {
                guard readers[index].isBeginning else { continue }
                do throws(RedcolError) {
                    if try readers[index].connect(waitMs: 0) { left -= 1 }
                } catch {
                    turns.makeDue(index)
                    throw error
                }
            }
            if left > 0 { guard case .ready = try wait(until) else { return false } }
        }
        hasBegun = true
        turns.makeAllDue()
        return true
    }

    /// Finds out whether the servers are a cluster; false when the time is over.
    private func decide(_ until: Int64?) throws(RedcolError) -> Bool {
        if isDecided { return true }
        let whole = readers[0]
        do throws(RedcolError) {
            while try !whole.connection.advance() {
                if case .ready = try whole.connection.wait(until: 0) { continue }
                whole.connection.armAlarm(until: nil)
                guard case .ready = try wait(until) else { return false }
            }
        } catch {
            throw whole.failed(error)
        }
        isDecided = true
        guard topology.isCluster else { return true }
        let found = try FanIn.bySlot(topology, streams, schema, options, statistics)
        poller.unwatch(whole.connection)
        locked { readers = found }
        try watchAll()
        return true
    }

    // MARK: Batches

    override func next(
        waitMs: Int64, array: UnsafeMutablePointer<ArrowArray>,
        schema: UnsafeMutablePointer<ArrowSchema>?, asViews: Bool
    ) throws(RedcolError) -> ReadOutcome {
        if isClosed { throw closed }
        let until = end(of: waitMs)
        guard try begin(until: until) else { return .timeout }
        for reader in readers { reader.connection.callerIsBack() }
        var isAway = true
        defer {
            // Who waits elsewhere for the servers' answers is not away.
            if isAway { for reader in readers { reader.connection.callerIsAway() } }
        }
        nextIsAsked()
        var isLate = false
        while true {
            for _ in 0..<turns.dueCount {
                guard let index = turns.takeDue() else { break }
                switch try ask(index, array, schema, asViews) {
                case .batch:
                    turns.makeDue(index)
                    if try handsOver(index, array, schema) { return .batch }
                case .end: end(index)
                case .timeout: break
                }
            }
            if turns.leftCount == 0 { return .end }
            var wake = Connection.Wake.timeout
            if !isLate { wake = try wait(turns.dueCount == 0 ? until : 0) }
            // What is ready is looked at once more, however late it is.
            isLate = until.map { platform_monotonic_ms() >= $0 } ?? false
            if case .ready = wake { continue }
            if case .timeout = wake, !isLate { continue }
            if turns.dueCount > 0 { poller.wake(afterMs: 0) }
            isAway = waitMs > 0
            return .timeout
        }
    }

    /// The caller asks for the next batch, and so is done with the last one.
    private func nextIsAsked() {
        // All readers have to know that somebody waits.
        if options.onIdle != .wait { turns.callerAsks() }
        guard let last else { return }
        self.last = nil
        readers[last].nextIsAsked()
        // Another reader's batch may come first.
        do throws(RedcolError) { try readers[last].acknowledgeAlone() } catch {}
    }

    /// Asks one reader for a batch, without a wait.
    private func ask(
        _ index: Int, _ array: UnsafeMutablePointer<ArrowArray>,
        _ schema: UnsafeMutablePointer<ArrowSchema>?, _ asViews: Bool
    ) throws(RedcolError) -> ReadOutcome {
        let reader = readers[index]
        if options.onIdle == .stop { reader.idleness.othersCaughtUpAt = caughtUpAt(but: index) }
        // The last one returns the batch that shows the columns, if there is no other.
        if !options.follows { reader.hasGivenBatch = hasGivenBatch || turns.leftCount > 1 }
        do throws(RedcolError) {
            try shared?.tell(reader, index)
            return try lending(to: index) { () throws(RedcolError) in
                try reader.next(waitMs: 0, array: array, schema: schema, asViews: asViews)
            }
        } catch {
            turns.makeDue(index)
            turns.handedOver()
            throw error
        }
    }

    /// When the last of the others had caught up; nil if one of them has not.
    private func caughtUpAt(but index: Int) -> Int64? {
        var latest: Int64 = 0
        for other in readers.indices where other != index && !turns.hasEnded(other) {
            guard let at = readers[other].idleness.caughtUpAt else { return nil }
            latest = max(latest, at)
        }
        return latest
    }

    /// Runs `body` while the reader may read what is wanted of all of them and not in another's
    /// batch.
    private func lending<Result>(
        to index: Int, _ body: () throws(RedcolError) -> Result
    ) throws(RedcolError) -> Result {
        guard options.count != nil else { return try body() }
        var lent = budget
        for other in readers.indices where other != index {
            lent -= readers[other].parser.pointee.rows.count
        }
        lent = max(0, lent)
        readers[index].remaining = lent
        defer { budget += readers[index].remaining - lent }
        return try body()
    }

    /// Whether a batch is for the caller. One without rows is, when all readers have had one since
    /// the caller asked.
    private func handsOver(
        _ index: Int, _ array: UnsafeMutablePointer<ArrowArray>,
        _ schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedcolError) -> Bool {
        if array.pointee.length == 0, options.onIdle == .empty {
            guard turns.isIdle(index, isAskedOnce: options.blockMs == nil) else {
                array.pointee.release?(array)
                schema?.pointee.release?(schema)
                return false
            }
        }
        try shared?.arrange(readers[index], index, array, schema)
        last = index
        turns.handedOver()
        if !options.follows, array.pointee.length > 0 {
            for other in readers { other.shares(othersHaveRows: true) }
        }
        hasGivenBatch = true
        for other in readers { other.idleness.handedOver() }
        return true
    }

    /// A reader has come to its end. So have all, if no more entries are wanted.
    private func end(_ index: Int) {
        stop(index)
        guard options.count != nil, budget == 0 else { return }
        for other in readers.indices where !turns.hasEnded(other) {
            if readers[other].parser.pointee.batch.rowCount == 0, !readers[other].hasMoreToSay {
                stop(other)
            }
        }
    }

    private func stop(_ index: Int) {
        turns.end(index)
        // Its answer may still come, and is not waited for.
        poller.unwatch(readers[index].connection)
    }

    override func unread() throws(RedcolError) {
        if isClosed { throw closed }
        guard let last else {
            if readers.count == 1 { try readers[0].unread() }  // which may say why it cannot
            return
        }
        self.last = nil
        try lending(to: last) { () throws(RedcolError) in try readers[last].unread() }
        for index in readers.indices {
            readers[index].isDone = false
            readers[index].idleness.takeBack()
            if turns.goOn(index) { try poller.watch(readers[index].connection, index) }
        }
    }

    override var columns: [RequestedColumn] { shared?.columns ?? readers[0].columns }

    private func wait(_ until: Int64?) throws(RedcolError) -> Connection.Wake {
        try poller.wait(until: until) { turns.makeDue($0) }
    }

    // MARK: Closing

    override func close() {
        guard !isClosed else { return }
        isClosed = true
        for reader in readers { reader.close() }
    }

    override func closeAbandoned() {
        isClosed = true
        for reader in readers { reader.closeAbandoned() }
    }

    override func discard() {
        for reader in readers { reader.discard() }
        poller.close()
    }
}
