// SPDX-License-Identifier: Apache-2.0
// Answers found in bytes, whole, byte by byte, and hostile.

import RedisConnection
import Testing

@testable import FrameWriting

/// Calls `body` with a cursor over `text`, as it lies in a receive buffer.
private func withCursor<Result>(_ text: String, _ body: (inout AnswerCursor) -> Result) -> Result {
    var received = ReceiveBuffer()
    let isThere = Array(text.utf8).withUnsafeBytes { received.append($0) }
    #expect(isThere)
    var cursor = AnswerCursor(received.waiting)
    return body(&cursor)
}

/// What a cursor says of `text`.
private func read(_ text: String) -> String {
    withCursor(text) { cursor in
        do throws(AnswerError) {
            switch try cursor.next() {
            case .status: return "status, \(cursor.offset)"
            case .integer(let number):
                return "\(number.within(.min ... .max) ?? 0), \(cursor.offset)"
            case .null: return "null, \(cursor.offset)"
            case .bulk(let id): return "\(String(decoding: id, as: UTF8.self)), \(cursor.offset)"
            case .error(let line): return "! \(String(decoding: line, as: UTF8.self))"
            case .array(let count): return "array \(count), \(cursor.offset)"
            }
        } catch {
            #expect(cursor.offset == 0, "an answer that was not taken moves nothing")
            if case .hostile = error { return "hostile" }
            return "incomplete"
        }
    }
}

@Suite struct AnswerTests {
    @Test(arguments: [
        ("$3\r\n1-1\r\n", "1-1, 9"), (":-12\r\n", "-12, 6"), ("+OK\r\n", "status, 5"),
        ("$-1\r\n", "null, 5"), ("*-1\r\n", "null, 5"), ("*2\r\n", "array 2, 4"),
        ("-ERR no\r\n", "! ERR no"),
    ])
    func whole(_ text: String, _ found: String) {
        #expect(read(text) == found)
        #expect(read(text + "+more\r\n") == found)
        for count in 0..<text.utf8.count {
            #expect(
                read(String(decoding: text.utf8.prefix(count), as: UTF8.self)) == "incomplete",
                "\(count) bytes of \(text)")
        }
    }

    @Test(arguments: [
        "?", ",1\r\n", "$65\r\n", "$99999999999999999999\r\n", "$-2\r\n", "$\r\n", ":x\r\n",
        ":\r\n",
        "*9\r\n", "*1000000000\r\n", ":9223372036854775808\r\n", ":9999999999999999999\r\n",
        "$9999999999999999999\r\n", "$1\r\nxyz", "_\r\n",
    ])
    func hostile(_ text: String) {
        #expect(read(text) == "hostile")
    }

    @Test func longLines() {
        let text = "-" + String(repeating: "x", count: 70_000)
        #expect(read(text) == "hostile")
    }

    /// nil: incomplete.
    private func transaction(_ text: String) -> String? {
        withCursor(text) { cursor in
            do throws(AnswerError) {
                guard let failure = try cursor.transaction(2, most: 5) else { return "done" }
                return String(decoding: failure, as: UTF8.self)
            } catch {
                if case .hostile = error { return "hostile" }
                return nil
            }
        }
    }

    @Test func transactions() {
        let queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n"
        #expect(transaction(queued + "*2\r\n:0\r\n:2\r\n") == "done")
        #expect(transaction(queued + "*2\r\n:0\r\n-OOM x\r\n") == "OOM x")
        #expect(transaction("+OK\r\n+QUEUED\r\n-OOM x\r\n-EXECABORT y\r\n") == "OOM x")
        #expect(transaction(queued + "*-1\r\n") == "hostile")
        #expect(transaction(queued + "*1\r\n:0\r\n") == "hostile")
        #expect(transaction(queued + "*2\r\n:0\r\n:5\r\n") == "done")
        #expect(transaction(queued + "*2\r\n:0\r\n:6\r\n") == "hostile")
        #expect(transaction(queued + "*2\r\n:-1\r\n:1\r\n") == "hostile")
        #expect(transaction(":1\r\n") == "hostile")
        #expect(transaction(queued + "*2\r\n:0\r\n") == nil)
        #expect(transaction(queued) == nil)
    }
}

@Test func runsOfRows() {
    var rows = RowRanges()
    #expect(rows.text(limit: 10).isEmpty)
    for row in [3, 7, 8, 9, 11, 20, 21] { rows.add(row) }
    #expect(rows.text(limit: .max) == "3,7-9,11,20-21")
    #expect(rows.text(limit: 4) == "3,7-9,…")
}
