// SPDX-License-Identifier: Apache-2.0
// The headers of replies, whole, byte by byte, and malformed; and those of commands.

import RedcolBase
import TestSupport
import Testing

@testable import RedisConnection

/// Reads from `text` as it lies in a receive buffer. What is found, and how many bytes it took.
private func read(
    _ text: String,
    _ body: (inout UnsafePointer<UInt8>, UnsafePointer<UInt8>) -> String
) -> String {
    var received = ReceiveBuffer()
    let isThere = utf8(text).withUnsafeBytes { received.append($0) }
    guard isThere, let start = received.waiting.baseAddress else { return "needs more" }
    var position = start
    let found = body(&position, start + received.waiting.count)
    let taken = position - start
    return taken == 0 ? found : "\(found), \(taken) bytes"
}

private func prefix(_ text: String, _ count: Int) -> String {
    String(decoding: text.utf8.prefix(count), as: UTF8.self)
}

private func length(_ text: String) -> String {
    read(text) { position, end in
        switch readLength(&position, end, UInt8(ascii: "$")) {
        case Length.null: return "null"
        case Length.needsMore: return "needs more"
        case Length.malformed: return "malformed"
        case let length: return String(length)
        }
    }
}

private func number(_ text: String) -> String {
    read(text) { position, end in
        switch readNumber(&position, end, digitsMax: 19) {
        case .value(let value): return String(value)
        case .needsMore: return "needs more"
        case .malformed: return "malformed"
        }
    }
}

private func line(_ text: String, _ bytesMax: Int = 10) -> String {
    read(text) { position, end in
        switch readTextLine(&position, end, bytesMax: bytesMax) {
        case .text(let text): return "\"" + String(decoding: text, as: UTF8.self) + "\""
        case .needsMore: return "needs more"
        case .tooLong: return "too long"
        }
    }
}

@Suite struct ReplyHeaderTests {
    @Test(arguments: [0, 7, 10, 42, 99, 100, 1_234_567, 999_999_999_999])
    func lengths(_ value: Int) {
        let text = "$\(value)\r\n"
        #expect(length(text) == "\(value), \(text.utf8.count) bytes")
        #expect(length(text + "abc") == "\(value), \(text.utf8.count) bytes")
        for count in 0..<text.utf8.count {
            #expect(length(prefix(text, count)) == "needs more")
        }
    }

    @Test(arguments: [
        "*1\r\n", "$a\r\n", "$1a\r\n", "$\r\n", "$-\r\n", "$-2\r\n", "$-0\r\n", "$1\n", "$1\rx",
        "$1000000000000\r\n", "$1000000000000", "$ 1\r\n", "$+1\r\n", "$/\r\n", "$:\r\n", "$1:\r\n",
    ])
    func lengthsThatAreNone(_ text: String) {
        #expect(length(text) == "malformed")
    }

    @Test func noLength() {
        #expect(length("$-1\r\n") == "null, 5 bytes")
        #expect(length("$-1") == "needs more")
    }

    @Test(arguments: [0, 1, -1, 12, -345, Int64.max, Int64.max - 1, Int64.min, Int64.min + 1])
    func numbers(_ value: Int64) {
        let text = "\(value)\r\n"
        #expect(number(text) == "\(value), \(text.utf8.count) bytes")
        for count in 0..<text.utf8.count {
            #expect(number(prefix(text, count)) == "needs more")
        }
    }

    @Test(arguments: [
        "9223372036854775808\r\n", "-9223372036854775809\r\n", "9999999999999999999\r\n",
        "18446744073709551616\r\n", "00000000000000000001", "x", "-x", "--1\r\n", "\r\n", "-\r\n",
        "-0\r\n", "1.5\r\n", "1\r\r\n", "1\n\n",
    ])
    func numbersThatAreNone(_ text: String) {
        #expect(number(text) == "malformed")
    }

    @Test func lines() {
        #expect(line("OK\r\nmore") == "\"OK\", 4 bytes")
        #expect(line("\r\n") == "\"\", 2 bytes")
        #expect(line("a\rb\nc\r\r\n") == "\"a\rb\nc\r\", 8 bytes")
        #expect(line("OK\r") == "needs more")
        #expect(line("12345678\r\n") == "\"12345678\", 10 bytes")
        #expect(line("123456789\r\n") == "too long")
        #expect(line("123456789") == "needs more")
        #expect(line("\r\r\r\r\r\r\r\r\r\r\r\r") == "too long")
    }
}

@Suite struct CommandEncodingTests {
    @Test func headers() throws {
        for value in [0, 9, 10, 99, 100, 12_345_678, 123_456_789, Int.max] {
            var bytes = try GrowingBytes()
            try bytes.appendHeader(UInt8(ascii: "*"), value)
            #expect(String(decoding: bytes.bytes, as: UTF8.self) == "*\(value)\r\n")
        }
    }

    /// A string is encoded the same, whichever way it comes.
    @Test func strings() throws {
        for count in 0...64 {
            let text = [UInt8](repeating: UInt8(ascii: "x"), count: count)
            let expected = "$\(count)\r\n" + String(repeating: "x", count: count) + "\r\n"
            var bytes = try GrowingBytes()
            try bytes.appendBulk(text)
            try text.withUnsafeBufferPointer { text throws(RedcolError) in
                try bytes.appendBulk(text)
            }
            try bytes.appendShortBulk { room in
                for index in 0..<count { room[index] = UInt8(ascii: "x") }
                return count
            }
            let encoded = String(decoding: bytes.bytes, as: UTF8.self)
            #expect(encoded == expected + expected + expected)
        }
        var command = Command()
        command.add(7, hyphen: 8)
        command.add(1_700_000_000_000, hyphen: .max)
        #expect(command.arguments == [utf8("7-8"), utf8("1700000000000-18446744073709551615")])
    }
}
