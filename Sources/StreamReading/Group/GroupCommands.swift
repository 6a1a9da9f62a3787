// SPDX-License-Identifier: Apache-2.0
// The commands of a consumer group, and the answers that are no stream entries.
// https://redis.io/docs/latest/commands/xreadgroup/ and its neighbours

import RedcolBase
import RedisConnection

/// A member of a group, as its commands name it.
struct GroupMember {
    let streams: [[UInt8]]
    let group: [UInt8]
    let consumer: [UInt8]

    func lastID(_ stream: Int) -> Command {
        .lastEntry(of: streams[stream])
    }

    func firstID(_ stream: Int) -> Command {
        var command = Command("XRANGE")
        command.add(streams[stream])
        for word in ["-", "+", "COUNT", "1"] { command.add(word) }
        return command
    }

    func create(_ stream: Int, at id: EntryID) -> Command {
        var command = Command("XGROUP", "CREATE")
        command.add(streams[stream])
        command.add(group)
        command.add(id)
        command.add("MKSTREAM")
        return command
    }

    /// `after` nil: new entries.
    func read(_ wanted: [Int], after: EntryID?, count: Int, blockMs: Int64?) -> Command {
        var command = Command("XREADGROUP", "GROUP")
        command.add(group)
        command.add(consumer)
        command.add("COUNT")
        command.add(String(count))
        if let blockMs {
            command.add("BLOCK")
            command.add(String(blockMs))
        }
        command.add("STREAMS")
        for stream in wanted { command.add(streams[stream]) }
        for _ in wanted {
            if let after { command.add(after) } else { command.add(">") }
        }
        return command
    }

    func claim(_ stream: Int, cursor: EntryID, idleMs: Int64, count: Int) -> Command {
        var command = Command("XAUTOCLAIM")
        command.add(streams[stream])
        command.add(group)
        command.add(consumer)
        command.add(String(idleMs))
        command.add(cursor)
        command.add("COUNT")
        command.add(String(count))
        return command
    }

    /// XPENDING after an id; of this consumer, or of all entries that are idle for `idleMs`.
    func pending(_ stream: Int, after: EntryID, count: Int, idleMs: Int64?) -> Command {
        var command = Command("XPENDING")
        command.add(streams[stream])
        command.add(group)
        if let idleMs {
            command.add("IDLE")
            command.add(String(idleMs))
        }
        if after == .smallest { command.add("-") } else { command.add("(" + after.text) }
        command.add("+")
        command.add(String(count))
        if idleMs == nil { command.add(consumer) }
        return command
    }

    func acknowledge(_ rows: [RowID]) -> Command {
        var command = Command("XACK")
        if let first = rows.first { command.add(streams[Int(first.stream)]) }
        command.add(group)
        command.add(hyphenated: rows.count) { (rows[$0].id.milliseconds, rows[$0].id.sequence) }
        return command
    }

    func entry(_ stream: Int, _ id: EntryID) -> Command {
        var command = Command("XRANGE")
        command.add(streams[stream])
        command.add(id)
        command.add(id)
        return command
    }
}

/// One line of XPENDING.
struct PendingEntry {
    var id: EntryID
    var consumer: [UInt8]
    var deliveries: Int64

    /// Nil if the reply is no such line.
    init?(_ reply: Reply) {
        guard case .array(let parts) = reply, parts.count >= 4,
            case .bulk(let id) = parts[0], case .bulk(let consumer) = parts[1],
            case .integer(let idle) = parts[2], idle.within(0...Int64.max) != nil,
            case .integer(let number) = parts[3], let deliveries = number.within(0...Int64.max),
            let entryID = EntryID(id, sequenceIfMissing: nil)
        else { return nil }
        self.id = entryID
        self.consumer = consumer
        self.deliveries = deliveries
    }
}

extension Reply {
    /// The entry in the answer to XRANGE or XREVRANGE with one entry: its id, and its fields and
    /// values.
    var firstEntry: (id: EntryID, fields: [[UInt8]])? {
        guard case .array(let entries) = self, case .array(let entry)? = entries.first,
            entry.count == 2, case .bulk(let text) = entry[0], case .array(let parts) = entry[1],
            let id = EntryID(text, sequenceIfMissing: nil)
        else { return nil }
        var fields: [[UInt8]] = []
        for part in parts {
            if case .bulk(let bytes) = part { fields.append(bytes) }
        }
        return (id, fields)
    }

    /// How far the stream has come, in the answer to XINFO STREAM.
    var lastGeneratedID: EntryID? {
        guard case .array(let parts) = self else { return nil }
        for (name, value) in zip(parts, parts.dropFirst()) {
            guard case .bulk(let name) = name, name.elementsEqual("last-generated-id".utf8),
                case .bulk(let text) = value, let last = EntryID(text, sequenceIfMissing: nil)
            else { continue }
            return last
        }
        return nil
    }
}
