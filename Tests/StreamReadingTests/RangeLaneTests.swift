// SPDX-License-Identifier: Apache-2.0
// A lane looks through what comes before its turn, and asks for more: driven without a server by
// made-up streams, whose answers come in pieces and are taken, looked through and lost at random.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import StreamReading

/// One node's streams, and the reader that takes their entries.
private struct MadeUpNode {
    let streams: [[EntryID]]
    let lane: RangeLane
    private var generator: SeededGenerator
    /// What was sent, reply by reply, and how much of all that has come was not taken.
    private var replies: [(bytes: [UInt8], entries: [EntryID])] = []
    private var received: [UInt8] = []
    private var unsent: [UInt8] = []
    private var used = 0
    private(set) var given: [[EntryID]]
    private(set) var asked = 0
    /// How many pages were asked for while none was taken.
    private(set) var askedAheadMost = 0

    init(_ streams: [[EntryID]], seed: UInt64) throws {
        self.streams = streams
        generator = SeededGenerator(seed)
        given = Array(repeating: [], count: streams.count)
        let connection = try Connection(try Endpoint(url: "redis://a:1"), Timeouts())
        let plan = ManyRangesPlan(
            first: .smallest, last: .largest, count: nil, countPerStream: nil, pageRows: 0,
            streamsMost: 0)
        lane = RangeLane(connection, plan, streams: nil)
        lane.plan.found(streams: streams.count)
    }

    private mutating func ask() {
        if case .discarded = lane.awaited.first { return }
        while let page = lane.plan.nextPage(underWay: lane.pagesUnderWay) {
            let all = streams[page.stream]
            if lane.plan.begins(page), page.stream % 2 == 0 {
                lane.asked(.exists(page.stream))
                answer(utf8(":1\r\n"), [])
            }
            if page.range.asksForEnd {
                lane.asked(.end)
                answer(Array(all.suffix(1)))
            }
            lane.asked(.page(page))
            asked += 1
            let inRange = all.filter { $0 >= page.range.first && $0 <= page.range.last }
            answer(Array(inRange.prefix(page.range.count)))
        }
    }

    private mutating func answer(_ entries: [EntryID]) {
        answer(Resp.entries(entries.map { SampleEntry($0.text, "name", "value") }), entries)
    }

    private mutating func answer(_ bytes: [UInt8], _ entries: [EntryID]) {
        replies.append((bytes, entries))
        unsent += bytes
    }

    /// Some bytes come.
    private mutating func receive() {
        let count = min(unsent.count, Int.random(in: 1...40_000, using: &generator))
        received += unsent.prefix(count)
        unsent.removeFirst(count)
    }

    private mutating func lookThrough() {
        var buffer = ReceiveBuffer()
        let isThere = received.withUnsafeBytes { buffer.append($0) }
        #expect(isThere)
        lane.lookThrough(buffer.waiting, used: used)
    }

    /// Takes the first answer, if it has come in full.
    private mutating func take() {
        guard let next = lane.awaited.first, let (bytes, entries) = replies.first,
            received.count >= bytes.count
        else { return }
        replies.removeFirst()
        received.removeFirst(bytes.count)
        used += bytes.count
        let isNew = lane.taken()
        switch next {
        case .keys, .exists, .discarded: break
        case .end: if isNew { lane.plan.found(end: entries.last) }
        case .page(let page):
            given[page.stream] += entries
            guard isNew else { return }
            let isCut = lane.plan.pageEnded(
                page, entries: entries.count, first: entries.first, last: entries.last,
                bytes: bytes.count)
            if isCut { lane.giveUpPages() }
        }
    }

    /// The connection is lost in the middle of the first answer.
    private mutating func lose() {
        var rows = 0
        var id: EntryID?
        if case .page(let page)? = lane.awaited.first, let entries = replies.first?.entries {
            rows = Int.random(in: 0...entries.count, using: &generator)
            given[page.stream] += entries.prefix(rows)
            id = rows > 0 ? entries[rows - 1] : nil
        }
        used += received.count
        (replies, received, unsent) = ([], [], [])
        lane.connectionLost(upTo: id, rows: rows)
    }

    /// Reads all. While the lane is in hand nothing is looked through; it leaves the hand between
    /// two streams.
    mutating func readAll(losesOnceIn losses: Int?) {
        var isInHand = false
        for _ in 0..<200_000 {
            ask()
            if lane.awaited.first == nil { return }
            receive()
            if isInHand {
                take()
                isInHand = Int.random(in: 0..<8, using: &generator) > 0
            } else {
                let before = asked
                for _ in 0..<Int.random(in: 0...60, using: &generator) {
                    receive()
                    lookThrough()
                    ask()
                }
                askedAheadMost = max(askedAheadMost, asked - before)
                isInHand = true
            }
            if let losses, Int.random(in: 0..<losses, using: &generator) == 0 { lose() }
        }
        Issue.record("it does not come to its end")
    }
}

/// Ids as dense as they may be, with gaps, or many in one millisecond.
private func randomStream(_ generator: inout SeededGenerator) -> [EntryID] {
    let sizes = [0, 1, 20, 255, 256, 257, 1_500, 4_000]
    var ids: [EntryID] = []
    var milliseconds: UInt64 = 1
    var sequence: UInt64 = 0
    let step = UInt64.random(in: 0...20, using: &generator)
    for _ in 0..<sizes[Int.random(in: 0..<sizes.count, using: &generator)] {
        ids.append(EntryID(milliseconds, sequence))
        let isGap = Int.random(in: 0..<500, using: &generator) == 0
        let ahead = isGap ? 100_000 : UInt64.random(in: 0...step, using: &generator)
        sequence = ahead == 0 ? sequence + 1 : 0
        milliseconds += ahead
    }
    return ids
}

@Test(arguments: UInt64(1)...8)
func whatIsLookedThroughIsTakenOnce(seed: UInt64) throws {
    var generator = SeededGenerator(seed)
    let streams = (0..<8).map { _ in randomStream(&generator) }
    for losses in [nil, 30] as [Int?] {
        var node = try MadeUpNode(streams, seed: seed)
        node.readAll(losesOnceIn: losses)
        #expect(node.given == streams)
    }
}

@Test func aLaneIsAskedForMoreBeforeItsTurn() throws {
    let stream = (1...UInt64(4_000)).map { EntryID($0, 0) }
    var node = try MadeUpNode([stream, stream, stream], seed: 1)
    node.readAll(losesOnceIn: nil)
    #expect(node.given == [stream, stream, stream])
    #expect(node.askedAheadMost > 8)
}

@Test func whatIsWrongIsLeftToTheTurnOfALane() throws {
    for answer in ["-ERR no\r\n", "+OK\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n$0\r\n\r\n"] {
        let connection = try Connection(try Endpoint(url: "redis://a:1"), Timeouts())
        let plan = ManyRangesPlan(
            first: .smallest, last: .largest, count: nil, countPerStream: nil, pageRows: 0,
            streamsMost: 0)
        let lane = RangeLane(connection, plan, streams: nil)
        lane.plan.found(streams: 1)
        let first = lane.plan.nextPage(underWay: 0)
        lane.asked(.page(try #require(first)))
        var buffer = ReceiveBuffer()
        let isThere = utf8(answer).withUnsafeBytes { buffer.append($0) }
        #expect(isThere)
        lane.lookThrough(buffer.waiting, used: 0)
        #expect(lane.awaitsUnseen && lane.pagesUnderWay == 1 && !lane.hasFinished(0))
        let isNew = lane.taken()
        #expect(isNew && lane.pagesUnderWay == 0)
    }
}
