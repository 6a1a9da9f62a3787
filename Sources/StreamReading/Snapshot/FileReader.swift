// SPDX-License-Identifier: Apache-2.0
// Reads the same range of one or many streams of a backup file. There is no connection, and nothing
// to wait for.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology
import StreamSnapshots

/// A read of a backup file in progress.
final class FileReader: Reader {
    private let file: SnapshotFile
    private let parserOwner: ParserOwner
    private let parser: UnsafeMutablePointer<RowParser>
    private let range: ReadOptions.Range
    /// The streams that are there, by their places in the file; each is one of `streams`, or one of
    /// those that a pattern has found.
    private var places: [Int]
    private let isOfMany: Bool
    private var turn = 0
    /// What the stream whose turn it is gives; nil before it has begun.
    private var rows: StoredRows?
    private var rowsOfStream = 0
    private var rowsGiven = 0
    private var hasGivenBatch = false
    private var isDone = false
    private var failure: RedcolError?
    private var isClosed = false
    /// Its descriptor is always readable: there is always something to do.
    private let poller: ConnectionPoller

    static func make(
        _ file: SnapshotFile, _ topology: Topology, _ chosen: ChosenStreams,
        isOfMany: Bool = false, schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> FileReader {
        if options.needsServerTime {
            throw RedcolError(
                .unsupported,
                "a backup file has no clock for a time before now: give a time, or an entry id")
        }
        let columns = try ReadColumns(options, schema: schema)
        let statistics = try Statistics.make()
        var (streams, places): ([[UInt8]], [Int]) = ([[]], [])
        switch chosen {
        case .matching(let pattern):
            places = try file.places(matching: pattern, options)
            if options.countsWrongTypes {
                statistics.add(.wrongTypes, try file.countOfOtherTypes(matching: pattern))
            }
        case .named(let names):
            if !isOfMany { streams = names }
            places = try file.places(of: names, options)
            statistics.add(.streams, names.count - places.count)
            statistics.add(.emptyStreams, names.count - places.count)
        }
        let parser = ParserOwner(
            try columns.makeParser(options, streams: streams, secrets: topology.secrets))
        let poller = try ConnectionPoller.make()
        poller.wake(afterMs: 0)
        return FileReader(
            file, parser, statistics, try options.rangeOfFile(), places, streams, options, poller,
            isOfMany: isOfMany)
    }

    private init(
        _ file: SnapshotFile, _ parser: ParserOwner, _ statistics: Statistics,
        _ range: ReadOptions.Range, _ places: [Int], _ streams: [[UInt8]], _ options: ReadOptions,
        _ poller: ConnectionPoller, isOfMany: Bool
    ) {
        self.file = file
        parserOwner = parser
        self.parser = parser.parser
        self.range = range
        self.places = places
        self.isOfMany = isOfMany
        self.poller = poller
        super.init(streams, options, statistics)
    }

    deinit { rows?.free() }

    // MARK: Any thread

    override func cancel() { poller.cancel() }

    override var pollDescriptor: Int32 { poller.descriptor }

    // MARK: Batches

    override var columns: [RequestedColumn] { parser.pointee.columns }

    override var ownFixedColumns: [RequestedColumn]? { parser.pointee.fixedColumns }

    override func connect(waitMs: Int64) throws(RedcolError) -> Bool { true }

    override func close() {
        isClosed = true
        endStream()
    }

    override func closeAbandoned() { isClosed = true }

    override func discard() {
        endStream()
        parserOwner.discard()
    }

    /// What was handed over is not kept: it is an error that it cannot come again.
    override func unread() throws(RedcolError) {
        failure = RedcolError(
            .unsupported, "a batch of a backup file cannot be taken back: begin the read again")
    }

    override func next(
        waitMs: Int64, array: UnsafeMutablePointer<ArrowArray>,
        schema: UnsafeMutablePointer<ArrowSchema>?, asViews: Bool = false
    ) throws(RedcolError) -> ReadOutcome {
        if isClosed { throw closed }
        let until = end(of: waitMs)
        if failure == nil {
            do throws(RedcolError) {
                guard try fill(until: until) else { return .timeout }
            } catch {
                if error.cause == .cancelled { throw error }
                failure = error
            }
        }
        let rows = parser.pointee.batch.rowCount
        // The rows before an error come first.
        if rows == 0 {
            if let failure {
                // As with a server, one that follows goes on after an entry that does not fit.
                if options.follows, failure.cause == .value { self.failure = nil }
                throw failure
            }
            if isDone, hasGivenBatch { return .end }
        }
        if let error = parser.pointee.pastLayout(rows: rows) {
            parser.pointee.withBatch { $0.removeRows() }
            throw error
        }
        let isFinished = parser.pointee.withBatch {
            $0.finish(array: array, schema: schema, asViews: asViews)
        }
        guard isFinished else { throw RowParser.noMemory(rows: rows) }
        hasGivenBatch = true
        rowsGiven += rows
        statistics.add(.nulled, parser.pointee.withBatch { $0.takeNulled() })
        statistics.addBatch(rows: rows, last: nil)
        return .batch
    }

    /// Throws if somebody has cancelled; false if the caller's time is over.
    private func goesOn(until: Int64?) throws(RedcolError) -> Bool {
        _ = try poller.wait(until: 0) { _ in }
        poller.wake(afterMs: 0)
        return until.map { platform_monotonic_ms() < $0 } ?? true
    }

    private var rowsLeft: Int {
        let rows = parser.pointee.batch.rowCount
        let inAll = (options.count ?? .max) - rowsGiven - rows
        let ofStream = (options.countPerStream ?? .max) - rowsOfStream
        return max(0, min(inAll, ofStream))
    }

    /// How many rows are made before it looks whether it is to go on.
    private static let rowsAtOnce = 32_768

    /// Fills the batch; false if the caller's time is over before that.
    private func fill(until: Int64?) throws(RedcolError) -> Bool {
        while true {
            if isDone || parser.pointee.batch.rowCount >= options.batchRows { return true }
            guard turn < places.count,
                (options.count ?? .max) > rowsGiven
                    + parser.pointee.batch.rowCount
            else {
                isDone = true
                return true
            }
            if rows == nil { try beginStream() }
            guard var rows, rowsLeft > 0 else {
                moveOn()
                continue
            }
            let before = parser.pointee.batch.rowCount
            let rowsMax = min(options.batchRows, before + min(rowsLeft, FileReader.rowsAtOnce))
            let outcome: StoredRows.Outcome
            do throws(RedcolError) {
                defer {
                    self.rows = rows
                    noteRows(parser.pointee.batch.rowCount - before)
                }
                outcome = try rows.parse(
                    parser, rowsMax: rowsMax,
                    counting: { bytes, parse in
                        parser.pointee.makeRoom(forEntriesIn: bytes)
                            ? parse()
                            : .failed(RedcolError(.memory, "no memory for the ids of the entries"))
                    })
            } catch {
                throw named(file.damaged(error, places[turn]))
            }
            switch outcome {
            case .refused(let error): throw named(error)
            case .batchFull:
                if try !goesOn(until: until) { return false }
            case .end:
                moveOn()
            }
        }
    }

    private func noteRows(_ count: Int) {
        rowsOfStream += count
        statistics.add(.rowsRead, count)
        if parser.pointee.leftOut.uncounted > 0 {
            statistics.add(.skipped, parser.pointee.leftOut.takeCount())
            let count = statistics.value(.skipped)
            let stream = escaped(file.key(places[turn]), limit: 200)
            Log.write(.warning, .value, about: "\(stream) \(count)") {
                "left out \(count) entries so far, the last of them "
                    + parser.pointee.lastLeftOut(of: stream)
            }
        }
    }

    private func named(_ error: RedcolError) -> RedcolError {
        let name = escaped(file.key(places[turn]), limit: 200)
        return error.adding("stream \"\(name)\": ", .stream, name)
    }

    private func beginStream() throws(RedcolError) {
        rowsOfStream = 0
        if isOfMany, !parser.pointee.renameStream(file.key(places[turn])[...]) {
            throw RedcolError(.memory, "no memory for a stream's name")
        }
        guard let first = range.first, let last = range.last, first <= last else {
            turn = places.count
            return
        }
        do throws(RedcolError) {
            if let newest = options.last ?? options.startLast {
                rows = try file.newest(newest, of: places[turn], first: first, last: last)
            } else {
                rows = StoredRows(
                    try file.stream(places[turn], from: first), first: first, last: last)
            }
        } catch {
            throw named(file.damaged(error, places[turn]))
        }
    }

    /// Goes on with the next stream.
    private func moveOn() {
        endStream()
        statistics.add(.streams, 1)
        if rowsOfStream == 0 { statistics.add(.emptyStreams, 1) }
        rowsOfStream = 0
        turn += 1
    }

    private func endStream() {
        rows?.free()
        rows = nil
    }
}

extension SnapshotFile {
    fileprivate func places(
        matching pattern: [UInt8], _ options: ReadOptions
    ) throws(RedcolError) -> [Int] {
        let places = find(matching: pattern)
        if places.isEmpty, options.raisesMissingStreams {
            throw RedcolError(
                .noStream,
                "no stream of \(shown) matches \"\(escaped(pattern, limit: 200))\", and if_missing "
                    + "is \"raise\"")
        }
        return places
    }

    fileprivate func places(
        of names: [[UInt8]], _ options: ReadOptions
    ) throws(RedcolError) -> [Int] {
        var places: [Int] = []
        let missing = names.filter { find($0) == nil }
        if !missing.isEmpty, let key = try firstOfOtherType(missing) {
            let name = escaped(key, limit: 200)
            throw RedcolError(
                .wrongType,
                "the key \"\(name)\" of \(shown) holds a value that is no stream",
                details: [(.stream, name)])
        }
        for name in names {
            if let place = find(name) {
                places.append(place)
            } else if options.raisesMissingStreams {
                let key = escaped(name, limit: 200)
                throw RedcolError(
                    .noStream,
                    "there is no stream \"\(key)\" in \(shown), and if_missing is \"raise\"",
                    details: [(.stream, key)])
            }
        }
        return places
    }

    /// The newest so many entries of a range. There is no way from the end: they are counted from a
    /// mark that lies ever further before it.
    fileprivate func newest(
        _ wanted: Int, of place: Int, first: EntryID, last: EntryID
    ) throws(RedcolError) -> StoredRows {
        var back = 1
        while true {
            let mark = max(first, self.mark(place, beforeEnd: back) ?? .smallest)
            var found = StoredRows(try stream(place, from: mark), first: mark, last: last)
            defer { found.free() }
            let count = try found.passOver(entries: .max)
            if count >= wanted || mark == first {
                var rows = StoredRows(try stream(place, from: mark), first: mark, last: last)
                do throws(RedcolError) {
                    _ = try rows.passOver(entries: max(0, count - wanted))
                    return rows
                } catch {
                    rows.free()
                    throw error
                }
            }
            back = back < .max / 4 ? 4 * back : .max
        }
    }
}

extension ReadOptions {
    /// Whether it follows, and ends with what is there.
    var endsWithoutWaiting: Bool { follows && group.isEmpty && (endsNow || onIdle == .stop) }

    /// The range of one that follows begins after its `start_id`.
    fileprivate func rangeOfFile() throws(RedcolError) -> Range {
        if follows, startID == "$" { return (nil, nil) }
        let range = try range(now: 0)
        return follows && startID != "-" ? (range.first?.next, range.last) : range
    }
}
