// SPDX-License-Identifier: Apache-2.0
// A libFuzzer target for messages of channels: bytes become what a server pushes, whole and in
// pieces, which must give the same. scripts/fuzz.sh builds and runs it.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import TestSupport

@testable import StreamReading

/// What became of the bytes.
private struct Heard: Equatable {
    var rows: [String] = []
    var refused = 0
    var events: [String] = []
}

private func schema(_ flags: UInt8) -> [RequestedColumn]? {
    guard flags & 1 != 0, let structure = try? ColumnType(format: "+s") else { return nil }
    var nested = RequestedColumn(name: utf8("j"), type: structure)
    nested.children = [RequestedColumn(name: utf8("n"), type: .int64)]
    return [
        RequestedColumn(name: utf8("n"), type: .int64),
        RequestedColumn(name: utf8("t"), type: .string),
        RequestedColumn(name: utf8("f"), type: .binary), nested,
    ]
}

private func hear(
    _ bytes: UnsafeRawBufferPointer, _ flags: UInt8, pieceBytes: Int, rowsMax: Int
) -> Heard {
    var heard = Heard()
    let pairs = [
        ("on_error", flags & 2 != 0 ? "null" : "raise"), ("message_bytes_max", "1000"),
        ("include_timestamp", "false"), ("pattern_column", "p"),
    ]
    guard let options = try? MessageOptions(pairs),
        let columns = try? MessageColumns(options, schema: schema(flags)),
        var parser = try? MessageParser(columns, options)
    else { fatalError("options") }
    defer { parser.free() }
    guard
        var batch = try? BatchBuilder(columns.columns, onRefused: options.read.onError.ofValue)
    else { fatalError("columns") }
    defer { batch.free() }
    parser.received(at: 1_700_000_000_000_001)
    var received = ReceiveBuffer()
    var start = 0
    feeding: while start < bytes.count {
        let end = min(start + pieceBytes, bytes.count)
        require(received.append(UnsafeRawBufferPointer(rebasing: bytes[start..<end])), "no memory")
        start = end
        while true {
            let (used, outcome) = parser.parse(received.waiting, rowsMax: rowsMax, &batch)
            require(used >= 0 && used <= received.count, "\(used) of \(received.count) bytes used")
            require(batch.rowCount <= rowsMax, "too many rows")
            received.consume(used)
            switch outcome {
            case .needsMore: continue feeding
            case .batchFull: heard.rows += take(&batch)
            case .confirmed: heard.events.append("confirmed")
            case .unsubscribed: heard.events.append("unsubscribed")
            case .pong: heard.events.append("pong")
            case .refused: heard.refused += 1
            case .serverError, .tooLarge, .noMemory, .malformed: break feeding
            }
        }
    }
    heard.rows += take(&batch)
    return heard
}

/// Takes the batch out, and shows every value of it.
private func take(_ batch: inout BatchBuilder) -> [String] {
    var (array, schema) = (ArrowArray(), ArrowSchema())
    require(batch.finish(array: &array, schema: &schema), "no memory")
    defer {
        array.release?(&array)
        schema.release?(&schema)
    }
    do {
        return try readTable(&array, &schema).rows.map { "\($0)" }
    } catch {
        fatalError("\(error)")
    }
}

/// One input: its first byte chooses the columns, its second how it comes in pieces.
func fuzzMessages(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > 2 else { return }
    let pushed = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[2...]))
    let before = platformLiveObjects()
    let whole = hear(pushed, bytes[0], pieceBytes: pushed.count, rowsMax: 1_000_000)
    let pieces = hear(
        pushed, bytes[0], pieceBytes: 1 + Int(bytes[1] & 63), rowsMax: 1 + Int(bytes[1] >> 6))
    require(whole == pieces, "pieces differ: \(whole) and \(pieces)")
    require(platformLiveObjects() == before, "objects are left over")
}

func messageSeeds() -> [[UInt8]] {
    let texts = [
        #"{"n":1,"t":"\u00e9\ud83d\ude00\n","f":-0.5e3,"j":{"n":2}}"#, #"{"n":null,"n":5,"n":"x"}"#,
        #"{"\u006e":7,"t":"a","t":"b\\","more":[{"x":[true,false]}]}"#, "{}", "nope", "12", "",
        #"{"t":5,"j":[],"f":true}"#, #"{"n":1"#,
    ]
    var seeds: [[UInt8]] = []
    for (number, text) in texts.enumerated() {
        let message = "$1\r\nc\r\n$\(text.utf8.count)\r\n\(text)\r\n"
        let all =
            "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n" + message
            + "*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n" + message + "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
            + "*3\r\n$8\r\nsmessage\r\n" + message
            + "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n"
        for flags in UInt8(0)..<4 { seeds.append([flags, UInt8(number * 29)] + utf8(all)) }
    }
    let wrong = ["-ERR no\r\n", "*3\r\n$-1\r\n", "*3\r\n$7\r\nmessage\r\n$99999\r\n"]
    return seeds + wrong.map { [1, 6] + utf8($0) }
}
