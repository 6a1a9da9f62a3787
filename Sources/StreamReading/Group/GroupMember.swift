// SPDX-License-Identifier: Apache-2.0
// A member of a consumer group: its commands.
// https://redis.io/docs/latest/commands/xreadgroup/ and the commands beside it

import RedcolBase
import RedisConnection

/// A member of a group, as its commands name it.
struct GroupMember {
    let streams: [[UInt8]]
    let group: [UInt8]
    let consumer: [UInt8]

    /// The command for what the plan asks.
    func command(for request: GroupRequest) -> Command {
        switch request {
        case .firstEntry(let stream):
            var command = Command("XRANGE")
            command.add(streams[stream])
            for word in ["-", "+", "COUNT", "1"] { command.add(word) }
            return command
        case .entry(let stream, let id): return entry(stream, id)
        case .create(let stream, let id): return create(stream, at: id)
        case .deliveries(let stream, let after, let count, let idleMs):
            return pending(stream, after: after, count: count, idleMs: idleMs)
        case .look(let stream, let after, let count):
            return pending(stream, after: after, count: count, idleMs: nil)
        case .own(let stream, let after, let count):
            return read([stream], after: after, count: count, blockMs: nil)
        case .claim(let stream, let first, _, let count, let idleMs):
            return claim(stream, first: first, idleMs: idleMs, count: count)
        case .new(let streams, let count, let blockMs):
            return read(streams, after: nil, count: count, blockMs: blockMs)
        }
    }

    /// The group and its streams, for people.
    var shown: String {
        let names = streams.prefix(3).map { "\"\(escaped($0, limit: 200))\"" }
        let more = streams.count > 3 ? ", …" : ""
        return "group \"\(escaped(group, limit: 200))\" of stream " + names.joined(separator: ", ")
            + more
    }

    func create(_ stream: Int, at id: EntryID) -> Command {
        var command = Command("XGROUP", "CREATE")
        command.add(streams[stream])
        command.add(group)
        command.add(id)
        command.add("MKSTREAM")
        return command
    }

    /// XINFO GROUPS and XINFO STREAM: where the group is, and how far the stream reaches.
    func gapLook(_ stream: Int) -> [Command] {
        ["GROUPS", "STREAM"].map {
            var command = Command("XINFO", $0)
            command.add(streams[stream])
            return command
        }
    }

    func entry(_ stream: Int, _ id: EntryID) -> Command {
        var command = Command("XRANGE")
        command.add(streams[stream])
        command.add(id)
        command.add(id)
        return command
    }

    /// These are entries of one stream.
    func acknowledge(_ rows: [RowID], then: AfterAcknowledging = .keep) -> Command {
        .acknowledge(
            stream: rows.first.map { streams[Int($0.stream)] } ?? [], group: group,
            count: rows.count, then: then
        ) { rows[$0].id }
    }

    /// `after` nil: new entries.
    private func read(_ wanted: [Int], after: EntryID?, count: Int, blockMs: Int64?) -> Command {
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

    private func claim(_ stream: Int, first: EntryID, idleMs: Int64, count: Int) -> Command {
        var command = Command("XAUTOCLAIM")
        command.add(streams[stream])
        command.add(group)
        command.add(consumer)
        command.add(String(idleMs))
        command.add(first)
        command.add("COUNT")
        command.add(String(count))
        return command
    }

    /// XPENDING after an id; of this consumer, or of all entries that are idle for `idleMs`.
    private func pending(_ stream: Int, after: EntryID, count: Int, idleMs: Int64?) -> Command {
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
}
