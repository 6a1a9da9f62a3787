// SPDX-License-Identifier: Apache-2.0
// What a subscription does next, without a server; and messages that are cut at every byte.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import Testing

@testable import StreamReading

private func options(
    _ pairs: (key: String, value: String)...
) throws -> MessageOptions { try MessageOptions(pairs) }

/// A plan whose two channels are confirmed at 0.
private func makePlan(_ options: MessageOptions) -> MessagePlan {
    var plan = MessagePlan(channels: 2, options: options, silenceMs: 5_000)
    #expect(plan.next(0, rows: 0) == .subscribe)
    plan.asked()
    #expect(plan.confirmed(0) == nil)
    #expect(!plan.isSubscribed)
    #expect(plan.confirmed(0) == nil)
    #expect(plan.isSubscribed)
    return plan
}

@Suite struct MessagePlanTests {
    @Test func rowsAreHandedOverAtOnceUnlessTheyMayWait() throws {
        var plan = makePlan(try options())
        #expect(plan.next(0, rows: 0) == .wait)
        #expect(plan.next(0, rows: 1) == .handOver)
        plan = makePlan(try options(("batch_ms", "100")))
        #expect(plan.next(99, rows: 1) == .wait)
        #expect(plan.wakeAt(rows: 1) == 100)
        #expect(plan.next(100, rows: 1) == .handOver)
        plan.handedOver(rows: 1, 100)
        #expect(plan.next(199, rows: 1) == .wait)
    }

    @Test func itEndsByNumberAndByTime() throws {
        var plan = makePlan(try options(("count", "3"), ("window_ms", "1000")))
        #expect(plan.rowsMax == 3)
        plan.handedOver(rows: 2, 1)
        #expect(plan.rowsMax == 1)
        #expect(plan.next(1, rows: 1) == .end)
        #expect(plan.next(999, rows: 0) == .wait)
        #expect(plan.next(1_000, rows: 0) == .end)
        #expect(plan.endsAt == 1_000)
    }

    @Test func silenceIsAskedAbout() throws {
        var plan = makePlan(try options())
        #expect(plan.wakeAt(rows: 0) == 5_000)
        #expect(plan.next(5_000, rows: 0) == .ping)
        plan.pinged()
        #expect(plan.next(6_000, rows: 0) == .wait)
        plan.heard(6_000)
        plan.ponged()
        #expect(plan.next(10_999, rows: 0) == .wait)
        #expect(plan.next(11_000, rows: 0) == .ping)
    }

    @Test func idleReadsStopOrShowThatTheyAre() throws {
        var plan = makePlan(try options(("on_idle", "stop"), ("block_ms", "50")))
        plan.gotMessages(30)
        #expect(plan.next(79, rows: 0) == .wait)
        #expect(plan.next(80, rows: 0) == .end)
        plan = makePlan(try options(("on_idle", "empty"), ("block_ms", "50")))
        #expect(plan.next(500, rows: 0) == .wait)
        plan.isAsked(500)
        #expect(plan.next(550, rows: 0) == .handOver)
        plan.handedOver(rows: 0, 550)
        #expect(plan.next(600, rows: 0) == .wait)
    }

    @Test func onlyASubscriptionThatWasThereLeavesAGap() throws {
        var plan = MessagePlan(channels: 1, options: try options(), silenceMs: 5_000)
        plan.asked()
        var isGap = plan.connectionLost(5)
        #expect(!isGap)
        plan.asked()
        #expect(plan.confirmed(10) == nil)
        isGap = plan.connectionLost(20)
        #expect(isGap)
        // It fails once more before it is there again: one gap.
        #expect(plan.next(20, rows: 0) == .subscribe)
        plan.asked()
        isGap = plan.connectionLost(30)
        #expect(!isGap)
        plan.asked()
        #expect(plan.confirmed(70) == 50)
    }
}

@Suite struct MessageParserTests {
    /// Parses bytes as they come: the first `cut` of them, then all.
    private func parse(_ text: String, cut: Int) throws -> (rows: Int, events: [String]) {
        let chosen = try options()
        let columns = try MessageColumns(chosen, schema: nil)
        var batch = try BatchBuilder(columns.columns, onRefused: .raise)
        defer { batch.free() }
        var parser = try MessageParser(columns, chosen)
        defer { parser.free() }
        parser.received(at: 1_700_000_000_123_456)
        var events: [String] = []
        var buffer = ReceiveBuffer()
        let bytes = Array(text.utf8)
        for part in [bytes[..<cut], bytes[cut...]] {
            let hasRoom = part.withUnsafeBytes { buffer.append($0) }
            #expect(hasRoom)
            var isDone = false
            while !isDone {
                let (used, outcome) = parser.parse(buffer.waiting, rowsMax: 100, &batch)
                buffer.consume(used)
                switch outcome {
                case .needsMore: isDone = true
                case .confirmed: events.append("confirmed")
                case .unsubscribed: events.append("unsubscribed")
                case .pong: events.append("pong")
                default:
                    Issue.record("cut at \(cut)")
                    isDone = true
                }
            }
        }
        #expect(buffer.count == 0)
        return (batch.rowCount, events)
    }

    @Test func everyCutGivesTheSame() throws {
        let text =
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
            + "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"
            + "*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$0\r\n\r\n"
            + "*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$8\r\nsmessage\r\n$1\r\nb\r\n$1\r\nx\r\n"
            + "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nb\r\n:0\r\n"
        for cut in 0...text.utf8.count {
            let (rows, events) = try parse(text, cut: cut)
            #expect(rows == 3)
            #expect(events == ["confirmed", "pong", "unsubscribed"])
        }
    }
}
