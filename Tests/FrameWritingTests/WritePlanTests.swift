// SPDX-License-Identifier: Apache-2.0
// Whole writes against a server that is made up, with a fault at every point: what the plan says of
// each row agrees with what the server did.

import RedcolBase
import RedisConnection
import Testing

@testable import FrameWriting

private let lost = RedcolError(.connection, "lost")

private func answered(_ words: String, _ remedy: Remedy) -> RedcolError {
    RedcolError(answered: .server, words, details: [], remedy: remedy)
}

/// A write, and the server that executes it. Each row is ten bytes long.
private struct Run {
    var plan: WritePlan
    let usesTransactions: Bool
    let kinds: [EncodedRow]
    /// At these points the connection is lost.
    var losses: Set<Int> = []
    /// At this point the caller stops the write.
    var stopAt: Int?
    /// Which executions of rows, counted over all connections, the server refuses.
    var refuses: (Int) -> RedcolError? = { _ in nil }
    /// What the server answers to the first probe.
    var probeAnswer: RedcolError?

    /// Points that were passed.
    var points = 0
    var attempts = 0
    /// Rows in the order in which the server executed them.
    var executed: [Int] = []
    /// How many there were when the write was stopped; later ones must have been sent before.
    var encodedAtStop: Int?
    /// For each row whose outcome is known, in order: its number if it was written.
    var told: [Int?] = []
    private var sent = 0
    private var now: Int64 = 0
    /// Answers under way, in order: the row's number, or the refusal.
    private var answers: [RedcolError?] = []

    init(
        _ kinds: [EncodedRow], isRepeatable: Bool = false, usesTransactions: Bool = false
    ) {
        self.kinds = kinds
        self.usesTransactions = usesTransactions
        plan = WritePlan(
            isRepeatable: isRepeatable, kind: isRepeatable ? .hashes : .entries, silenceMs: 1_000)
    }

    /// A point at which the connection may be lost, and the write stopped.
    private mutating func point() throws(RedcolError) {
        defer { points += 1 }
        if points == stopAt {
            plan.stop()
            encodedAtStop = plan.rows.next
        }
        if losses.contains(points) { throw lost }
    }

    private mutating func tell(_ settlement: Settlement, _ row: Int?) -> Bool {
        guard case .counted(let given) = settlement else { return false }
        giveUp(given)
        told.append(row)
        return true
    }

    private mutating func giveUp(_ rows: RefusedRows?) {
        guard let rows else { return }
        told += [Int?](repeating: nil, count: rows.outcomes.count)
        plan.fail(rows.error)
    }

    private mutating func tellEmpty(_ count: Int) {
        told += [Int?](repeating: nil, count: count)
    }

    private mutating func send() throws(RedcolError) {
        answers = []
        var encoded: [Int] = []
        while plan.mayEncode, encoded.count < 4 {
            if plan.rows.next == kinds.count {
                plan.frameEnded()
                break
            }
            encoded.append(plan.rows.next)
            let kind = kinds[plan.rows.next]
            plan.encoded(kind, bytes: kind == .nothing ? 0 : 10)
        }
        for row in encoded where kinds[row] != .nothing {
            sent += 5
            try point()
            sent += 5
            let refusal = refuses(attempts)
            attempts += 1
            if refusal == nil { executed.append(row) }
            answers.append(refusal)
            try point()
        }
    }

    private mutating func receive() throws(RedcolError) {
        tellEmpty(plan.settleEmpty())
        for answer in answers {
            try point()
            guard let row = plan.rows.first else {
                Issue.record("an answer for no row")
                return
            }
            if let answer {
                if tell(plan.refused(row.number, answer), nil) { plan.fail(answer) }
            } else {
                let outcome = row.kind == .deletion ? RowOutcome.empty : .written
                _ = tell(plan.executed(row.number, outcome), row.number)
            }
            tellEmpty(plan.removeFirst())
        }
        plan.forgetAnswered()
    }

    mutating func run() {
        while !plan.state.isOver {
            guard points < 10_000 else {
                Issue.record("no end")
                return
            }
            do throws(RedcolError) {
                if case .connecting(let notBefore) = plan.state {
                    now = max(now, notBefore ?? 0)
                    try point()
                    if plan.state.isOver { return }
                    plan.connected(usesTransactions: usesTransactions, sent: sent)
                }
                while plan.state.probesLeft > 0 {
                    try point()
                    let isFirst = plan.state.probesLeft == WritePlan.probes
                    let answer = isFirst ? probeAnswer : nil
                    probeAnswer = isFirst ? nil : probeAnswer
                    try plan.probeAnswered(answer, sent: sent)
                }
                try send()
                try receive()
                giveUp(plan.giveUpRefused(isLost: false))
                _ = try plan.isOver()
            } catch {
                giveUp(plan.giveUpRefused(isLost: true))
                if case .giveUp = plan.connectionLost(error, sent: sent, now) {
                    plan.fail(error)
                    plan.connectionGone()
                }
            }
        }
    }

    /// What was told of each row is true.
    func check(_ what: String, _ location: SourceLocation = #_sourceLocation) {
        let (known, unknown) = (plan.rows.known, plan.rows.unknown(sent: sent))
        #expect(told.count == known, "\(what): \(told) of \(known)", sourceLocation: location)
        for (row, told) in told.enumerated() {
            let isTold = told.map { $0 == row && executed.contains(row) } ?? true
            #expect(isTold, "\(what): row \(row)", sourceLocation: location)
        }
        let others = Set(executed).subtracting(told.compactMap { $0 })
        let mayBeWritten = Set(known..<(known + unknown))
        #expect(
            plan.isRepeatable || others.isSubset(of: mayBeWritten),
            "\(what): \(others), not \(mayBeWritten)", sourceLocation: location)
        #expect(
            plan.rows.written + plan.rows.refused.count + plan.rows.empty == known,
            "\(what)", sourceLocation: location)
        if plan.isRepeatable { return }
        let ascending = zip(executed, executed.dropFirst()).allSatisfy { $0 < $1 }
        #expect(ascending, "\(what): \(executed)", sourceLocation: location)
    }

    /// All rows were written.
    func checkWhole(_ what: String, _ location: SourceLocation = #_sourceLocation) {
        check(what, location)
        guard case .finished(nil) = plan.state else {
            Issue.record("\(what): \(plan.state)", sourceLocation: location)
            return
        }
        #expect(plan.rows.known == kinds.count, "\(what)", sourceLocation: location)
        let withValues = kinds.indices.filter { kinds[$0] != .nothing }
        #expect(Set(executed) == Set(withValues), "\(what)", sourceLocation: location)
    }

    var message: String { plan.state.error?.message ?? "no error" }
}

private let entries: [EncodedRow] = [
    .nothing, .command, .command, .nothing, .nothing, .command, .command, .command, .nothing,
]
private let hashes: [EncodedRow] = [
    .transaction, .deletion, .transaction, .transaction, .transaction, .deletion, .transaction,
]

private func run(_ prepare: (inout Run) -> Void = { _ in }) -> Run {
    var run = Run(entries)
    prepare(&run)
    run.run()
    return run
}

private func runHashes(_ prepare: (inout Run) -> Void = { _ in }) -> Run {
    var run = Run(hashes, isRepeatable: true, usesTransactions: true)
    prepare(&run)
    run.run()
    return run
}

@Suite struct WritePlanTests {
    @Test func nothingGoesWrong() {
        let one = run()
        one.checkWhole("entries")
        #expect(one.executed == [1, 2, 5, 6, 7])
        #expect(one.plan.rows.written == 5 && one.plan.rows.empty == 4)
        let other = runHashes()
        other.checkWhole("hashes")
        #expect(other.plan.rows.written == 5 && other.plan.rows.empty == 2)
        var none = Run([])
        none.run()
        none.checkWhole("no rows")
    }

    /// Rows that may be written twice are, over one loss and over two.
    @Test func lossesAtEachPointOfHashes() {
        let points = runHashes().points
        #expect(points > 20)
        for one in 0..<points {
            for other in one...(2 * points) {
                let run = runHashes { $0.losses = [one, other] }
                run.checkWhole("\(one) and \(other)")
            }
        }
    }

    /// Entries are never sent twice: a loss before anything was sent is made good, a later one is
    /// told.
    @Test func lossesAtEachPointOfEntries() {
        let points = run().points
        var wholes = 0
        for one in 0..<points {
            let run = run { $0.losses = [one] }
            run.check("\(one)")
            if run.plan.state.error == nil {
                wholes += 1
                run.checkWhole("\(one)")
            } else {
                #expect(run.message.hasPrefix("lost; "))
                #expect(run.message.contains("it is unknown"))
                #expect(run.plan.rows.unknown(sent: 0) > 0)
            }
        }
        // While it connects, and when no row's last byte was sent since the last answer.
        #expect(wholes == 3)
    }

    @Test func stoppingAtEachPoint() {
        for isHashes in [false, true] {
            let points = isHashes ? runHashes().points : run().points
            for one in 0..<points {
                for loss in [nil] + (one..<points).map({ Optional($0) }) {
                    let prepare = { (run: inout Run) in
                        run.stopAt = one
                        run.losses = loss.map { [$0] } ?? []
                    }
                    let run = isHashes ? runHashes(prepare) : run(prepare)
                    let what = "stopped at \(one), lost at \(loss ?? -1)"
                    run.check(what)
                    #expect(run.plan.state.isStopped, "\(what)")
                    #expect(run.executed.allSatisfy { $0 < run.encodedAtStop ?? 0 }, "\(what)")
                    if loss == nil {
                        #expect(run.plan.state.error == nil, "\(what)")
                        #expect(run.plan.rows.unknown(sent: 0) == 0, "\(what)")
                        #expect(run.executed.count <= run.plan.rows.known, "\(what)")
                    }
                }
            }
        }
    }

    /// The server refuses the rows from one on, for so many times: it loads, or is a replica.
    @Test func refusalsForNowAtEachPoint() {
        let busy = answered("LOADING", .tryAgain)
        for first in 0..<6 {
            for count in 1...8 {
                let prepare = { (run: inout Run) in
                    run.refuses = { (first..<(first + count)).contains($0) ? busy : nil }
                }
                runHashes(prepare).checkWhole("\(count) from \(first) on")
                let run = run(prepare)
                run.check("\(count) from \(first) on")
                guard run.plan.state.error != nil else {
                    run.checkWhole("\(count) from \(first) on")
                    continue
                }
                // A later row was written, so that those before it are too late; or the last row
                // was refused for too long.
                #expect(run.message.hasPrefix("LOADING; "))
                let isLast = run.executed == [1, 2, 5, 6] && count > 6
                #expect(isLast ? run.plan.rows.refused.count == 0 : run.plan.rows.refused.count > 0)
            }
        }
    }

    /// A refusal while the write is being stopped is final, since nothing is sent again.
    @Test func refusalsForNowOfAStoppedWrite() {
        let points = run().points
        var refused = 0
        for one in 0..<points {
            let run = run {
                $0.refuses = { _ in answered("BUSY", .tryAgain) }
                $0.stopAt = one
            }
            run.check("\(one)")
            #expect(run.executed.isEmpty)
            refused += run.plan.rows.refused.count
        }
        #expect(refused > 0)
    }

    /// Rows that were refused for now, and a row after them that never will be written.
    @Test func aRefusalForNowAndOneForGood() {
        for isHashes in [false, true] {
            let prepare = { (run: inout Run) in
                run.refuses = {
                    $0 == 0 ? answered("BUSY", .tryAgain) : $0 == 1 ? answered("NO", .raise) : nil
                }
            }
            let run = isHashes ? runHashes(prepare) : run(prepare)
            run.check("")
            #expect(run.message.hasPrefix("BUSY; "), "the first row's error")
            #expect(run.plan.rows.refused.count == 2)
        }
    }

    @Test func refusalsForGoodAtEachRow() {
        for one in 0..<5 {
            let run = run { $0.refuses = { $0 == one ? answered("WRONGTYPE", .raise) : nil } }
            run.check("\(one)")
            #expect(run.plan.rows.refused.count == 1)
            #expect(run.message.hasPrefix("WRONGTYPE; \(run.plan.rows.written) entr"))
            #expect(run.plan.rows.unknown(sent: 0) == 0)
        }
    }

    @Test func probes() {
        let refused = runHashes { $0.probeAnswer = answered("NOPERM", .raise) }
        refused.check("refused")
        #expect(refused.message == "NOPERM; 0 keys were written")
        #expect(refused.attempts == 0, "nothing is sent to a server that refuses transactions")
        let busy = runHashes { $0.probeAnswer = answered("LOADING", .tryAgain) }
        busy.checkWhole("refused for now")
        // Stopped with the probes under way, the first of which is then refused.
        let stopped = runHashes {
            $0.probeAnswer = answered("LOADING", .tryAgain)
            $0.stopAt = 1
        }
        stopped.check("stopped")
        #expect(stopped.message == "LOADING; 0 keys were written")
    }

    @Test func aServerThatNeverAnswers() {
        for first in 0..<12 {
            let run = runHashes { $0.losses = Set(first...500) }
            run.check("from \(first) on")
            #expect(run.message.hasPrefix("lost; "))
            #expect(run.points < 100, "it gives up")
            let executed = Set(run.executed)
            let told = Set(run.told.compactMap { $0 })
            let (known, unknown) = (run.plan.rows.known, run.plan.rows.unknown(sent: 0))
            #expect(executed.subtracting(told).isSubset(of: Set(known..<(known + unknown))))
        }
    }

    /// A connection that is lost for a reason that another one will not mend.
    @Test func faultsThatAreRaised() {
        var plan = WritePlan(isRepeatable: true, kind: .hashes, silenceMs: 1_000)
        plan.connected(usesTransactions: false, sent: 0)
        plan.encoded(.command, bytes: 10)
        let fault = RedcolError(.protocolViolation, "nonsense")
        guard case .giveUp(nil) = plan.connectionLost(fault, sent: 10, 0) else {
            Issue.record("tried again")
            return
        }
        plan.fail(fault)
        plan.connectionGone()
        #expect(
            plan.state.error?.message == "nonsense; 0 keys were written, and of 1 more, from row 0 "
                + "on, it is unknown: they were sent, and no answer came")
    }

    /// What is known stays so after the caller has closed the connection.
    @Test func closing() {
        var plan = WritePlan(isRepeatable: false, kind: .entries, silenceMs: 1_000)
        plan.connected(usesTransactions: false, sent: 100)
        for _ in 0..<3 { plan.encoded(.command, bytes: 10) }
        _ = plan.executed(0, .written)
        _ = plan.removeFirst()
        #expect(!plan.isIdle)
        plan.close()
        #expect(plan.rows.known == 1)
        #expect(plan.rows.unknown(sent: 129) == 1, "the last byte of the third row was not sent")
        #expect(plan.rows.unknown(sent: 130) == 2)
        #expect(plan.told == "; 1 entry was written")
    }
}
