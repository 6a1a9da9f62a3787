// SPDX-License-Identifier: Apache-2.0
// Ranges of many streams through the C interface, from a server of its own.

import CRedcol
import TestSupport
import Testing

@Test func rangesOfManyStreams() throws {
    let redis = try TemporaryRedis()
    for number in 1...20 { try redis.addEntries("s\(number)", 1...number) }
    try redis.run("SET", "s-text", "x")
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    let names = (1...20).map { "s\($0)" }.sorted()
    let listed = ["s-text", "s7", "missing", "s3"]
    for (pattern, list, expected) in [
        ("s*", nil, names), (nil, listed, ["s7", "s3"]), ("s7", nil, ["s7"]), (nil, [], []),
        ("t*", nil, []),
    ] as [(String?, [String]?, [String])] {
        let iter = try #require(
            readRanges(
                client, pattern.map { utf8($0) }, list.map { $0.map { utf8($0) } },
                ["stream_column", "_key", "include_timestamp", "false", "batch_rows", "7"]
            ).handle)
        defer { release(iter) }
        var rows: [[Cell]] = []
        var batch = next(iter)
        #expect(batch.status == REDCOL_OK)
        while batch.status == REDCOL_OK {
            #expect(batch.rows.count <= 7)
            rows += batch.rows.map { Array($0.prefix(2)) }
            batch = next(iter)
        }
        #expect(batch.status == REDCOL_END && next(iter).status == REDCOL_END)
        let whole = expected.flatMap { name in
            (1...(Int(name.dropFirst()) ?? 0)).map { [Cell.text("\($0)-1"), .text(name)] }
        }
        #expect(rows == whole)
        #expect(redcol_iter_statistic(iter, "delivered") == Int64(whole.count))
        #expect(redcol_iter_statistic(iter, "wrong_types") == (list == listed ? 1 : 0))
        #expect(redcol_iter_statistic(iter, "empty_streams") == (list == listed ? 1 : 0))
        let streams = expected.count + (list == listed ? 1 : 0)
        #expect(redcol_iter_statistic(iter, "streams") == Int64(streams))
    }
}

@Test func whatRangesOfManyStreamsRefuse() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    let star = utf8("*")
    let names = ["a", "b"].map { utf8($0) }
    var error: OpaquePointer?
    let status = redcol_read_ranges(client, "*", -1, nil, nil, 0, nil, nil, nil, &error)
    #expect(Int(status) == REDCOL_ERROR_INVALID_ARGUMENT)
    release(error)
    for wrong in [
        readRanges(nil, star), readRanges(client, star, names), readRanges(client, star, count: 1),
        readRanges(client, star, length: -2), readRanges(client, nil, names, count: -1),
        readRanges(client, nil, nil, count: 2), readRanges(client, nil, names, count: .max),
        readRanges(client, nil, names + names),
    ] {
        #expect(wrong.status == REDCOL_ERROR_INVALID_ARGUMENT && !wrong.message.isEmpty)
    }
    for options in [
        ["follow", "true"], ["block_ms", "5"], ["group", "g", "consumer", "c"],
        ["count_per_stream", "x"], ["scan_count", "0"], ["streams_at_once", "-1"],
        ["start_id", "$"], ["end_id", "x"],
    ] {
        #expect(
            readRanges(client, star, nil, options).status == REDCOL_ERROR_INVALID_ARGUMENT)
    }
    for option in ["count_per_stream", "streams_at_once"] {
        #expect(read(client, "s", option, "1").status == REDCOL_ERROR_INVALID_ARGUMENT)
    }
}

@Test func aValueInOneOfManyStreams() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("a", 1...3)
    try redis.run([utf8("XADD"), [0x62, 0xFF], utf8("1-1"), utf8("n"), [0xFF]])
    let client = try #require(open(redis.url).handle)
    let iter = try #require(readRanges(client, utf8("*")).handle)
    defer { for handle in [client, iter] { release(handle) } }
    for _ in 0..<2 {
        let error = next(iter)
        #expect(error.status == REDCOL_ERROR_VALUE)
        #expect(error.details["stream"] == "b\\xff" && error.details["entry_id"] == "1-1")
    }
}
