// SPDX-License-Identifier: Apache-2.0
// Replies that are read whole: the scan for their end stands firm against hostile bytes, and
// agrees with hiredis' own reader on good ones.

import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

private func scan(_ bytes: [UInt8]) -> ReplyExtent {
    bytes.withUnsafeBufferPointer { scanReply($0) }
}

extension Reply {
    /// The same in the words of the oracle.
    fileprivate var tree: Tree {
        switch self {
        case .status(let text): return .status(text)
        case .error(let text): return .error(text)
        case .integer(let number): return .integer(number.within(.min ... .max) ?? 0)
        case .bulk(let bytes): return .bulk(bytes)
        case .null: return .null
        case .array(let elements): return .array(elements.map { $0.tree })
        }
    }
}

private func parse(_ bytes: [UInt8]) -> Tree? {
    bytes.withUnsafeBufferPointer { try? parseReply($0) }?.tree
}

private func repeated(_ text: String, _ count: Int) -> [UInt8] {
    Array([[UInt8]](repeating: utf8(text), count: count).joined())
}

private struct Attack: CustomTestStringConvertible, Sendable {
    var name: String
    var bytes: [UInt8]
    /// Part of the reason; nil: more bytes may still make a reply of it.
    var reason: String?

    init(_ name: String, _ bytes: [UInt8], _ reason: String?) {
        self.name = name
        self.bytes = bytes
        self.reason = reason
    }

    init(_ text: String, _ reason: String?) {
        self.init(text.debugDescription, utf8(text), reason)
    }

    var testDescription: String { name }
}

private let attacks: [Attack] = [
    Attack("*2147483647\r\n", "an array of 2147483647 elements"),
    Attack("*9223372036854775807\r\n", "an array of"),
    Attack("*9223372036854775808\r\n", "an array length that is not valid"),
    Attack("*1048577\r\n", "an array of 1048577 elements"),
    Attack("*1048576\r\n", nil),
    Attack("*1000000\r\n*1000000\r\n*1000000\r\n*1000000\r\n*1000000\r\n", nil),
    Attack("*-2\r\n", "an array length that is not valid"),
    Attack("*\r\n", "an array length that is not valid"),
    Attack("*1.5\r\n", "an array length that is not valid"),
    Attack("*1 \r\n", "an array length that is not valid"),
    Attack("$9223372036854775807\r\n", "bytes"),
    Attack("$9223372036854775808\r\n", "a string length that is not valid"),
    Attack("$16777217\r\n", "a reply of more than 16777216 bytes"),
    Attack("$16777000\r\n", nil),
    Attack("$-2\r\n", "a string length that is not valid"),
    Attack("$-9223372036854775808\r\n", "a string length that is not valid"),
    Attack("$3\r\nabcXY", "a string without an end of line"),
    Attack("$3\r\nabc\n\n", "a string without an end of line"),
    Attack("$3\r\nabc\r", nil),
    Attack("$0\r\n+\r\n", "a string without an end of line"),
    Attack(":x\r\n", "an integer that is not valid"),
    Attack(":\r\n", "an integer that is not valid"),
    Attack(":9223372036854775808\r\n", "an integer that is not valid"),
    Attack(":000000000000000000001\r\n", "an integer that is not valid"),
    Attack("x\r\n", "a reply of type \"x\""),
    Attack("\r\n\r\n", "a reply of type \"\\x0d\""),
    Attack("HTTP/1.1 400 Bad Request\r\n", "a reply of type \"H\""),
    Attack("*1\r\nHTTP\r\n", "a reply of type \"H\""),
    Attack("nul", [0, 0x0D, 0x0A], "a reply of type \"\\x00\""),
    Attack("no end of line yet", utf8("+OK\r"), nil),
    Attack("newline alone", utf8("+OK\n"), nil),
    Attack("nothing", [], nil),
    Attack("nested", repeated("*1\r\n", 16), "arrays nested deeper than"),
    Attack("nested in 64 bytes", repeated("*9\r\n", 16), "arrays nested deeper than"),
    Attack("megabytes of nesting", repeated("*1\r\n", 500_000), "arrays nested deeper than"),
    Attack("a long line", utf8("+") + repeated("x", 70_000), "a line longer than 65536"),
    Attack("a long error", utf8("-") + repeated("x", 70_000), "a line longer than 65536"),
    Attack("a line that may end", utf8("+") + repeated("x", 60_000), nil),
    Attack("20 MB of digits", utf8(":") + repeated("7777777777", 2_000_000), "a line longer than"),
    Attack(
        "a length of 20 MB", utf8("$") + repeated("0000000000", 2_000_000), "a line longer than"),
    Attack("carriage returns", utf8("+") + repeated("\r", 70_000), "a line longer than"),
    Attack(
        "two large strings",
        utf8("*2\r\n$16777216\r\n") + [UInt8](repeating: 0, count: 1 << 24) + utf8("\r\n"),
        "a reply of more than"),
    Attack("elements without end", repeated("*1000\r\n", 1) + repeated("*1000\r\n", 5), nil),
]

private let version3 = [
    "_", "#t", ",3.14", "(99", "!3\r\nerr", "=7\r\ntxt:abc", "%1", "~1", ">2", "|1",
]

@Test(arguments: attacks)
private func hostileBytes(_ attack: Attack) {
    let clock = ContinuousClock()
    var extent = ReplyExtent.incomplete
    let duration = clock.measure { extent = scan(attack.bytes) }
    switch (extent, attack.reason) {
    case (.hostile(let reason), let expected?): #expect(reason.contains(expected), "\(reason)")
    case (.incomplete, nil): break
    default: Issue.record("\(extent)")
    }
    #expect(duration < .seconds(2))
}

@Test(arguments: version3)
func repliesOfTheThirdVersionAreRefused(_ text: String) {
    guard case .hostile(let reason) = scan(utf8(text + "\r\n")) else {
        Issue.record("taken")
        return
    }
    #expect(reason.hasPrefix("a reply of type"))
}

@Test func tooManyElementsInAll() {
    // Each array is within the limits, but not all of them together.
    let row = utf8("*1000\r\n") + repeated(":1\r\n", 1000)
    let reply = utf8("*1100\r\n") + Array([[UInt8]](repeating: row, count: 1100).joined())
    guard case .hostile(let reason) = scan(reply) else {
        Issue.record("taken")
        return
    }
    #expect(reason.contains("elements"))
}

@Test(arguments: [
    ("+OK\r\n", Tree.status(utf8("OK"))),
    ("+\r\n", .status([])),
    ("-ERR no\r\n", .error(utf8("ERR no"))),
    (":0\r\n", .integer(0)),
    (":-9223372036854775808\r\n", .integer(.min)),
    (":9223372036854775807\r\n", .integer(.max)),
    ("$0\r\n\r\n", .bulk([])),
    ("$-1\r\n", .null),
    ("*-1\r\n", .null),
    ("*0\r\n", .array([])),
    ("$4\r\na\r\nb\r\n", .bulk(utf8("a\r\nb"))),
    (
        "*3\r\n:1\r\n*1\r\n$-1\r\n+x\r\n",
        .array([.integer(1), .array([.null]), .status(utf8("x"))])
    ),
    (
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        .array([.array([.array([.array([.array([.array([.integer(1)])])])])])])
    ),
])
func goodReplies(_ text: String, _ expected: Tree) {
    let bytes = utf8(text)
    #expect(scan(bytes) == .complete(bytes.count))
    #expect(scan(bytes + utf8("+next\r\n")) == .complete(bytes.count))
    #expect(parse(bytes) == expected)
}

@Test(arguments: ["", "+OK", "$3\r\nab", "x\r\n", "$-5\r\n", ":12a\r\n"])
func whatIsNoReplyParsesToNothing(_ text: String) { #expect(parse(utf8(text)) == nil) }

/// Any reply that a server may send, at most six levels deep.
private func randomTree(_ generator: inout SeededGenerator, depth: Int = 0) -> Tree {
    let line = utf8(String(repeating: "word ", count: generator.below(5)))
    switch generator.below(depth < 6 ? 8 : 6) {
    case 0: return .status(line)
    case 1: return .error(utf8("ERR ") + line)
    case 2: return .integer(Int64.random(in: .min ... .max, using: &generator))
    case 3: return .null
    case 4: return .bulk(utf8("\r\n$1\r\n*2\r\n"))
    case 5: return .bulk(generator.bytes(generator.below(30)))
    default:
        return .array(
            (0..<generator.below(5)).map { _ in randomTree(&generator, depth: depth + 1) })
    }
}

@Test(arguments: 0..<60)
func aReplyEndsWhereHiredisSaysSo(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed)
    for _ in 0..<10 {
        let reply = randomTree(&generator)
        let bytes = reply.resp
        let reader = HiredisReader()
        for end in 0...bytes.count {
            if end > 0 { reader.feed(bytes[(end - 1)..<end]) }
            let expected = reader.next()
            let extent = scan(Array(bytes[..<end]))
            try #require(extent == (expected == nil ? .incomplete : .complete(end)), "at \(end)")
            if let expected { try #require(parse(bytes) == expected) }
        }
        #expect(parse(bytes) == reply)
    }
}

/// Whatever the bytes are: where the scan finds a reply, hiredis finds one too, or refuses it for
/// stricter reasons; and where hiredis finds one, the scan does, unless it is beyond the limits.
@Test(arguments: 0..<60)
func spoiltRepliesAreJudgedAlike(_ seed: UInt64) {
    var generator = SeededGenerator(seed)
    for _ in 0..<50 {
        var bytes = randomTree(&generator).resp
        for _ in 0...generator.below(3) where !bytes.isEmpty {
            bytes[generator.below(bytes.count)] = generator.pick(utf8("\r\n*$:+-0129x"))
        }
        let tree = HiredisReader.reply(bytes)
        switch scan(bytes) {
        case .complete(let count):
            #expect(count <= bytes.count)
            #expect(parse(Array(bytes[..<count])) == tree)
        case .incomplete: #expect(tree == nil)
        // hiredis does not look at the line end after a string.
        case .hostile(let reason): #expect(tree == nil || reason.contains("end of line"))
        }
    }
}
