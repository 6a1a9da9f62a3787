// SPDX-License-Identifier: Apache-2.0
// What C may pass by mistake: NULL, handles of another kind, closed ones, options that are none.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

@Test func nullEverywhere() {
    #expect(Int(redcol_open(nil, nil, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(Int(redcol_open("redis://", nil, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(open(nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_read_stream(nil, nil, 0, nil, nil, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(read(nil, "s").status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_read_streams(nil, nil, nil, 1, nil, nil, nil, nil))
            == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_read_ranges(nil, nil, 0, nil, nil, 0, nil, nil, nil, nil))
            == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(Int(redcol_iter_next(nil, -1, nil, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(next(nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_iter_ack(nil, nil, -1, nil, -1, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_ack(nil, nil, -1, nil, -1, nil, -1, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(acknowledge(nil, nil, nil, nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(redcol_iter_descriptor(nil) == -1)
    #expect(redcol_iter_statistic(nil, nil) == -1)
    #expect(cancel(nil) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(close(nil) == REDCOL_ERROR_INVALID_ARGUMENT)
    redcol_free(nil)
    #expect(Int(redcol_error_status(nil)) == REDCOL_OK)
    #expect(redcol_error_message(nil).map { String(cString: $0) } == "")
    #expect(redcol_error_detail(nil, "stream") == nil)
    #expect(redcol_error_detail(nil, nil) == nil)
}

@Test func theVersionIsTheHeaders() {
    #expect(redcol_version().map { String(cString: $0) } == REDCOL_VERSION)
}

@Test func theAccessorsOfAnError() throws {
    let error = try #require(anError())
    defer { release(error) }
    #expect(Int(redcol_error_status(error)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(redcol_error_detail(error, nil) == nil)
    #expect(redcol_error_detail(error, "") == nil)
    #expect(redcol_error_detail(error, "no such detail") == nil)
    #expect(cancel(error) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(close(error) == REDCOL_ERROR_INVALID_ARGUMENT)
}

@Test func handlesOfAnotherKind() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s").handle)
    let error = try #require(anError())
    defer { for handle in [client, iter, error] { release(handle) } }
    for wrong in [iter, error] {
        #expect(read(wrong, "s").status == REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(acknowledge(wrong, "s", "g", "1-1").status == REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(
            Int(redcol_read_streams(wrong, nil, nil, 0, nil, nil, nil, nil))
                == REDCOL_ERROR_INVALID_ARGUMENT)
    }
    for wrong in [client, error] {
        #expect(next(wrong).status == REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(redcol_iter_descriptor(wrong) == -1)
        #expect(redcol_iter_statistic(wrong, "delivered") == -1)
        #expect(
            Int(redcol_iter_ack(wrong, nil, -1, nil, -1, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT
        )
    }
    for wrong in [client, iter] {
        #expect(Int(redcol_error_status(wrong)) == REDCOL_OK)
        #expect(redcol_error_message(wrong).map { String(cString: $0) } == "")
        #expect(redcol_error_detail(wrong, "stream") == nil)
    }
    #expect(next(iter).status == REDCOL_OK)
}

@Test func whatIsClosedIsClosed() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...3)
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "batch_rows", "2").handle)
    let other = try #require(read(client, "s").handle)
    defer { for handle in [client, iter, other] { release(handle) } }
    #expect(next(iter).rows.count == 2)
    #expect(close(iter) == REDCOL_OK && close(iter) == REDCOL_OK)
    #expect(next(iter).status == REDCOL_ERROR_CLOSED)
    #expect(next(iter, waitMs: 0).status == REDCOL_ERROR_CLOSED)
    #expect(close(client) == REDCOL_OK && close(client) == REDCOL_OK)
    #expect(read(client, "s").status == REDCOL_ERROR_CLOSED)
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_CLOSED)
    // Closing a client does not close its iterators.
    #expect(next(other).rows.count == 3)
    #expect(next(other).status == REDCOL_END)
}

@Test(arguments: [
    (["timeout_ms"], "has no value"), (["timeout_ms", "1", "x"], "has no value"),
    (["timeout_ms", "0"], "timeout_ms is \"0\""),
    (["Timeout_ms", "1"], "no option \"Timeout_ms\""),
    (["", ""], "no option \"\""),
])
func optionsOfAClient(_ options: [String], _ reason: String) {
    let outcome = open("unix:///nowhere", options)
    #expect(outcome.status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(outcome.message.contains(reason), "\(outcome.message)")
}

@Test func textThatIsNoUTF8() {
    let url: [CChar] = [0x72, -1, 0]
    var (client, error): (OpaquePointer?, OpaquePointer?)
    #expect(Int(redcol_open(url, nil, &client, &error)) == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(redcol_error_message(error).map { String(cString: $0) } == "url is not valid UTF-8")
    release(error)
}

@Test(arguments: [
    (["count"], REDCOL_ERROR_INVALID_ARGUMENT, "has no value"),
    (["no", "such"], REDCOL_ERROR_INVALID_ARGUMENT, "no option \"no\""),
    (["count", "-1"], REDCOL_ERROR_INVALID_ARGUMENT, "count is \"-1\""),
    (["start_id", "x"], REDCOL_ERROR_INVALID_ARGUMENT, "start_id is \"x\""),
    (["end_id", "$"], REDCOL_ERROR_INVALID_ARGUMENT, "end_id is \"$\""),
    (["id_column", "_ts"], REDCOL_ERROR_INVALID_ARGUMENT, "_ts"),
    (["categories:0", "1:a,"], REDCOL_ERROR_INVALID_ARGUMENT, "categories:0"),
    (["categories:9223372036854775807", "1:a,"], REDCOL_ERROR_INVALID_ARGUMENT, "categories"),
    (["group", "g"], REDCOL_ERROR_INVALID_ARGUMENT, "consumer"),
    (["max_deliveries", "3"], REDCOL_ERROR_INVALID_ARGUMENT, "consumer group"),
    (
        ["group", "g", "consumer", "c", "max_deliveries", "3"], REDCOL_ERROR_INVALID_ARGUMENT,
        "dead_letter"
    ),
    (["on_idle", "stop"], REDCOL_ERROR_INVALID_ARGUMENT, "follow"),
    (["reconnect_timeout_ms", "5"], REDCOL_ERROR_INVALID_ARGUMENT, "follow"),
    (["follow", "true", "on_idle", "end"], REDCOL_ERROR_INVALID_ARGUMENT, "\"wait\""),
    (["entry_bytes_max", "0"], REDCOL_ERROR_INVALID_ARGUMENT, "entry_bytes_max"),
])
func optionsOfARead(_ options: [String], _ status: Int, _ reason: String) throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    let outcome = read(client, utf8("s"), options)
    #expect(outcome.status == status)
    #expect(outcome.message.contains(reason), "\(outcome.message)")
}

@Test func argumentsOfARead() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    #expect(read(client, nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(read(client, utf8("s"), length: -2).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        Int(redcol_read_stream(client, "s", -1, nil, nil, nil, nil))
            == REDCOL_ERROR_INVALID_ARGUMENT)
    var released = ArrowSchema()
    #expect(read(client, utf8("s"), schema: &released).status == REDCOL_ERROR_SCHEMA)
    let iter = try #require(read(client, "s").handle)
    defer { release(iter) }
    #expect(next(iter, waitMs: -2).status == REDCOL_ERROR_INVALID_ARGUMENT)
    var (schema, error) = (ArrowSchema(), OpaquePointer?.none)
    #expect(Int(redcol_iter_next(iter, 0, &schema, nil, &error)) == REDCOL_ERROR_INVALID_ARGUMENT)
    release(error)
    #expect(redcol_iter_statistic(iter, "no such") == -1)
    #expect(redcol_iter_statistic(iter, "delivered") == 0)
    // None of these has harmed it.
    #expect(next(iter).status == REDCOL_OK && next(iter).status == REDCOL_END)
}
