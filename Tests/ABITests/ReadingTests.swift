// SPDX-License-Identifier: Apache-2.0
// Reading and acknowledging through the C interface from a server of its own, and each status that
// a server can bring about.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

@Test func batchesThenTheEnd() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...5)
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "batch_rows", "2", "page_rows", "3").handle)
    defer { for handle in [client, iter] { release(handle) } }
    var rows: [[Cell]] = []
    for expected in [2, 2, 1] {
        let batch = next(iter)
        #expect(batch.status == REDCOL_OK && batch.rows.count == expected)
        #expect(batch.batch?.names == ["_id", "_ts", "n", "text"].map { utf8($0) })
        rows += batch.rows
    }
    #expect(
        rows
            == (1...5).map {
                [.text("\($0)-1"), .integer($0), .text("\($0)"), .text("some text that is long")]
            })
    #expect(next(iter).status == REDCOL_END && next(iter, waitMs: 0).status == REDCOL_END)
    #expect(redcol_iter_statistic(iter, "delivered") == 5)
}

@Test func aStreamThatIsNotThere() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "missing").handle)
    defer { for handle in [client, iter] { release(handle) } }
    let first = next(iter)
    #expect(first.status == REDCOL_OK && first.rows.isEmpty)
    #expect(first.batch?.names == ["_id", "_ts"].map { utf8($0) })
    #expect(next(iter).status == REDCOL_END)
}

@Test func aNameOfAnyBytes() throws {
    let redis = try TemporaryRedis()
    let name: [UInt8] = [0x00, 0xFF, 0x0A]
    try redis.run([utf8("XADD"), name, utf8("1-1"), utf8("a"), [0xFF]])
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, name, ["on_error", "null"]).handle)
    let strict = try #require(read(client, name).handle)
    defer { for handle in [client, iter, strict] { release(handle) } }
    #expect(next(iter).rows == [[.text("1-1"), .integer(1), .null]])
    let error = next(strict)
    #expect(error.status == REDCOL_ERROR_VALUE)
    #expect(
        error.details == [
            "stream": "\\x00\\xff\\x0a", "entry_id": "1-1", "field": "a", "dtype": "vu",
            "value": "\\xff",
        ])
    #expect(next(strict).status == REDCOL_ERROR_VALUE)
}

@Test func aWrongKindOfKey() throws {
    let redis = try TemporaryRedis()
    try redis.run("SET", "s", "value")
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s").handle)
    defer { for handle in [client, iter] { release(handle) } }
    for _ in 0..<2 {
        let error = next(iter)
        #expect(error.status == REDCOL_ERROR_WRONG_TYPE)
        #expect(error.details == ["server_code": "WRONGTYPE", "stream": "s"])
    }
}

@Test func serversThatCannotBeReached() throws {
    let nowhere = open("unix:///nowhere/redis.sock")
    #expect(nowhere.status == REDCOL_ERROR_CONNECTION)
    #expect(nowhere.message.contains("unix:///nowhere/redis.sock"))
    let long = open("unix:///" + String(repeating: "x", count: 200))
    #expect(long.status == REDCOL_ERROR_CONNECTION)
    #expect(open("redis://no-such-host.invalid").status == REDCOL_ERROR_NAME)
    #expect(open("redis://127.0.0.1:1").status == REDCOL_ERROR_CONNECTION)
}

@Test func wrongAndMissingPasswords() throws {
    let redis = try TemporaryRedis("--requirepass", "hunter2")
    let path = redis.socket
    let right = open("unix://:hunter2@\(path)")
    #expect(right.status == REDCOL_OK)
    release(right.handle)
    for (url, code) in [
        ("unix://:hunter3@\(path)", "WRONGPASS"), ("unix://\(path)", "NOAUTH"),
        ("unix://nobody:hunter2@\(path)", "WRONGPASS"),
    ] {
        let error = open(url)
        #expect(error.status == REDCOL_ERROR_AUTHENTICATION)
        #expect(error.details["server_code"] == code)
        #expect(!error.message.contains("hunter"))
    }
    let open = try TemporaryRedis()
    #expect(ABITests.open("unix://:hunter2@\(open.socket)").status == REDCOL_ERROR_AUTHENTICATION)
}

@Test func permissionsAndDatabases() throws {
    let redis = try TemporaryRedis()
    try redis.run("ACL", "SETUSER", "limited", "on", ">pw", "~*", "+ping", "+hello", "+select")
    let client = try #require(open("unix://limited:pw@\(redis.socket)").handle)
    let iter = try #require(read(client, "s").handle)
    defer { for handle in [client, iter] { release(handle) } }
    let error = next(iter)
    #expect(error.status == REDCOL_ERROR_PERMISSION && error.details["server_code"] == "NOPERM")
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_PERMISSION)
    let missing = open("\(redis.url)?db=99")
    #expect(missing.status == REDCOL_ERROR_SERVER)
    #expect(missing.message.contains("database 99"))
    #expect(open("rediss://localhost").status != REDCOL_OK)
}

@Test func aDatabaseOfItsOwn() throws {
    let redis = try TemporaryRedis()
    try redis.run("SELECT", "3")
    try redis.addEntries("s", 1...2)
    for (url, count) in [("\(redis.url)?db=3", 2), (redis.url, 0)] {
        let client = try #require(open(url).handle)
        let iter = try #require(read(client, "s").handle)
        #expect(next(iter).rows.count == count)
        for handle in [client, iter] { release(handle) }
    }
}

@Test func aServerThatFallsSilent() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...3)
    let client = try #require(open(redis.url, ["timeout_ms", "200"]).handle)
    let patient = try #require(open(redis.url, ["timeout_ms", "20000"]).handle)
    let iter = try #require(read(client, "s").handle)
    let waiting = try #require(read(patient, "s").handle)
    defer { for handle in [client, patient, iter, waiting] { release(handle) } }
    redis.freeze()
    #expect(next(waiting, waitMs: 0).status == REDCOL_TIMEOUT)
    #expect(next(waiting, waitMs: 50).status == REDCOL_TIMEOUT)
    let silent = next(iter)
    #expect(silent.status == REDCOL_ERROR_TIMED_OUT && silent.message.contains("timeout_ms"))
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_TIMED_OUT)
    let late = open(redis.url, ["connect_timeout_ms", "100"])
    #expect(late.status == REDCOL_ERROR_TIMED_OUT && late.message.contains("connect_timeout_ms"))
    redis.resume()
    // The descriptor tells when there is something.
    var descriptor = pollfd(fd: redcol_iter_descriptor(waiting), events: Int16(POLLIN), revents: 0)
    #expect(poll(&descriptor, 1, 10_000) == 1)
    #expect(next(waiting).rows.count == 3)
    #expect(next(waiting).status == REDCOL_END)
    // A range that has failed stays so.
    #expect(next(iter).status == REDCOL_ERROR_TIMED_OUT)
}

@Test func aConnectionThatIsCut() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...50)
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "batch_rows", "10", "page_rows", "10").handle)
    defer { for handle in [client, iter] { release(handle) } }
    var ids: [Cell] = []
    while true {
        let batch = next(iter)
        guard batch.status == REDCOL_OK else {
            #expect(batch.status == REDCOL_END)
            break
        }
        ids += batch.rows.map { $0[0] }
        try redis.run("CLIENT", "KILL", "TYPE", "normal")
    }
    #expect(ids == (1...50).map { .text("\($0)-1") })
    #expect(redcol_iter_statistic(iter, "reconnects") > 0)
}

@Test func aServerThatIsGone() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url, ["timeout_ms", "300"]).handle)
    let iter = try #require(read(client, "s").handle)
    defer { for handle in [client, iter] { release(handle) } }
    redis.stop()
    #expect(next(iter).status == REDCOL_ERROR_CONNECTION)
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_CONNECTION)
}

@Test func acknowledging() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...2_500)
    try redis.run("XGROUP", "CREATE", "s", "g", "0")
    try redis.run("XREADGROUP", "GROUP", "g", "c", "COUNT", "2400", "STREAMS", "s", ">")
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    #expect(acknowledge(client, "s", "g", "1-1 2-1\n3-1\r\n\t9999-9").number == 3)
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_OK)
    #expect(acknowledge(client, "s", "g", "1-1").number == 0)
    #expect(acknowledge(client, "s", "g", "").number == 0)
    let many = (1...2_500).map { "\($0)-1" }.joined(separator: " ")
    #expect(acknowledge(client, "s", "g", many).number == 2_397)
    #expect(Int(redcol_ack(client, "s", -1, "g", -1, "1-1", -1, nil, nil)) == REDCOL_OK)
    for wrong in ["1", "x", "1-1,2-1", "18446744073709551616-0", "1-1 $"] {
        let error = acknowledge(client, "s", "g", wrong)
        #expect(error.status == REDCOL_ERROR_INVALID_ARGUMENT && error.number == 0)
        #expect(error.message.contains("Nothing was acknowledged"))
    }
    for (stream, group) in [("s", "none"), ("none", "g")] {
        let error = acknowledge(client, stream, group, "1-1")
        #expect(error.status == REDCOL_ERROR_NO_GROUP && error.details["server_code"] == "NOGROUP")
    }
    #expect(acknowledge(client, "s", nil, "1-1").status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(acknowledge(client, "s", "g", nil).status == REDCOL_ERROR_INVALID_ARGUMENT)
    #expect(
        acknowledge(client, "s", "g", "1-1", length: -5).status == REDCOL_ERROR_INVALID_ARGUMENT)
    try redis.run("SET", "k", "v")
    #expect(acknowledge(client, "k", "g", "1-1").status == REDCOL_ERROR_WRONG_TYPE)
}

@Test func followingGoesOnAfterAValueThatDoesNotFit() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url, ["timeout_ms", "1000"]).handle)
    let iter = try #require(read(client, "s", "follow", "true").handle)
    defer { for handle in [client, iter] { release(handle) } }
    try redis.run([utf8("XADD"), utf8("s"), utf8("1-1"), utf8("a"), [0xFF]])
    let error = next(iter, waitMs: 10_000)
    #expect(error.status == REDCOL_ERROR_VALUE && error.details["entry_id"] == "1-1")
    try redis.run("XADD", "s", "1-2", "a", "fine")
    #expect(next(iter, waitMs: 10_000).rows == [[.text("1-2"), .integer(1), .text("fine")]])
    #expect(redcol_iter_statistic(iter, "reconnects") == 0)
}
