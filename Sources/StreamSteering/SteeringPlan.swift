// SPDX-License-Identifier: Apache-2.0
// What is sent for an order, step by step, and what the answers say. Pure: it knows no socket.

import RedcolBase
import RedisConnection

/// The commands of one order. `next` returns what to send now, and `take` takes the answers in
/// their order. After a lost connection, what has no answer is sent again.
struct SteeringPlan {
    enum Outcome: Equatable {
        case more, done
        /// The server has answered this error.
        case refused([UInt8])
        case noStream
        /// The consumer has so many pending entries.
        case pending(Int64)
        case malformed
    }

    private enum Step: Equatable {
        case first
        /// After all that the server trims cheaply, exactly what is left.
        case trimmingExactly
        /// The position of a group, and how many entries come before it, if that is known.
        case setting(EntryID, entriesRead: Int64?)
    }

    /// Commands with ids that are under way at once.
    static let underWayMax = 16

    let order: SteeringOrder
    /// How many of what the order is about; 1 for a group that was created or deleted.
    private(set) var count: Int64 = 0
    private var step = Step.first
    /// Ids, or else commands, that were sent in this step; and ids that were answered.
    private var sent = 0
    private var answered = 0

    init(_ order: SteeringOrder) { self.order = order }

    /// Where a group was set to.
    var position: EntryID? {
        if case .setting(let id, _) = step { return id }
        return nil
    }

    private var ids: [EntryID]? {
        switch order.action {
        case .deleteEntries(let ids), .release(let ids, _): return ids
        default: return nil
        }
    }

    /// Other clients wait for each command.
    private var idsPerCommand: Int {
        if case .release = order.action { return 100 }
        return 1_000
    }

    /// Whether there is nothing to do.
    var isEmpty: Bool { ids?.isEmpty ?? false }

    /// How long an answer may be: XINFO STREAM shows the first and the last entry, too.
    var answerBytesMax: Int {
        if case .seekGroup = order.action { return 2 * ProtocolLimits.entryBytes }
        return ProtocolLimits.replyBytes
    }

    mutating func connectionLost() { sent = answered }

    // MARK: Asking

    mutating func next() -> [Command] {
        guard let ids else {
            guard sent == 0 else { return [] }
            sent = 1
            return [command()]
        }
        var commands: [Command] = []
        let most = idsPerCommand
        while sent < ids.count, sent - answered < most * SteeringPlan.underWayMax {
            let end = min(sent + most, ids.count)
            var command = command()
            command.add(hyphenated: end - sent) {
                let id = ids[sent + $0]
                return (id.milliseconds, id.sequence)
            }
            commands.append(command)
            sent = end
        }
        return commands
    }

    private func command() -> Command {
        switch order.action {
        case .createGroup(let start, let createsStream):
            var command = group("CREATE")
            if let start { command.add(start) } else { command.add("$") }
            if createsStream { command.add("MKSTREAM") }
            return command
        case .deleteGroup: return group("DESTROY")
        case .seekGroup:
            guard case .setting(let id, let entriesRead) = step else {
                var command = Command("XINFO", "STREAM")
                command.add(order.stream)
                return command
            }
            var command = group("SETID")
            command.add(id)
            if let entriesRead {
                command.add("ENTRIESREAD")
                command.add(String(entriesRead))
            }
            return command
        case .deleteConsumer(let consumer, let isForced):
            var command =
                isForced ? group("DELCONSUMER") : script(SteeringScripts.deleteConsumer)
            command.add(consumer)
            return command
        case .trim(let limit, let isApproximate):
            var command = Command("XTRIM")
            command.add(order.stream)
            let isRough = isApproximate || step == .first
            switch limit {
            case .entries(let count):
                for word in ["MAXLEN", isRough ? "~" : "=", String(count)] { command.add(word) }
            case .from(let id):
                for word in ["MINID", isRough ? "~" : "="] { command.add(word) }
                command.add(id)
            }
            return command
        case .deleteEntries:
            var command = Command("XDEL")
            command.add(order.stream)
            return command
        case .release(_, let consumer):
            var command = script(SteeringScripts.release)
            command.add(consumer)
            return command
        }
    }

    private func group(_ subcommand: String) -> Command {
        var command = Command("XGROUP", subcommand)
        command.add(order.stream)
        command.add(order.group)
        return command
    }

    private func script(_ text: String) -> Command {
        var command = Command("EVAL", text, "1")
        command.add(order.stream)
        command.add(order.group)
        return command
    }

    // MARK: Being answered

    mutating func take(_ reply: Reply) -> Outcome {
        if case .error(let text) = reply { return refusal(text) }
        switch order.action {
        case .createGroup: return finished(by: reply, count: 1)
        case .seekGroup:
            if position != nil { return finished(by: reply, count: 0) }
            guard let found = StreamState(reply) else { return .malformed }
            guard case .seekGroup(let target) = order.action else { return .malformed }
            let id = target ?? found.last
            step = .setting(id, entriesRead: found.entriesRead(upTo: id))
            sent = 0
            return .more
        case .deleteGroup: return add(reply, most: 1) == nil ? .malformed : .done
        case .deleteConsumer(_, isForced: false):
            if case .integer(let number) = reply, let below = number.within(-Int64.max ... -1) {
                return .pending(-below)
            }
            return add(reply, most: .max) == nil ? .malformed : .done
        case .deleteConsumer: return add(reply, most: .max) == nil ? .malformed : .done
        case .trim(_, let isApproximate):
            guard let trimmed = add(reply, most: .max) else { return .malformed }
            if isApproximate ? trimmed == 0 : step == .trimmingExactly { return .done }
            // The server trims so many entries at a time, and keeps others waiting no longer.
            if trimmed == 0 { step = .trimmingExactly }
            sent = 0
            return .more
        case .deleteEntries(let ids), .release(let ids, _):
            let asked = min(idsPerCommand, sent - answered)
            guard asked > 0, add(reply, most: asked) != nil else { return .malformed }
            answered += asked
            return answered == ids.count ? .done : .more
        }
    }

    private mutating func finished(by reply: Reply, count: Int64) -> Outcome {
        guard case .status = reply else { return .malformed }
        self.count = count
        return .done
    }

    /// Adds the number that was answered to `count`; nil if it cannot be one.
    private mutating func add(_ reply: Reply, most: Int) -> Int? {
        guard let more = reply.count(most: most) else { return nil }
        let (sum, overflow) = count.addingReportingOverflow(Int64(more))
        count = overflow ? .max : sum
        return more
    }

    private func refusal(_ text: [UInt8]) -> Outcome {
        switch order.action {
        // There is one; after a lost connection it may be the one that was made before.
        case .createGroup where starts(text, "BUSYGROUP"): return .done
        case .deleteGroup where isOfMissingStream(text): return .done
        default: return isOfMissingStream(text) ? .noStream : .refused(text)
        }
    }

    /// XGROUP and XINFO have no word of their own for a key that is missing.
    private func isOfMissingStream(_ text: [UInt8]) -> Bool {
        starts(text, "ERR The XGROUP subcommand requires the key to exist")
            || starts(text, "ERR no such key")
    }

    private func starts(_ text: [UInt8], _ words: StaticString) -> Bool {
        words.withUTF8Buffer { text.starts(with: $0) }
    }
}

/// How far a stream has come: what XINFO STREAM answers.
private struct StreamState {
    let last: EntryID
    private let reply: Reply

    init?(_ reply: Reply) {
        guard let last = StreamState.id("last-generated-id", in: reply) else { return nil }
        self.last = last
        self.reply = reply
    }

    private static func id(_ name: StaticString, in reply: Reply) -> EntryID? {
        reply.value(of: name).flatMap { EntryID($0, sequenceIfMissing: nil) }
    }

    private func number(_ name: StaticString) -> Int64? {
        guard case .integer(let number)? = reply.part(named: name) else { return nil }
        return number.within(0...Int64.max)
    }

    /// How many entries were added up to this one, where the server can tell (Redis 7 and later):
    /// at the end of the stream, and before its first entry. In between it is not known.
    func entriesRead(upTo id: EntryID) -> Int64? {
        guard let added = number("entries-added"), let length = number("length"), length <= added,
            let first = StreamState.id("recorded-first-entry-id", in: reply),
            let deleted = StreamState.id("max-deleted-entry-id", in: reply)
        else { return nil }
        if id >= last || length == 0 { return added }
        // An entry that was deleted in the middle counts as added, and will not be read.
        return id < first && deleted < first ? added - length : nil
    }
}
