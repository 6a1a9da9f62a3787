// SPDX-License-Identifier: Apache-2.0
// What a server's error answers mean, and how bytes from outside are shown in messages.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

@Test(arguments: [
    ("NOAUTH Authentication required.", RedcolError.Cause.authentication, "NOAUTH"),
    ("WRONGPASS invalid username-password pair or user is disabled.", .authentication, "WRONGPASS"),
    ("ERR AUTH <password> called without any password configured", .authentication, "ERR"),
    ("ERR invalid password", .authentication, "ERR"),
    ("NOPERM this user has no permissions to run the 'xrange' command", .permission, "NOPERM"),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", .wrongType, "WRONGTYPE"),
    ("LOADING Redis is loading the dataset in memory", .loading, "LOADING"),
    ("NOGROUP No such key 's' or consumer group 'g'", .noGroup, "NOGROUP"),
    ("MOVED 3999 127.0.0.1:6381", .unsupported, "MOVED"),
    ("ASK 3999 127.0.0.1:6381", .unsupported, "ASK"),
    ("ERR unknown command 'XRANGE'", .server, "ERR"),
    ("CLUSTERDOWN The cluster is down", .server, "CLUSTERDOWN"),
    ("WRONGTYPES are not WRONGTYPE", .server, "WRONGTYPES"),
    ("no word", .server, ""),
    ("", .server, ""),
])
func serverErrors(_ text: String, _ cause: RedcolError.Cause, _ word: String) throws {
    let endpoint = try Endpoint(url: "redis://example.org")
    let error = RedcolError.server(utf8(text), endpoint: endpoint, asked: "XRANGE")
    #expect(error.cause == cause)
    #expect(error.message.hasPrefix("XRANGE: redis://example.org:6379 answered \"\(text)\""))
    #expect(error.details.map { $0.1 } == (word.isEmpty ? [] : [word]))
}

/// A redirect is followed, unless the server did not say that it is a node of a cluster.
@Test(arguments: ["MOVED 1 h:1", "ASK 1 h:1"])
func redirects(_ text: String) throws {
    var endpoint = try Endpoint(url: "redis://host")
    let alone = RedcolError.server(utf8(text), endpoint: endpoint, asked: "XRANGE")
    #expect(alone.remedy == .raise)
    endpoint.server.isClusterNode = true
    let error = RedcolError.server(utf8(text), endpoint: endpoint, asked: "XRANGE")
    #expect((error.remedy, error.cause) == (.redirect, .server))
    #expect(error.isRefusalForNow)
}

@Test(arguments: [
    ("ERR hunter2 is wrong, hunter2!", "ERR *** is wrong, ***!"),
    ("hunter2", "***"),
    ("hunter2hunter2", "******"),
    ("hunterhunter2", "hunter***"),
    ("hunter", "hunter"),
])
func aServerThatRepeatsThePassword(_ text: String, _ shown: String) throws {
    let endpoint = try Endpoint(url: "redis://:hunter2@host")
    let error = RedcolError.server(utf8(text), endpoint: endpoint, asked: "logging in")
    #expect(error.message.contains("\"\(shown)\""), "\(error.message)")
}

@Test func aPasswordWithBytesThatAreEscaped() throws {
    let endpoint = try Endpoint(url: "redis://:p%0A%5Cz@host")
    let text = utf8("ERR <") + [0x70, 0x0A, 0x5C, 0x7A] + utf8(">")
    let error = RedcolError.server(text, endpoint: endpoint, asked: "logging in")
    #expect(error.message.contains("\"ERR <***>\""), "\(error.message)")
}

@Test func longServerErrorsAreCut() throws {
    let endpoint = try Endpoint(url: "redis://host")
    let text = utf8("ERR " + String(repeating: "x", count: 60_000))
    let error = RedcolError.server(text, endpoint: endpoint, asked: "XRANGE")
    #expect(error.message.utf8.count < 600)
    #expect(error.message.contains("…"))
}

@Test func whatACallerKnowsIsPutBefore() {
    let error = RedcolError(.connection, "reset").adding("stream \"s\": ", .stream, "s")
    #expect(error.message == "stream \"s\": reset")
    #expect(error.cause == .connection && error.isConnectionLoss)
    #expect(error.details.map { $0.1 } == ["s"])
}

@Test(arguments: [
    (utf8("plain"), 80, "plain"),
    (utf8("a\\b\"c"), 80, "a\\\\b\"c"),
    ([0x00, 0x0A, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0xFF], 80, "\\x00\\x0a\\x1f ~\\x7f\\x80\\xff"),
    (utf8("ü"), 80, "\\xc3\\xbc"),
    (utf8("abcdef"), 6, "abcdef"),
    (utf8("abcdefg"), 6, "abcdef…"),
    (utf8("a"), 0, "…"),
    ([], 0, ""),
])
func escapedText(_ bytes: [UInt8], _ limit: Int, _ shown: String) {
    #expect(escaped(bytes, limit: limit, keeping: .ascii) == shown)
}

@Test(arguments: [
    (utf8("größe\n\0"), 80, "größe\\x0a\\x00"),
    ([0x61, 0xFF, 0xC3], 80, "a\\xff\\xc3"),
    (utf8("a\\b\"c"), 80, "a\\\\b\"c"),
    (utf8("日本 😀"), 80, "日本 😀"),
    // Of what is cut, no character is cut in two.
    (utf8("abä!"), 3, "ab…"),
    (utf8("abä"), 4, "abä"),
    ([0x61, 0xC3, 0xA4, 0xED, 0xA0, 0x80], 80, "aä\\xed\\xa0\\x80"),
    // Bytes that a terminal obeys, ends of lines, and what reorders the text beside it.
    (utf8("\u{9B}2J\u{A0}"), 80, "\\xc2\\x9b2J\u{A0}"),
    (utf8("\u{2027}\u{2028}"), 80, "\u{2027}\\xe2\\x80\\xa8"),
    (utf8("\u{202E}\u{202F}"), 80, "\\xe2\\x80\\xae\u{202F}"),
    (utf8("\u{2066}\u{2069}\u{206A}"), 80, "\\xe2\\x81\\xa6\\xe2\\x81\\xa9\u{206A}"),
])
func escapedNames(_ bytes: [UInt8], _ limit: Int, _ shown: String) {
    #expect(escaped(bytes, limit: limit) == shown)
}
