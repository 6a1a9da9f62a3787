// SPDX-License-Identifier: Apache-2.0
// A libFuzzer target: bytes become replies in pieces, and hiredis' own reader says what a good one
// has to give. scripts/fuzz.sh builds and runs it.

import ArrowColumns
import CArrowData
import Foundation
import RedcolBase
import RedisConnection
import TestSupport

@testable import StreamReading

/// What the first bytes of an input choose.
private struct Mode {
    static let bytes = 5

    var schema: [RequestedColumn]?
    var options: [(key: String, value: String)] = []
    var shape = ReplyShape.entries
    var pieceBytes: Int
    var rowsMax: Int
    var entriesMax: Int
    var skips = false

    /// `j`: a struct of `n`, an integer, `t`, a string, and `l`, a list of such structs.
    static let nested: RequestedColumn? = {
        guard let structure = try? ColumnType(format: "+s"),
            let list = try? ColumnType(format: "+L")
        else { return nil }
        let leaves = [
            RequestedColumn(name: utf8("n"), type: .int64),
            RequestedColumn(name: utf8("t"), type: .string),
        ]
        var inner = RequestedColumn(name: utf8("item"), type: structure)
        inner.children = leaves
        var values = RequestedColumn(name: utf8("l"), type: list)
        values.children = [inner]
        var column = RequestedColumn(name: utf8("j"), type: structure)
        column.children = leaves + [values]
        return column
    }()

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        let flags = bytes[0]
        if flags & 1 != 0 {
            schema = ["a", "b", "", "field1"].map { RequestedColumn(name: utf8($0), type: .string) }
            schema?.append(RequestedColumn(name: utf8("n"), type: .int64))
            if let nested = Mode.nested { schema?.append(nested) }
        }
        options.append(("on_error", flags & 2 != 0 ? "null" : "raise"))
        if flags & 4 != 0 { options.append(("include_sequence", "true")) }
        if flags & 8 != 0 { options.append(("stream_column", "_stream")) }
        if flags & 16 != 0, schema == nil { options.append(("columns_max", "5")) }
        skips = flags & 32 != 0
        switch bytes[1] % 4 {
        case 0: shape = .streams
        case 1: shape = .claimed(stream: 0)
        default: shape = .entries
        }
        // Long inputs are not cut into single bytes, which would take too long.
        pieceBytes = max(1 + Int(bytes[2]), bytes.count / 128)
        rowsMax = bytes[3] == 0 ? .max : Int(bytes[3])
        entriesMax = Int(bytes[4])
    }
}

/// Stops the fuzzer, which then keeps the input.
func require(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds { fatalError(what()) }
}

private func makeParser(_ mode: Mode) -> RowParser? {
    do {
        let options = try ReadOptions(mode.options)
        return try ReadColumns(options, schema: mode.schema)
            .makeParser(options, streams: [utf8("s"), utf8("other")])
    } catch {
        fatalError("\(error)")
    }
}

private struct Result {
    var committed = 0
    var refused = 0
    var hasEnded = false
    var failure: RedcolError?
}

/// Takes the batch out and reads every value of it.
private func takeBatch(_ parser: inout RowParser) -> Int {
    var (array, schema) = (ArrowArray(), ArrowSchema())
    require(parser.withBatch { $0.finish(array: &array, schema: &schema) }, "no memory")
    defer {
        array.release?(&array)
        schema.release?(&schema)
    }
    do {
        return try readTable(&array, &schema).rows.count
    } catch {
        fatalError("\(error)")
    }
}

private func parseInPieces(_ reply: UnsafeRawBufferPointer, _ mode: Mode) -> Result {
    var result = Result()
    guard var parser = makeParser(mode) else { return result }
    defer { parser.free() }
    if mode.skips { parser.skipped = [RowID(id: EntryID(1, 1), stream: 0)] }
    parser.keepsRowIDs = true
    parser.expect(mode.shape, entriesMax: mode.entriesMax)
    var received = ReceiveBuffer()
    var start = 0
    feeding: while start < reply.count {
        let end = min(start + mode.pieceBytes, reply.count)
        require(received.append(UnsafeRawBufferPointer(rebasing: reply[start..<end])), "no memory")
        start = end
        while true {
            let before = parser.batch.rowCount
            let (used, outcome) = parser.parse(received.waiting, rowsMax: mode.rowsMax)
            require(used >= 0 && used <= received.count, "\(used) of \(received.count) bytes used")
            require(parser.batch.rowCount >= before, "rows vanished")
            require(parser.batch.rowCount <= mode.rowsMax, "too many rows")
            require(parser.rows.count >= parser.batch.rowCount, "rows without ids")
            received.consume(used)
            switch outcome {
            case .needsMore: continue feeding
            case .batchFull: result.committed += takeBatch(&parser)
            case .refused: result.refused += 1
            case .replyEnd:
                result.hasEnded = true
                break feeding
            case .serverError: break feeding
            case .failed(let error):
                result.failure = error
                break feeding
            }
        }
    }
    result.committed += takeBatch(&parser)
    require(parser.takeRows().count == result.committed, "rows and ids differ in number")
    return result
}

/// hiredis reserves what an array only claims, so that it is not asked about large ones.
private func claimsLittle(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var digits: Int?
    for byte in bytes {
        if byte == 0x2A {
            digits = 0
        } else if let count = digits, byte >= 0x30, byte <= 0x39 {
            if count == 4 { return false }
            digits = count + 1
        } else {
            digits = nil
        }
    }
    return true
}

/// Whether a row is an entry as Redis writes it.
private func isWellFormed(_ id: String) -> Bool {
    let halves = id.split(separator: "-", omittingEmptySubsequences: false)
    return id.utf8.count <= 41 && halves.count == 2
        && halves.allSatisfy { half in
            half.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } && UInt64(half) != nil
        }
}

/// Whether each id is larger than the one before, as a server sends them. The first comes after
/// 0-0, which no entry has.
private func isIncreasing(_ ids: [String]) -> Bool {
    let numbers = [[0, 0]] + ids.map { $0.split(separator: "-").map { UInt64($0) ?? 0 } }
    return zip(numbers, numbers.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) }
}

/// Where hiredis reads the bytes as entries, and they are written as Redis writes them, every entry
/// must have become a row, been refused, or been passed over.
private func compareWithHiredis(
    _ reply: UnsafeRawBufferPointer, _ tree: Tree?, _ mode: Mode, _ result: Result
) {
    guard case .entries = mode.shape, let tree, let rows = tree.rows else { return }
    // Null is written in two ways, and the tree cannot tell which it was.
    guard tree != .null, rows.allSatisfy({ isWellFormed($0.id) }),
        case .array(let entries) = tree, entries.count <= mode.entriesMax,
        rows.count == entries.count, reply.starts(with: tree.resp), isIncreasing(rows.map(\.id))
    else { return }
    if let failure = result.failure, failure.cause == .schema { return }
    require(result.hasEnded, "a good reply has failed: \(result.failure?.message ?? "no end")")
    let skipped =
        mode.skips ? rows.filter { $0.id.split(separator: "-").map { UInt64($0) } == [1, 1] } : []
    require(
        result.committed + result.refused + skipped.count == rows.count,
        "\(result.committed) rows and \(result.refused) refused of \(rows.count) entries")
}

private func scanAndParse(_ bytes: UnsafeRawBufferPointer, _ tree: Tree?) {
    let text = bytes.bindMemory(to: UInt8.self)
    guard case .complete(let count) = scanReply(text) else {
        // What hiredis takes and is written as Redis writes it, the scan takes too.
        if let tree, bytes.starts(with: tree.resp), case .hostile(let reason) = scanReply(text) {
            require(reason.contains("nested") || reason.contains("more than"), "refused: \(reason)")
        }
        return
    }
    require(count > 0 && count <= bytes.count, "a reply of \(count) of \(bytes.count) bytes")
    let parsed = try? parseReply(UnsafeBufferPointer(rebasing: text[..<count]))
    require((parsed == nil) == (tree == nil), "hiredis and the scan disagree")
}

@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = UnsafeBufferPointer(start: start, count: count)
    switch FuzzTarget.ofThisRun {
    case .rows: fuzzRows(bytes)
    case .replies: fuzzReplies(bytes)
    case .lists: fuzzLists(bytes)
    case .messages: fuzzMessages(bytes)
    case .snapshots: fuzzSnapshots(bytes)
    }
    return 0
}

/// One input.
private func fuzzRows(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > Mode.bytes else { return }
    let mode = Mode(bytes)
    let reply = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[Mode.bytes...]))
    let before = platformLiveObjects()
    let result = parseInPieces(reply, mode)
    if claimsLittle(reply) {
        let tree = HiredisReader.reply(reply)
        compareWithHiredis(reply, tree, mode, result)
        scanAndParse(reply, tree)
    } else if case .complete = scanReply(reply.bindMemory(to: UInt8.self)) {
        scanAndParse(reply, HiredisReader.reply(reply))
    }
    require(platformLiveObjects() == before, "objects are left over")
}
