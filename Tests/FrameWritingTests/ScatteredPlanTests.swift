// SPDX-License-Identifier: Apache-2.0
// Whole writes against a cluster that is made up: slots move, answers come in any order, and
// connections are lost at every point. Rows of one key come in their order, and what the plan says
// of each row agrees with what the nodes did.

import RedcolBase
import TestSupport
import Testing

@testable import FrameWriting

private let lost = RedcolError(.connection, "lost")
private let moved = RedcolError(
    answered: .server, "MOVED", details: [(.serverCode, "MOVED")], remedy: .tryAgain)
private let wrongType = RedcolError(answered: .wrongType, "WRONGTYPE", details: [], remedy: .raise)

/// A write of rows that are ten bytes long each, to nodes that have keys. Row r has key r % keys.
private struct Run {
    var plan: ScatteredPlan
    let rowCount: Int
    let keys: Int
    let nodes: Int
    var random: SeededGenerator
    /// The node of each key, as it is, and as the write knows it.
    var homes: [Int]
    var known: [Int]
    /// Rows that nodes executed, in their order.
    var executed: [Int] = []
    var refuses: (Int) -> Bool = { _ in false }
    /// How likely a slot moves, and a connection is lost, per step in a thousand.
    var moves = 0
    var losses = 0
    private var now: Int64 = 0
    private var repeated: [ScatteredRows.Again] = []
    private var repeatedCount = 0
    private var connected: [Bool]
    private var sentBytes: [Int]
    /// Rows that each node has received and not answered.
    private var received: [[ScatteredRows.Sent]]

    init(rows: Int, keys: Int, nodes: Int, seed: UInt64, isRepeatable: Bool = false) {
        rowCount = rows
        self.keys = keys
        self.nodes = nodes
        random = SeededGenerator(seed)
        homes = (0..<keys).map { $0 % nodes }
        known = homes
        connected = Array(repeating: false, count: nodes)
        sentBytes = Array(repeating: 0, count: nodes)
        received = Array(repeating: [], count: nodes)
        plan = ScatteredPlan(
            isRepeatable: isRepeatable, kind: isRepeatable ? .hashes : .entries, silenceMs: 1_000,
            retryMs: 100)
        for _ in 0..<nodes { plan.rows.addLane() }
    }

    private mutating func chance(_ perThousand: Int) -> Bool {
        Int.random(in: 0..<1_000, using: &random) < perThousand
    }

    /// Runs until the write is over; false if it never is.
    mutating func finish() -> Bool {
        plan.begin()
        for _ in 0..<200_000 {
            now += 5
            if chance(moves) { move() }
            let node = Int.random(in: 0..<nodes, using: &random)
            if connected[node], chance(losses) {
                lose(node)
            } else {
                answer(node)
            }
            send()
            while let row = plan.rows.takeKnown() { plan.rows.forget(row) }
            let bytes = sentBytes
            if plan.isOver(repeated: repeated[repeatedCount...], sent: { bytes[$0] }) {
                return true
            }
        }
        return false
    }

    /// Gives a key to another node, which has answered all that it had received for it before: a
    /// slot does not come back within the time that one answer takes.
    private mutating func move() {
        let key = Int.random(in: 0..<keys, using: &random)
        let node = Int.random(in: 0..<nodes, using: &random)
        if !received[node].contains(where: { $0.key == key }) { homes[key] = node }
    }

    private mutating func lose(_ node: Int) {
        // Some of what was sent was executed, and some was not received.
        let executes = received[node].count / 2
        for row in received[node].prefix(executes) where homes[row.key] == node {
            executed.append(row.row)
        }
        received[node] = []
        connected[node] = false
        if !plan.connectionLost(node, lost, sent: sentBytes[node], wasReady: true, now) {
            plan.fail(lost)
        }
    }

    private mutating func answer(_ node: Int) {
        guard let row = received[node].first else { return }
        received[node].removeFirst()
        if homes[row.key] != node {
            known[row.key] = homes[row.key]
            if !plan.refused(node, moved, asked: nil, now) { plan.fail(moved) }
        } else if refuses(row.row) {
            if !plan.refused(node, wrongType, asked: nil, now) { plan.fail(wrongType) }
        } else {
            executed.append(row.row)
            let id = EntryID(UInt64(row.row + 1), 0)
            if let (_, error) = plan.executed(node, .written, id: id) { plan.fail(error) }
        }
    }

    private mutating func send() {
        if repeatedCount < repeated.count, !plan.rows.again.isEmpty {
            for row in repeated[repeatedCount...] { plan.rows.putBack(row) }
            repeatedCount = repeated.count
        }
        let sending = plan.sending(now, isRepeating: repeatedCount < repeated.count)
        if sending == .nothing { return }
        if sending == .new, !repeated.isEmpty {
            guard plan.rows.underWay == 0 else { return }
            repeated = []
            repeatedCount = 0
        }
        if sending == .again, repeatedCount == repeated.count {
            repeated = plan.rows.takeAgain()
            repeatedCount = 0
        }
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            var row = plan.rows.next
            if sending == .again {
                guard repeatedCount < repeated.count else { return }
                row = repeated[repeatedCount].row
                repeatedCount += 1
            } else if row == rowCount {
                return plan.frameEnded()
            }
            let (key, node) = (row % keys, known[row % keys])
            if !connected[node] {
                connected[node] = true
                plan.rows.begin(node, sent: sentBytes[node])
            }
            plan.rows.encoded(row, .command, to: node, bytes: 10, key: key)
            sentBytes[node] += 10
            received[node].append(
                ScatteredRows.Sent(row: row, end: sentBytes[node], kind: .command, key: key))
        }
    }

    /// Whether rows of each key were executed in their order.
    var isInOrder: Bool {
        var last = Array(repeating: -1, count: keys)
        for row in executed {
            if row <= last[row % keys] { return false }
            last[row % keys] = row
        }
        return true
    }
}

@Test func aWriteToSeveralNodesIsWrittenOnceAndInOrder() {
    for seed in 0..<60 {
        var run = Run(rows: 500, keys: 7, nodes: 3, seed: UInt64(seed))
        run.moves = seed % 3 * 10
        let isOver = run.finish()
        #expect(isOver)
        #expect(run.plan.state.error == nil)
        #expect(run.executed.sorted() == Array(0..<500))
        #expect(run.isInOrder)
        #expect(run.plan.rows.written == 500 && run.plan.rows.known == 500)
    }
}

@Test func entriesOnALostConnectionAreUnknownAndNeverSentAgain() {
    var failures = 0
    for seed in 0..<60 {
        var run = Run(rows: 400, keys: 7, nodes: 3, seed: UInt64(seed))
        run.losses = 2
        run.moves = seed % 2 * 5
        let isOver = run.finish()
        #expect(isOver)
        #expect(Set(run.executed).count == run.executed.count)
        #expect(run.isInOrder)
        guard run.plan.state.error != nil else { continue }
        failures += 1
        let unknown = Run.rows(run.plan.unknown)
        #expect(!unknown.isEmpty)
        let done = Set(run.executed)
        // What is not said to be unknown was executed exactly if it was counted.
        #expect(done.subtracting(unknown).count == run.plan.rows.written)
        #expect(run.plan.unknown.count == unknown.count)
    }
    #expect(failures > 20)
}

extension Run {
    fileprivate static func rows(_ ranges: RowRanges) -> Set<Int> {
        var rows: Set<Int> = []
        for run in ranges.text(limit: .max).split(separator: ",") {
            let ends = run.split(separator: "-").compactMap { Int($0) }
            rows.formUnion(ends[0]...ends[ends.count - 1])
        }
        return rows
    }
}

@Test func hashesOnALostConnectionAreSentAgain() {
    for seed in 0..<40 {
        var run = Run(rows: 300, keys: 300, nodes: 3, seed: UInt64(seed), isRepeatable: true)
        run.losses = 5
        run.moves = seed % 2 * 10
        let isOver = run.finish()
        #expect(isOver)
        #expect(run.plan.state.error == nil)
        #expect(Set(run.executed) == Set(0..<300))
        #expect(run.plan.rows.written == 300)
    }
}

@Test func aRefusedRowEndsTheWriteAndTheOthersAreKnown() {
    for seed in 0..<40 {
        var run = Run(rows: 300, keys: 7, nodes: 3, seed: UInt64(seed))
        run.refuses = { $0 % 7 == 3 && $0 > 100 }
        let isOver = run.finish()
        #expect(isOver)
        #expect(run.plan.state.error?.cause == .wrongType)
        #expect(run.plan.unknown.count == 0)
        #expect(run.plan.rows.known == run.plan.rows.next)
        #expect(run.plan.rows.written + run.plan.rows.refused.count == run.plan.rows.known)
        #expect(run.plan.rows.refused.allSatisfy { $0 % 7 == 3 && $0 > 100 })
        #expect(run.plan.rows.refused.contains(101 + (3 - 101 % 7 + 7) % 7))
    }
}

@Test func aRowWhoseNodesSendItAroundIsGivenUp() {
    var plan = ScatteredPlan(
        isRepeatable: false, kind: .entries, silenceMs: 1_000, retryMs: 100)
    plan.begin()
    plan.rows.addLane()
    plan.rows.begin(0, sent: 0)
    plan.rows.encoded(0, .command, to: 0, bytes: 10, key: 1)
    plan.frameEnded()
    var now: Int64 = 0
    var rounds = 0
    while plan.refused(0, moved, asked: nil, now) {
        rounds += 1
        while plan.sending(now, isRepeating: false) == .nothing { now += 1 }
        let again = plan.rows.takeAgain()
        #expect(again.map { $0.row } == [0])
        plan.rows.encoded(0, .command, to: 0, bytes: 10, key: 1)
    }
    plan.fail(moved)
    #expect(rounds > 5 && rounds < 40)
    #expect(now <= 1_000)
    let isOver = plan.isOver(repeated: [], sent: { _ in 0 })
    #expect(isOver)
    #expect(plan.rows.refused == [0])
}

@Test func anIdleConnectionThatIsLostDelaysNothing() {
    var plan = ScatteredPlan(
        isRepeatable: false, kind: .entries, silenceMs: 1_000, retryMs: 100)
    plan.rows.addLane()
    plan.begin()
    // Later than a node that is needed is given up.
    for now in stride(from: Int64(0), through: 5_000, by: 500) {
        let goesOn = plan.connectionLost(0, lost, sent: 0, wasReady: true, now)
        #expect(goesOn && plan.notBefore == nil)
    }
    // Rows wait for one that has not been ready.
    let goesOn = plan.connectionLost(0, lost, sent: 0, wasReady: false, 6_000)
    #expect(goesOn && plan.notBefore != nil)
    let isTried = plan.connectionLost(0, lost, sent: 0, wasReady: false, 8_000)
    #expect(!isTried)
}
