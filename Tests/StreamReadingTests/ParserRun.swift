// SPDX-License-Identifier: Apache-2.0
// A row parser fed as a reader feeds it: pieces arrive in a buffer, what was used is consumed, full
// batches are taken out and read back.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import TestSupport

@testable import StreamReading

/// How a reply is cut before it is fed.
enum Pieces: Sendable {
    case whole, single
    case cut(at: Int)
    case sized(Int)
    case random(UInt64, most: Int)

    func sizes(_ total: Int) -> [Int] {
        switch self {
        case .whole: return [total]
        case .single: return [Int](repeating: 1, count: total)
        case .cut(let place): return [place, total - place].filter { $0 > 0 }
        case .sized(let size):
            return stride(from: 0, to: total, by: size).map { min(size, total - $0) }
        case .random(let seed, let most):
            var generator = SeededGenerator(seed)
            var sizes: [Int] = []
            var rest = total
            while rest > 0 {
                let size = min(rest, 1 + generator.below(most))
                sizes.append(size)
                rest -= size
            }
            return sizes
        }
    }
}

/// Something that the parser must not do, whatever it is fed.
struct ParserFault: Error { var what: String }

/// One parser, its receive buffer, and what came of the bytes so far.
final class ParserRun {
    private let parser: UnsafeMutablePointer<RowParser>
    private var received = ReceiveBuffer()

    private(set) var batches: [Table] = []
    private(set) var refused: [RedcolError] = []
    private(set) var failure: RedcolError?
    private(set) var sawServerError = false
    /// Replies that came to their end.
    private(set) var repliesEnded = 0
    private(set) var needsMoreCount = 0
    /// Changes the bytes that wait before they are looked at. For tests that tamper.
    var tamper: ((UnsafeMutableBufferPointer<UInt8>) -> Void)?

    init(
        _ options: [(key: String, value: String)] = [], schema: [RequestedColumn]? = nil,
        streams: [String] = ["events"]
    ) throws {
        let options = try ReadOptions(options)
        let made = try ReadColumns(options, schema: schema)
            .makeParser(options, streams: streams.map { utf8($0) })
        parser = .allocate(capacity: 1)
        parser.initialize(to: made)
    }

    deinit {
        parser.pointee.free()
        parser.deinitialize(count: 1)
        parser.deallocate()
    }

    func withParser<Result>(_ body: (inout RowParser) -> Result) -> Result { body(&parser.pointee) }

    /// All rows that were handed over, by column, without nulls.
    var rows: [[[UInt8]: Cell]] { batches.flatMap { $0.present } }
    var columnNames: [String] {
        parser.pointee.columns.map { String(decoding: $0.name, as: UTF8.self) }
    }
    var waitingCount: Int { received.count }

    /// Feeds a reply and takes out what came of it.
    func feed(
        _ bytes: [UInt8], _ pieces: Pieces = .whole, as shape: ReplyShape = .entries,
        entriesMax: Int = 1_000_000, rowsMax: Int = .max
    ) throws {
        withParser { $0.expect(shape, entriesMax: entriesMax) }
        try continueFeeding(bytes, pieces, rowsMax: rowsMax)
    }

    /// Feeds more of the same reply.
    func continueFeeding(_ bytes: [UInt8], _ pieces: Pieces = .whole, rowsMax: Int = .max) throws {
        var start = 0
        for size in pieces.sizes(bytes.count) {
            let isAppended = bytes[start..<(start + size)].withUnsafeBytes { received.append($0) }
            if !isAppended { throw ParserFault(what: "no memory") }
            start += size
            try parseOn(rowsMax)
            if failure != nil { break }
        }
        try takeBatch()
    }

    private func parseOn(_ rowsMax: Int) throws {
        while failure == nil {
            let waiting = received.waiting
            tamper?(UnsafeMutableBufferPointer(mutating: waiting))
            let before = parser.pointee.batch.rowCount
            let (used, outcome) = parser.pointee.parse(waiting, rowsMax: rowsMax)
            if used < 0 || used > waiting.count { throw ParserFault(what: "\(used) bytes used") }
            if parser.pointee.batch.rowCount < before { throw ParserFault(what: "rows vanished") }
            if parser.pointee.batch.rowCount > rowsMax { throw ParserFault(what: "too many rows") }
            received.consume(used)
            switch outcome {
            case .needsMore:
                needsMoreCount += 1
                return
            case .batchFull:
                if parser.pointee.batch.rowCount != rowsMax { throw ParserFault(what: "not full") }
                try takeBatch()
            case .replyEnd:
                repliesEnded += 1
                return
            case .serverError:
                sawServerError = true
                return
            case .refused(let error): refused.append(error)
            case .failed(let error): failure = error
            }
        }
    }

    /// Takes the rows out; a batch without any is not kept.
    private func takeBatch() throws {
        var array = ArrowArray()
        var schema = ArrowSchema()
        guard parser.pointee.withBatch({ $0.finish(array: &array, schema: &schema) }) else {
            throw ParserFault(what: "no memory")
        }
        defer {
            array.release?(&array)
            schema.release?(&schema)
        }
        let table = try readTable(&array, &schema)
        if let earlier = batches.last,
            earlier.names != Array(table.names.prefix(earlier.names.count))
        {
            throw ParserFault(what: "columns changed their places")
        }
        if !table.rows.isEmpty { batches.append(table) }
    }
}

extension RequestedColumn {
    static func column(_ name: String, _ type: ColumnType = .string) -> RequestedColumn {
        RequestedColumn(name: utf8(name), type: type)
    }

    /// A column of the Arrow format given.
    static func column(_ name: String, format: String) throws -> RequestedColumn {
        RequestedColumn(name: utf8(name), type: try ColumnType(format: format))
    }
}
