// SPDX-License-Identifier: Apache-2.0
// Entries that come newest first are put together into a reply that has them oldest first.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

/// Puts entries into blocks, as they come, and returns the replies of the blocks, oldest first.
private func reversed(_ entries: [[UInt8]]) throws -> [[UInt8]] {
    var blocks: [ReversedEntries] = []
    for entry in entries {
        try entry.withUnsafeBufferPointer { bytes in
            let start = try #require(bytes.baseAddress)
            if blocks.last?.add(start, bytes.count) == true { return }
            let block = try #require(ReversedEntries.make(for: bytes.count))
            #expect(block.add(start, bytes.count))
            blocks.append(block)
        }
    }
    return blocks.reversed().map { Array($0.reply()) }
}

@Test(arguments: [1, 2, 9, 10, 11, 1_000, 12_345])
func aReplyInTheOrderOfTheStream(_ count: Int) throws {
    let entries = (1...count).map { Resp.entry(SampleEntry("\($0)-0", "f", "\($0)")) }
    let replies = try reversed(entries.reversed())
    #expect(replies == [Resp.array(entries)])
}

@Test func largeEntriesHaveBlocksOfTheirOwn() throws {
    let sizes = [10, 1_048_576, 3_000_000, 20, 1_048_000, 600_000, 400_000]
    let entries = sizes.map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0) }
    let replies = try reversed(entries.reversed())
    #expect(replies.count > 3)
    // Each begins with the number of its entries.
    var together: [UInt8] = []
    for reply in replies {
        let line = try #require(reply.firstIndex(of: 0x0A))
        together += reply[(line + 1)...]
    }
    #expect(together == entries.flatMap { $0 })
}

/// Walks through a reply that comes in pieces of so many bytes.
private func walk(_ reply: [UInt8], most: Int, pieces: Int) throws -> (ids: [EntryID], end: Bool) {
    var walk = EntryWalk(entriesMax: most)
    var received = ReceiveBuffer()
    var ids: [EntryID] = []
    for start in stride(from: 0, to: reply.count, by: pieces) {
        let hasRoom = reply[start..<min(start + pieces, reply.count)].withUnsafeBytes {
            received.append($0)
        }
        #expect(hasRoom)
        let waiting = received.waiting
        let begin = try #require(waiting.baseAddress)
        var position = begin
        var isWaiting = false
        while !isWaiting {
            switch walk.next(&position, begin + waiting.count, EntryLimits()) {
            case .entry(let id, let bytes):
                ids.append(id)
                #expect(bytes <= position - begin)
            case .needsMore: isWaiting = true
            case .end: return (ids, start + pieces >= reply.count)
            case .serverError, .malformed, .tooLarge: return (ids, false)
            }
        }
        received.consume(position - begin)
    }
    return (ids, false)
}

@Test(arguments: [1, 2, 7, 64, 100_000])
func aReplyIsWalkedThroughHoweverItComes(_ pieces: Int) throws {
    let entries = (1...40).map {
        SampleEntry("\($0)-0", "f", String(repeating: "x", count: $0 * 7))
    }
    let walked = try walk(Resp.entries(entries), most: 40, pieces: pieces)
    #expect(walked.ids == (1...40).map { EntryID(UInt64($0), 0) } && walked.end)
    let empty = try walk(Resp.entries([]), most: 1, pieces: pieces)
    #expect(empty.ids.isEmpty && empty.end)
    let tooMany = try walk(Resp.entries(entries), most: 39, pieces: pieces)
    #expect(tooMany.ids.isEmpty && !tooMany.end)
    for wrong in ["+OK\r\n", "*1\r\n$1\r\na\r\n", "*1\r\n*2\r\n$1\r\nx\r\n*0\r\n"] {
        #expect(try !walk(utf8(wrong), most: 5, pieces: pieces).end)
    }
}
