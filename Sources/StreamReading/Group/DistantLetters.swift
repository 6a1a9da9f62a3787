// SPDX-License-Identifier: Apache-2.0
// Moving entries to dead letters that are in another slot of a cluster than their stream: several
// at once, since each takes three round trips. Pure: it knows no socket.

import RedcolBase
import RedisConnection

/// Moves some entries at a time, in stages: it looks at all of them, then writes their letters, and
/// only then acknowledges them. If an answer in between is lost, the entry comes again, and there
/// can be a second letter.
struct DistantLetters {
    typealias Step = DeadLetterTransaction.Step

    /// Entries under way at once, and about how many bytes of them.
    static let underWayMax = 32
    static let bytesMax = 256 * 1024

    private enum Stage { case idle, looking, writing, acknowledging, removing }

    private struct Move {
        let letter: DeadLetter
        var pending: PendingLine?
        /// Nil: it has been deleted.
        var fields: [[UInt8]]? = []
        /// The letter's, once it is written.
        var id: [UInt8]?
    }

    private let member: GroupMember
    private let deadLetter: [UInt8]
    private var stage = Stage.idle
    /// Those whose answers of this stage are to come, in order, and those that it is done with.
    private var awaited: [Move] = []
    private var done: [Move] = []
    /// Whether the answer about the first one's pending line is in.
    private var hasPending = false
    private var bytes = 0
    /// Those that were looked at together with too many bytes.
    private var again: [DeadLetter] = []
    /// The first letter that could not be written. The answers about the others are taken before
    /// that is said.
    private var failure: [UInt8]?
    /// How many entries may be under way: grows from one after each loss of a connection, which can
    /// make a second letter of each.
    private var depth = 1
    /// Letters whose entries are not known to be acknowledged: they are not written again when the
    /// entries come again on another connection.
    private var written: [(row: RowID, fields: [[UInt8]], id: [UInt8])] = []

    init(_ member: GroupMember, to deadLetter: [UInt8]) {
        self.member = member
        self.deadLetter = deadLetter
    }

    var isIdle: Bool { stage == .idle }

    var letters: [DeadLetter] { (awaited + done).map { $0.letter } + again }

    /// Whether what was returned last to be sent is for the server that has the dead letters.
    var sendsElsewhere: Bool { stage == .writing || stage == .removing }

    /// What is under way is still pending, and found again.
    mutating func connectionLost() {
        let written = written
        self = DistantLetters(member, to: deadLetter)
        self.written = written
    }

    // MARK: Asking

    /// Takes some of these letters in hand; what to send.
    mutating func begin(_ letters: inout [DeadLetter]) -> [Command] {
        let some = letters.prefix(depth)
        letters.removeFirst(some.count)
        awaited = some.map { Move(letter: $0) }
        stage = .looking
        bytes = 0
        return awaited.flatMap { look($0.letter) }
    }

    private func look(_ letter: DeadLetter) -> [Command] {
        let pending = member.pendingLine(letter)
        // An entry that is too large is not asked for.
        if !letter.keepsFields { return [pending] }
        return [pending, member.entry(Int(letter.row.stream), letter.row.id)]
    }

    /// What the next stage that has something to do sends.
    private mutating func goOn() -> [Command] {
        switch stage {
        case .looking:
            stage = .writing
            awaited = done.filter { $0.id == nil && $0.fields != nil }
            done.removeAll { $0.id == nil && $0.fields != nil }
            if !awaited.isEmpty { return awaited.map(write) }
            fallthrough
        case .writing:
            stage = .acknowledging
            (awaited, done) = (done, [])
            if !awaited.isEmpty { return awaited.map { member.acknowledge([$0.letter.row]) } }
            fallthrough
        case .acknowledging:
            stage = .removing
            (awaited, done) = (done, [])
            if !awaited.isEmpty { return awaited.map { .remove($0.id ?? [], from: deadLetter) } }
            fallthrough
        case .removing, .idle:
            stage = .idle
            depth = again.isEmpty ? min(2 * depth, DistantLetters.underWayMax) : 1
            return []
        }
    }

    private func write(_ move: Move) -> Command {
        member.addDeadLetter(
            move.letter, deliveries: move.pending?.deliveries ?? 0, fields: move.fields ?? [],
            in: deadLetter)
    }

    /// Those that have to be looked at once more.
    mutating func takeAgain() -> [DeadLetter] {
        defer { again = [] }
        return again
    }

    // MARK: Answers

    mutating func take(_ reply: Reply) -> (Step, send: [Command]) {
        guard !awaited.isEmpty else { return (.malformed("an answer that was not awaited"), []) }
        let step: Step
        switch (stage, reply) {
        case (.looking, _): step = looked(reply)
        case (.removing, _):
            // The letter may not be taken out again, which is the last step.
            step = .ended(awaited.removeFirst().letter, .moved)
        case (.writing, .error(let text)):
            awaited.removeFirst()
            failure = failure ?? text
            step = .more
        case (_, .error(let text)): return (.failed(text), [])
        case (.writing, .bulk(let id)): step = wrote(id)
        case (.acknowledging, _):
            guard let count = reply.count(most: 1) else { fallthrough }
            step = acknowledged(count == 1)
        default: return (.malformed("a strange answer to XADD or XACK"), [])
        }
        switch step {
        case .failed, .malformed: return (step, [])
        default: break
        }
        guard awaited.isEmpty else { return (step, []) }
        if let failure { return (.failed(failure), []) }
        return (step, goOn())
    }

    private mutating func looked(_ reply: Reply) -> Step {
        if case .error(let text) = reply { return .failed(text) }
        let letter = awaited[0].letter
        if !hasPending {
            guard case .array(let lines) = reply else { return .malformed("a strange XPENDING") }
            awaited[0].pending = lines.first.flatMap { PendingLine($0) }
            hasPending = letter.keepsFields
            if hasPending { return .more }
        }
        hasPending = false
        var move = awaited.removeFirst()
        guard let pending = move.pending, letter.isPending(pending) else {
            return .ended(letter, .moved)
        }
        if letter.keepsFields { move.fields = reply.firstEntry?.fields }
        let size = move.fields?.reduce(0) { $0 + $1.count } ?? 0
        if bytes > 0, bytes + size > DistantLetters.bytesMax {
            again.append(letter)
            return .more
        }
        bytes += size
        move.id = written.first { $0.row == letter.row && $0.fields == move.fields }?.id
        done.append(move)
        return .more
    }

    private mutating func wrote(_ id: [UInt8]) -> Step {
        var move = awaited.removeFirst()
        move.id = id
        if written.count >= DistantLetters.underWayMax { written.removeFirst() }
        written.append((move.letter.row, move.fields ?? [], id))
        done.append(move)
        return .more
    }

    private mutating func acknowledged(_ wasPending: Bool) -> Step {
        let move = awaited.removeFirst()
        if move.fields == nil { return .ended(move.letter, .deleted) }
        written.removeAll { $0.row == move.letter.row }
        if wasPending { return .ended(move.letter, .kept) }
        done.append(move)
        return .more
    }
}
