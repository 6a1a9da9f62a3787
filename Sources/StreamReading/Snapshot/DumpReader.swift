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
    private var stream: StoredStream?
    private var rows: NodeRows?
    private var scratch = ScratchBytes()
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

    deinit { freeMemory() }

    private func freeMemory() {
        rows?.free()
        rows = nil
        scratch.free()
    }

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
        stream = nil
    }

    override func willHandOver(rows: Int) { rowsGiven += rows }

    override func discard() {
        freeMemory()
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
                if count == Length.null {
                    connection.consume(position - start)
                    return try takeNothing()
                }
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
        stream = nil
        phase = .hasStream
        return true
    }

    /// There is no such stream.
    private func takeNothing() throws(RedcolError) -> Bool {
        try connection.answered()
        connection.expectNothing()
        stream = nil
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
        do throws(RedcolError) {
            stream = try StoredStream(type, StoredBytes(dump.value))
        } catch {
            throw inPayload(error)
        }
        if let first = range.first, let last = range.last {
            rows = NodeRows(first: first, last: last)
        }
        noteProgress()
        phase = .hasStream
    }

    private func inPayload(_ error: RedcolError) -> RedcolError {
        error.adding("the answer of \(connection.endpoint.shown) to DUMP: ")
    }

    // MARK: Rows

    private func makeRows() throws(RedcolError) -> Bool {
        guard stream != nil, rows != nil else { return end() }
        while true {
            if rowsLeft == 0 { return end() }
            let (most, overflow) = parser.pointee.batch.rowCount.addingReportingOverflow(rowsLeft)
            let rowsMax = min(options.batchRows, overflow ? .max : most)
            let outcome = counting(entriesIn: rows?.bytesLeft ?? 0) {
                guard var rows else { return .replyEnd }
                let outcome = parser.pointee.parse(&rows, rowsMax: rowsMax)
                self.rows = rows
                return outcome
            }
            lastParsed = parser.pointee.lastID ?? lastParsed
            switch outcome {
            case .batchFull:
                if rowsLeft == 0 { return end() }
                return true
            case .replyEnd:
                if rows?.isPastLast == true { return end() }
                guard try beginNode() else { return end() }
            case .refused(let error): throw error
            case .failed(let error): throw inPayload(error)
            case .needsMore, .serverError: throw connection.violation("an entry without an end")
            }
        }
    }

    /// Goes on with the next node that may have an entry of the range; false if there is none.
    private func beginNode() throws(RedcolError) -> Bool {
        guard var stream, var rows else { return false }
        defer {
            self.stream = stream
            self.rows = rows
        }
        do throws(RedcolError) {
            while true {
                guard let master = try stream.peekMaster(), master <= rows.last else {
                    return false
                }
                var after = stream
                _ = try after.passOverNode()
                // All entries of a node lie before the next one's id.
                if let next = try after.peekMaster(), next <= rows.first {
                    stream = after
                    continue
                }
                guard let node = try stream.nextNode(&scratch) else { return false }
                guard rows.begin(node.master, node.listpack) else {
                    throw RedcolError(.protocolViolation, "a node that is no listpack of entries")
                }
                return true
            }
        } catch {
            throw inPayload(error)
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
