// SPDX-License-Identifier: Apache-2.0
// Acknowledging entries of a consumer group: any number of ids, in commands of a thousand, many
// of them under way at once.

import RedcolBase
import RedisConnection
import RedisTopology

/// One acknowledgement in progress.
public struct Acknowledgement {
    /// Entries of one stream.
    public typealias Part = (stream: [UInt8], ids: [EntryID])

    /// Ids that are sent and not answered.
    private static var idsUnderWayMax: Int { 64_000 }

    public let stream: [UInt8]
    private let group: [UInt8]
    public private(set) var ids: [EntryID] = []
    /// What is acknowledged with them, though the caller has not named it.
    public var others: [Part] = []
    public var then = AfterAcknowledging.keep
    /// How many of `others` come before the one that is in progress; -1: none is.
    private var other = -1
    /// Ids of the part in progress.
    private var sent = 0
    private var answered = 0
    public private(set) var acknowledged: Int64 = 0
    private var acknowledgedTold: Int64 = 0
    private var conversation = Conversation()

    /// `text`: ids separated by white space. Refused if one of them is not an id.
    public init(
        stream: [UInt8], group: [UInt8], ids text: UnsafeBufferPointer<UInt8>
    ) throws(RedcolError) {
        self.stream = stream
        self.group = group
        ids = try EntryID.list(text, undone: "acknowledged")
    }

    public init(stream: [UInt8], group: [UInt8], ids: [EntryID]) {
        self.stream = stream
        self.group = group
        self.ids = ids
    }

    /// All that is acknowledged.
    public var parts: [Part] { [(stream, ids)] + others }

    private var part: Part { other < 0 ? (stream, ids) : others[other] }

    /// Whether this asks for the same as `other`, however far each of them is.
    public func isSame(as other: Acknowledgement) -> Bool {
        stream == other.stream && group == other.group && ids == other.ids && then == other.then
    }

    /// How many entries were acknowledged since this was asked last.
    public mutating func takeAcknowledged() -> Int64 {
        defer { acknowledgedTold = acknowledged }
        return acknowledged - acknowledgedTold
    }

    /// Acknowledges on `connection`. After a signal it continues there when it is called again.
    public mutating func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        // Acknowledging twice does no harm: what was not answered is sent again.
        try connection.converse(
            &conversation,
            lost: {
                sent = answered
                hasAskedForGroup = false
            },
            { () throws(RedcolError) in try exchange(connection) })
    }

    /// True when everything has been answered.
    private mutating func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        while true {
            let count = part.ids.count
            while answered < count {
                let commands = takeCommands()
                for command in commands { connection.enqueue(command) }
                if !commands.isEmpty { try connection.flush() }
                guard let reply = try connection.nextReply() else { return false }
                if case .error(let text) = reply { throw error(text, connection) }
                guard take(reply) else { throw connection.wrongAcknowledgedCount }
            }
            if other + 1 >= others.count { break }
            (other, sent, answered) = (other + 1, 0, 0)
        }
        if acknowledged == 0, !ids.isEmpty { return try checkGroup(connection) }
        connection.expectNothing()
        return true
    }

    /// The commands that may be sent now.
    mutating func takeCommands() -> [Command] {
        var commands: [Command] = []
        let (stream, ids) = part
        while sent < ids.count, sent - answered < Acknowledgement.idsUnderWayMax {
            let some = ids[sent..<min(sent + then.idsMax, ids.count)]
            commands.append(
                .acknowledge(stream: stream, group: group, count: some.count, then: then) {
                    some[some.startIndex + $0]
                })
            sent = some.endIndex
        }
        return commands
    }

    /// Takes the answer to the oldest command that has none; false if it cannot be one.
    mutating func take(_ reply: Reply) -> Bool {
        let asked = min(then.idsMax, sent - answered)
        guard asked > 0, let count = reply.count(most: asked) else { return false }
        acknowledged += Int64(count)
        answered += asked
        return true
    }

    private func error(_ text: [UInt8], _ connection: Connection) -> RedcolError {
        RedcolError.server(
            text, endpoint: connection.endpoint,
            asked: "acknowledging entries of \"\(escaped(stream, limit: 200))\" in group "
                + "\"\(escaped(group, limit: 200))\"")
    }

    private var hasAskedForGroup = false

    /// Redis answers 0 for a group that does not exist, as it does for entries that are not
    /// pending; XPENDING tells them apart.
    private mutating func checkGroup(_ connection: Connection) throws(RedcolError) -> Bool {
        if !hasAskedForGroup {
            var command = Command("XPENDING")
            command.add(stream)
            command.add(group)
            connection.enqueue(command)
            try connection.flush()
            hasAskedForGroup = true
        }
        guard let reply = try connection.nextReply() else { return false }
        connection.expectNothing()
        if case .error(let text) = reply {
            let failure = error(text, connection)
            // No permission for XPENDING: skip the check.
            if failure.cause != .permission { throw failure }
        } else if case .array = reply {
        } else {
            throw connection.violation("something else in answer to XPENDING")
        }
        return true
    }
}
