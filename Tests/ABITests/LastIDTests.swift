// SPDX-License-Identifier: Apache-2.0
// Where a stream ends, and reads that are held to what was there before: to that end, and to the
// columns that were discovered.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

@Test func theLastID() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    #expect(lastID(client, "s").status == REDCOL_END)
    try redis.run("XADD", "s", "5-3", "field", String(repeating: "x", count: 3_000_000))
    #expect(lastID(client, "s").message == "5-3")
    #expect(lastID(client, "sss", length: 1).message == "5-3")
    try redis.run("XADD", "s", "18446744073709551615-18446744073709551615", "a", "b")
    #expect(lastID(client, "s").message == "18446744073709551615-18446744073709551615")
    try redis.run("XTRIM", "s", "MAXLEN", "0")
    #expect(lastID(client, "s").status == REDCOL_END)
    #expect(redcol_last_id(client, "s", -1, nil, nil, nil) == REDCOL_END)
}

@Test func theLastIDOfWhatHasNone() throws {
    let redis = try TemporaryRedis()
    try redis.run("SET", "text", "value")
    let client = try #require(open(redis.url, ["timeout_ms", "200"]).handle)
    defer { release(client) }
    let wrong = lastID(client, "text")
    #expect(wrong.status == REDCOL_ERROR_WRONG_TYPE)
    #expect(wrong.details == ["server_code": "WRONGTYPE", "stream": "text"])
    #expect(lastID(nil, "s").status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(lastID(client, nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(lastID(client, "s", length: -2).status == REDCOL_ERROR_INVALID_ARGUMENT)
    // A connection that is gone is made again.
    try redis.run("XADD", "s", "1-1", "a", "b")
    try redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    #expect(lastID(client, "s").message == "1-1")
    redis.freeze()
    #expect(lastID(client, "s").status == REDCOL_ERROR_TIMED_OUT)
    redcol_cancel(UnsafeMutableRawPointer(client))
    #expect(lastID(client, "s").status == REDCOL_ERROR_CANCELLED)
    #expect(redcol_close(UnsafeMutableRawPointer(client)) == 0)
    #expect(lastID(client, "s").status == REDCOL_ERROR_CLOSED)
}

/// A schema with one of the columns that were discovered, or with none.
private func withSchema<Result>(
    _ client: OpaquePointer?, of stream: String, _ body: (UnsafePointer<ArrowSchema>?) -> Result
) throws -> Result {
    let iter = try #require(
        read(client, stream, "include_id", "false", "include_timestamp", "false").handle)
    defer { release(iter) }
    var (schema, array) = (ArrowSchema(), ArrowArray())
    #expect(redcol_iter_next(iter, -1, &schema, &array, nil) == 0)
    array.release?(&array)
    defer { schema.release?(&schema) }
    return body(&schema)
}

@Test func noColumnAtAll() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...5)
    let client = try #require(open(redis.url).handle)
    let none = ["include_id", "false", "include_timestamp", "false"]
    let iter = try withSchema(client, of: "missing") {
        read(client, utf8("s"), none, schema: $0).handle
    }
    defer { for handle in [client, iter] { release(handle) } }
    var (schema, array) = (ArrowSchema(), ArrowArray())
    #expect(redcol_iter_next(iter, -1, &schema, &array, nil) == 0)
    #expect(array.length == 5 && array.n_children == 0 && schema.n_children == 0)
    array.release?(&array)
    schema.release?(&schema)
}

@Test func columnsThatWereDiscovered() throws {
    let redis = try TemporaryRedis()
    try redis.run([utf8("XADD"), utf8("one"), utf8("1-1"), [0xFF], utf8("x")])
    try redis.run(
        [utf8("XADD"), utf8("s"), utf8("1-1"), utf8("a"), utf8("1"), [0xFF], utf8("2")])
    try redis.run([utf8("XADD"), utf8("s"), utf8("2-1"), [0xFF], utf8("3"), utf8("_id"), [0x30]])
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    // The column \xff of the first stream, by the name that discovering gave it.
    let known = ["discovered", "1:a,4:\\xff,3:_id,"]
    let read = try withSchema(client, of: "one") {
        ABITests.read(client, utf8("s"), known, schema: $0)
    }
    #expect(
        next(read.handle).rows == [
            [.text("1-1"), .integer(1), .text("2")], [.text("2-1"), .integer(2), .text("3")],
        ])
    release(read.handle)

    try redis.run("XADD", "s", "3-1", "a", "1", "new", "2")
    let refused = try withSchema(client, of: "one") {
        ABITests.read(client, utf8("s"), known + ["batch_rows", "2"], schema: $0)
    }
    #expect(next(refused.handle).rows.count == 2)
    let error = next(refused.handle)
    #expect(error.status == REDCOL_ERROR_SCHEMA)
    #expect(error.details == ["stream": "s", "entry_id": "3-1", "field": "new"])
    release(refused.handle)

    for (wanted, text) in [("one", "1:a,"), ("one", "x"), ("s", "4:\\xff,")] {
        let wrong = try withSchema(client, of: wanted) {
            ABITests.read(client, utf8("s"), ["discovered", text], schema: $0)
        }
        #expect(wrong.status == REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(wrong.message.contains("discovered"))
    }
    #expect(
        ABITests.read(client, utf8("s"), ["discovered", "1:a,"]).status
            == REDCOL_ERROR_INVALID_ARGUMENT)
}

/// Two fields that discovering would show by the same name.
@Test func twoFieldsOfOneName() throws {
    let redis = try TemporaryRedis()
    try redis.run([utf8("XADD"), utf8("one"), utf8("1-1"), [0xFF], utf8("x")])
    try redis.run(
        [utf8("XADD"), utf8("s"), utf8("1-1"), [0xFF], utf8("1"), utf8("\\xff"), utf8("2")])
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    let read = try withSchema(client, of: "one") {
        ABITests.read(client, utf8("s"), ["discovered", "4:\\xff,"], schema: $0)
    }
    #expect(next(read.handle).status == REDCOL_ERROR_SCHEMA)
    release(read.handle)
}
