// SPDX-License-Identifier: Apache-2.0
// Moving entries to the dead letters: each is copied there and acknowledged, and only if it is
// still pending as it was when that was decided. In one slot both happen, or neither. Pure: it
// knows no socket.

import RedcolBase
import RedisConnection

/// An entry that becomes a dead letter, and why.
struct DeadLetter: Equatable {
    /// A value that does not fit its column, or nil: the entry is too large, and no field is kept.
    struct Refusal: Equatable {
        var field: [UInt8]?
        var reason: [UInt8]
    }

    var row: RowID
    /// Whose pending entry it must still be.
    var consumer: [UInt8]
    /// How often the server must still say that it was delivered; nil: any number.
    var deliveries: Int64?
    /// Deliveries that the server counts, but that nobody has had.
    var undelivered: Int64 = 0
    var refusal: Refusal?

    var keepsFields: Bool { refusal.map { $0.field != nil } ?? true }

    /// Whether the entry is still pending as it was when it was to become a dead letter.
    func isPending(_ line: PendingLine) -> Bool {
        line.id == row.id && line.consumer == consumer
            && (deliveries == nil || deliveries == line.deliveries)
    }
}

/// Moves entries to the dead letters, one after the other. `next` returns the commands to send, and
/// `take` takes their answers in order; when all are in, `next` says how it continues.
///
/// A script does it in one step. Where scripts are not allowed, or one fails, it is a transaction:
/// WATCH and EXEC see to it that nobody else writes a dead letter meanwhile. They do not see that
/// an entry is acknowledged, which is no change of the key for them: then the letter is taken out
/// again.
///
/// Neither can be done where the dead letters are in another slot of a cluster: see
/// `DistantLetters`.
struct DeadLetterTransaction {
    enum Outcome: Equatable {
        /// It is a dead letter now.
        case kept
        /// It had been deleted from the stream: there was nothing to keep.
        case deleted
        /// It is no longer pending as it was: acknowledged, delivered again, or moved by others.
        case moved
    }

    enum Step: Equatable {
        /// More answers are to come.
        case more
        case ended(DeadLetter, Outcome)
        /// The server has refused to continue, with this error.
        case failed([UInt8])
        case malformed(String)
    }

    /// Scripts under way at once: other clients wait for one of them at a time.
    static let scriptsUnderWay = 32

    /// Whether the server runs scripts for this user, on this connection. One that has worked may
    /// fail for one entry alone, which has more fields than a script can pass on.
    private enum Scripts { case untried, work, fail }

    private enum State {
        case idle
        case evaluating(left: Int)
        /// WATCH, XPENDING, XRANGE and XLEN: which answers are in, and what they have said.
        case looking(answers: Int, pending: PendingLine?, fields: [[UInt8]]?)
        /// MULTI, XADD, XACK, EXEC.
        case keeping(answers: Int, refused: [UInt8]?)
        /// Commands that tidy up; so many of their answers are to come.
        case leaving(left: Int, Outcome)
    }

    private let member: GroupMember
    private let deadLetter: [UInt8]
    /// Whether the dead letters are in another slot than the streams.
    var isElsewhere = false
    private var distant: DistantLetters
    private var scripts = Scripts.untried
    private var state = State.idle
    /// Those that wait, the first of them perhaps under way.
    private var letters: [DeadLetter] = []
    /// Those whose script has failed.
    private var withoutScript: [DeadLetter] = []

    init(_ member: GroupMember, to deadLetter: [UInt8]) {
        self.member = member
        self.deadLetter = deadLetter
        distant = DistantLetters(member, to: deadLetter)
    }

    private var all: [DeadLetter] { letters + withoutScript + distant.letters }

    /// The entries that wait to be moved.
    var rows: [RowID] { all.map { $0.row } }

    /// Those of them that nobody was given, since they have a value that does not fit.
    var refusedRows: [RowID] { all.filter { $0.refusal != nil }.map { $0.row } }

    mutating func add(_ letter: DeadLetter) { letters.append(letter) }

    /// The connection is gone. What was not moved is still pending, and found again.
    mutating func connectionLost() {
        let before = self
        self = DeadLetterTransaction(member, to: deadLetter)
        isElsewhere = before.isElsewhere
        distant = before.distant
        distant.connectionLost()
    }

    // MARK: Asking

    /// What to send now; nothing while answers are to come, or when all is done.
    mutating func next() -> [Command] {
        guard case .idle = state, distant.isIdle else { return [] }
        if isElsewhere {
            letters = distant.takeAgain() + letters
            return letters.isEmpty ? [] : distant.begin(&letters)
        }
        if let letter = withoutScript.first { return look(letter) }
        guard let letter = letters.first else { return [] }
        guard scripts != .fail else {
            withoutScript.append(letters.removeFirst())
            return look(letter)
        }
        let some = letters.prefix(DeadLetterTransaction.scriptsUnderWay)
        state = .evaluating(left: some.count)
        return some.map(script)
    }

    /// Whether what was returned last to be sent is for the server that has the dead letters, and
    /// not for the one that has the streams.
    var sendsElsewhere: Bool { distant.sendsElsewhere }

    private func stream(_ letter: DeadLetter) -> [UInt8] { member.streams[Int(letter.row.stream)] }

    private func script(_ letter: DeadLetter) -> Command {
        var command = Command("EVAL", DeadLetterTransaction.scriptText, "2")
        command.add(stream(letter))
        command.add(deadLetter)
        command.add(member.group)
        command.add(letter.row.id)
        command.add(letter.consumer)
        command.add(letter.deliveries.map { String($0) } ?? "")
        command.add(String(letter.undelivered))
        if let refusal = letter.refusal {
            command.add(refusal.field ?? [])
            command.add(refusal.reason)
            if !letter.keepsFields { command.add("without fields") }
        }
        return command
    }

    private mutating func look(_ letter: DeadLetter) -> [Command] {
        state = .looking(answers: 0, pending: nil, fields: nil)
        var watch = Command("WATCH")
        watch.add(deadLetter)
        // A transaction does not undo XACK when XADD fails, because the key holds another type.
        var length = Command("XLEN")
        length.add(deadLetter)
        // An entry that is too large is not asked for.
        let entry =
            letter.keepsFields ? member.entry(Int(letter.row.stream), letter.row.id) : length
        return [watch, member.pendingLine(letter), entry, length]
    }

    private func acknowledge(_ letter: DeadLetter) -> Command { member.acknowledge([letter.row]) }

    // MARK: Answers

    /// What the next answer means. After `ended` and `more`, `next` may have something to send.
    mutating func take(_ reply: Reply) -> (Step, send: [Command]) {
        if !distant.isIdle { return distant.take(reply) }
        switch state {
        case .idle: return (.malformed("an answer that was not awaited"), [])
        case .evaluating(let left): return (evaluated(reply, left), [])
        case .looking(let answers, let pending, let fields):
            return looked(reply, answers, pending, fields)
        case .keeping(let answers, let refused): return kept(reply, answers, refused)
        case .leaving(let left, let outcome):
            if case .error(let text) = reply, left > 1 || outcome == .deleted {
                return (.failed(text), [])
            }
            if left > 1 {
                state = .leaving(left: left - 1, outcome)
                return (.more, [])
            }
            return (ended(outcome), [])
        }
    }

    private mutating func evaluated(_ reply: Reply, _ left: Int) -> Step {
        guard !letters.isEmpty else { return .malformed("an answer to no script") }
        let letter = letters.removeFirst()
        state = left > 1 ? .evaluating(left: left - 1) : .idle
        switch reply {
        case .integer(let number):
            scripts = .work
            switch number.within(-1...1) {
            case 1: return .ended(letter, .kept)
            case 0: return .ended(letter, .moved)
            case -1: return .ended(letter, .deleted)
            default: return .malformed("a strange answer to EVAL")
            }
        case .error:
            if scripts == .untried { scripts = .fail }
            withoutScript.append(letter)
            return .more
        default: return .malformed("a strange answer to EVAL")
        }
    }

    private mutating func looked(
        _ reply: Reply, _ answers: Int, _ pending: PendingLine?, _ fields: [[UInt8]]?
    ) -> (Step, send: [Command]) {
        if case .error(let text) = reply { return (.failed(text), []) }
        guard let letter = withoutScript.first else { return (.malformed("no dead letter"), []) }
        var (pending, fields) = (pending, fields)
        switch answers {
        case 1:
            guard case .array(let lines) = reply else {
                return (.malformed("a strange XPENDING"), [])
            }
            pending = lines.first.flatMap { PendingLine($0) }
        case 2: fields = reply.firstEntry?.fields
        default: break
        }
        guard answers == 3 else {
            state = .looking(answers: answers + 1, pending: pending, fields: fields)
            return (.more, [])
        }
        guard let pending, letter.isPending(pending) else {
            return leave(.moved, [Command("UNWATCH")])
        }
        guard let fields = letter.keepsFields ? fields : [] else {
            return leave(.deleted, [Command("UNWATCH"), acknowledge(letter)])
        }
        let add = member.addDeadLetter(
            letter, deliveries: pending.deliveries, fields: fields, in: deadLetter)
        state = .keeping(answers: 0, refused: nil)
        return (.more, [Command("MULTI"), add, acknowledge(letter), Command("EXEC")])
    }

    private mutating func kept(
        _ reply: Reply, _ answers: Int, _ refused: [UInt8]?
    ) -> (Step, send: [Command]) {
        guard answers == 3 else {
            var refused = refused
            if case .error(let text) = reply, refused == nil { refused = text }
            state = .keeping(answers: answers + 1, refused: refused)
            return (.more, [])
        }
        switch reply {
        case .error(let text): return (.failed(refused ?? text), [])
        case .null:
            // Somebody has written to the dead letters meanwhile, perhaps this very entry.
            state = .idle
            return (.more, [])
        case .array(let results) where results.count == 2:
            for case .error(let text) in results { return (.failed(text), []) }
            guard case .bulk(let id) = results[0], let acknowledged = results[1].count(most: 1)
            else {
                return (.malformed("a strange answer to EXEC"), [])
            }
            if acknowledged == 1 { return (ended(.kept), []) }
            return leave(.moved, [.remove(id, from: deadLetter)])
        default: return (.malformed("a strange answer to EXEC"), [])
        }
    }

    private mutating func leave(
        _ outcome: Outcome, _ commands: [Command]
    ) -> (Step, send: [Command]) {
        state = .leaving(left: commands.count, outcome)
        return (.more, commands)
    }

    private mutating func ended(_ outcome: Outcome) -> Step {
        state = .idle
        guard !withoutScript.isEmpty else { return .malformed("no dead letter") }
        return .ended(withoutScript.removeFirst(), outcome)
    }

    // MARK: What is kept

    /// KEYS: the stream, the dead letters. ARGV: group, id, consumer, count or "", undelivered
    /// ones, and perhaps field and reason, and then whether no field is kept. The same as
    /// `GroupMember.addDeadLetter` does.
    static let scriptText = """
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)[1]
        if not pending or pending[2] ~= ARGV[3] then return 0 end
        if ARGV[4] ~= '' and pending[4] ~= tonumber(ARGV[4]) then return 0 end
        local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
        if not entry then
          redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
          return -1
        end
        local count = string.format('%.0f', math.max(0, pending[4] - tonumber(ARGV[5])))
        local added = {'dead_id', ARGV[2], 'dead_stream', KEYS[1], 'dead_group', ARGV[1],
          'dead_consumer', ARGV[3], 'dead_deliveries', count}
        if ARGV[6] then
          for i, text in ipairs({'dead_field', ARGV[6], 'dead_reason', ARGV[7]}) do
            if i > 2 or not ARGV[8] then added[#added + 1] = text end
          end
        end
        local fields, own, ours = ARGV[8] and {} or entry[2], {}, {}
        for i = 1, #fields, 2 do own[fields[i]] = true end
        for i = 1, #added, 2 do ours[added[i]] = true end
        local add = {KEYS[2], '*'}
        for i = 1, #fields, 2 do
          local name, number = fields[i], 1
          while ours[name] or (name ~= fields[i] and own[name]) do
            name = fields[i] .. '_field' .. (number > 1 and number or '')
            number = number + 1
          end
          add[#add + 1] = name
          add[#add + 1] = fields[i + 1]
        end
        for _, text in ipairs(added) do add[#add + 1] = text end
        redis.call('XADD', unpack(add))
        redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
        return 1
        """
}

extension DeadLetter {
    func log(_ member: GroupMember, in deadLetter: [UInt8]) {
        let stream = escaped(member.streams[Int(row.stream)], limit: 200)
        Log.write(.warning, .deadLetter, about: stream) {
            "entry \(row.id.text) of stream \"\(stream)\", group "
                + "\"\(escaped(member.group, limit: 200))\" is a dead letter now, in "
                + "\"\(escaped(deadLetter, limit: 200))\""
        }
    }
}

extension Command {
    /// Takes a dead letter out again.
    static func remove(_ id: [UInt8], from deadLetter: [UInt8]) -> Command {
        var command = Command("XDEL")
        command.add(deadLetter)
        command.add(id)
        return command
    }
}

extension GroupMember {
    /// XPENDING of the entry that becomes a dead letter.
    func pendingLine(_ letter: DeadLetter) -> Command {
        var command = Command("XPENDING")
        command.add(streams[Int(letter.row.stream)])
        command.add(group)
        command.add(letter.row.id)
        command.add(letter.row.id)
        command.add("1")
        return command
    }

    /// XADD of a dead letter: the entry's fields, and what is known of it. A field of its own that
    /// has one of those names is kept under another: `dead_id_field`, `dead_id_field2`, …
    func addDeadLetter(
        _ letter: DeadLetter, deliveries: Int64, fields: [[UInt8]], in deadLetter: [UInt8]
    ) -> Command {
        let (had, overflow) = deliveries.subtractingReportingOverflow(letter.undelivered)
        var added: [(name: String, value: [UInt8])] = [
            ("dead_id", Array(letter.row.id.text.utf8)),
            ("dead_stream", streams[Int(letter.row.stream)]),
            ("dead_group", group),
            ("dead_consumer", letter.consumer),
            ("dead_deliveries", Array(String(overflow ? 0 : max(0, had)).utf8)),
        ]
        if let refusal = letter.refusal {
            if let field = refusal.field { added.append(("dead_field", field)) }
            added.append(("dead_reason", refusal.reason))
        }
        let ours = Set(added.map { Array($0.name.utf8) })
        let names = stride(from: 0, to: fields.count, by: 2).map { fields[$0] }
        let own = Set(names)
        var add = Command("XADD")
        add.add(deadLetter)
        add.add("*")
        for (index, field) in names.enumerated() where 2 * index + 1 < fields.count {
            var name = field
            var number = 1
            while ours.contains(name) || name != field && own.contains(name) {
                name = field + Array((number > 1 ? "_field\(number)" : "_field").utf8)
                number += 1
            }
            add.add(name)
            add.add(fields[2 * index + 1])
        }
        for (name, value) in added {
            add.add(name)
            add.add(value)
        }
        return add
    }
}
