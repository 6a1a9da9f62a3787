// SPDX-License-Identifier: Apache-2.0
// Reads a range of a stream by DUMP: the server sends the whole stream as it stores it, a fifth of
// the bytes of XRANGE's answers, and the entries of the range are decoded here.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology
import StreamSnapshots

/// A read by DUMP in progress.
final class DumpReader: StreamReader {
    private enum Phase {
        case asksNothing, awaitsLength, awaitsPayload
        /// The payload waits in the connection's buffer, and is decoded.
        case hasStream
    }
    private var phase = Phase.asksNothing
    private var range: ReadOptions.Range
    /// The rows of the stream; nil if the key is missing.
    private var rows: StoredRows?
    /// Bytes of the answer that holds the stream.
    private var payloadBytes = 0
    private var lastParsed: EntryID?
    /// Rows that were made before those in the batch.
    private var rowsGiven = 0

    /// Nothing is sent before the first `next`, unless the range depends on the server's clock.
    static func make(
        topology: Topology, stream: [UInt8], schema: [RequestedColumn]?, options: ReadOptions
    ) throws(RedcolError) -> DumpReader {
        let range = try options.range(now: 0)
        let parts = try ReaderParts(
            topology: topology, streams: [stream], schema: schema, options: options)
        return DumpReader(parts, range)
    }

    private init(_ parts: ReaderParts, _ range: ReadOptions.Range) {
        self.range = range
        super.init(parts)
    }

    deinit { endStream() }

    override func begin() throws(RedcolError) {
        try lookForStreams()
        if options.needsServerTime { range = try options.range(now: try askTime()) }
    }

    override var awaitsReply: Bool {
        switch phase {
        case .awaitsLength, .awaitsPayload: true
        case .asksNothing, .hasStream: false
        }
    }

    override func connectionLost() {
        // What was decoded stays; the rest is asked for again.
        if let last = lastParsed { range.first = last.next }
        endStream()
        phase = .asksNothing
    }

    private func endStream() {
        rows?.free()
        rows = nil
    }

    override func willHandOver(rows: Int) { rowsGiven += rows }

    override func discard() {
        endStream()
        super.discard()
    }

    private var rowsLeft: Int {
        max(0, (options.count ?? .max) - rowsGiven - parser.pointee.batch.rowCount)
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            switch phase {
            case .asksNothing:
                guard let first = range.first, let last = range.last, first <= last, rowsLeft > 0
                else {
                    isDone = true
                    return true
                }
                try ask(Command("XLEN"))
                phase = .awaitsLength
            case .awaitsLength:
                guard let reply = try connection.nextReply() else { return false }
                try checkLength(reply)
                try ask(Command("DUMP"))
                phase = .awaitsPayload
            case .awaitsPayload:
                guard try takePayload() else { return false }
            case .hasStream:
                return try makeRows()
            }
        }
    }

    private func ask(_ name: Command) throws(RedcolError) {
        var command = name
        command.add(streams[0])
        connection.enqueue(command)
        try connection.flush()
    }

    private func checkLength(_ reply: Reply) throws(RedcolError) {
        if case .error(let text) = reply {
            throw RedcolError.server(
                text, endpoint: connection.endpoint, asked: "XLEN, for dump_entries_max")
        }
        guard let length = reply.count(most: .max) else {
            throw connection.violation("no number in answer to XLEN")
        }
        let most = options.dumpEntriesMax ?? (topology.readsReplicas ? .max : 1_000_000)
        guard length <= most else {
            throw RedcolError(
                .invalidArgument,
                "the stream has \(length) entries, more than dump_entries_max (\(most)); the "
                    + "server serves nobody else while it dumps them, about 0.2 s for a million: "
                    + "give a larger dump_entries_max, or transfer \"entries\"")
        }
        Log.write(.info, .stream, about: shownStream(streams[0])) {
            "the stream \"\(shownStream(streams[0]))\" is dumped (\(length) entries); meanwhile "
                + "the server serves nobody else"
        }
    }

    // MARK: The payload

    /// Takes the answer to DUMP once all of it has come; false before.
    private func takePayload() throws(RedcolError) -> Bool {
        while true {
            let bytes = connection.incoming.waiting
            if let start = bytes.baseAddress, !bytes.isEmpty {
                guard start.pointee == UInt8(ascii: "$") else { return try takeOther() }
                let end = start + bytes.count
                var position = start
                let count = readLength(&position, end, UInt8(ascii: "$"))
                if count == Length.null { return try takeOther() }
                if count == Length.malformed || count > ProtocolLimits.bulkBytes {
                    throw connection.violation("no text in answer to DUMP")
                }
                if count >= 0, end - position >= count + 2 {
                    payloadBytes = position - start + count + 2
                    try connection.answered()
                    connection.expectNothing()
                    try open(UnsafeBufferPointer(start: position, count: count))
                    return true
                }
            }
            guard try connection.receive() else { return false }
        }
    }

    private func takeOther() throws(RedcolError) -> Bool {
        guard let reply = try connection.nextReply() else { return false }
        if case .error(let text) = reply {
            throw RedcolError.server(
                text, endpoint: connection.endpoint, asked: "DUMP, for transfer \"dump\"",
                commands: "DUMP")
        }
        guard case .null = reply else { throw connection.violation("no text in answer to DUMP") }
        connection.expectNothing()
        phase = .hasStream
        return true
    }

    private func open(_ payload: UnsafeBufferPointer<UInt8>) throws(RedcolError) {
        guard let dump = DumpPayload(payload) else {
            throw connection.violation("an answer to DUMP whose checksum is wrong")
        }
        guard let type = StreamType(rawValue: dump.type) else {
            throw RedcolError(
                .unsupported,
                "the server stores a stream in a way that is not known here (type \(dump.type)): "
                    + "read it with transfer \"entries\"")
        }
        let (first, last) = (range.first ?? .largest, range.last ?? .smallest)
        do throws(RedcolError) {
            let stream = try StoredStream(type, StoredBytes(dump.value))
            // Before the first row: a dump that is cut must not look like a shorter stream.
            try stream.checkEnd()
            rows = StoredRows(stream, first: first, last: last)
        } catch {
            throw inPayload(error)
        }
        noteProgress()
        phase = .hasStream
    }

    private func inPayload(_ error: RedcolError) -> RedcolError {
        error.adding("the answer of \(connection.endpoint.shown) to DUMP: ")
    }

    // MARK: Rows

    private func makeRows() throws(RedcolError) -> Bool {
        guard var rows else { return end() }
        if rowsLeft == 0 { return end() }
        let (most, overflow) = parser.pointee.batch.rowCount.addingReportingOverflow(rowsLeft)
        let outcome: StoredRows.Outcome
        do throws(RedcolError) {
            defer {
                self.rows = rows
                lastParsed = parser.pointee.lastID ?? lastParsed
            }
            outcome = try rows.parse(
                parser, rowsMax: min(options.batchRows, overflow ? .max : most),
                counting: { counting(entriesIn: $0, $1) })
        } catch {
            throw error.cause == .protocolViolation ? inPayload(error) : error
        }
        switch outcome {
        case .batchFull: return rowsLeft == 0 ? end() : true
        case .end: return end()
        case .refused(let error): throw error
        }
    }

    private func end() -> Bool {
        endStream()
        connection.consume(payloadBytes)
        payloadBytes = 0
        isDone = true
        return true
    }
}
