// SPDX-License-Identifier: Apache-2.0
// How far a read is behind: the entries of a stream that are still to come. Asked on a connection
// of its own, so that the read may be waiting meanwhile.
// https://redis.io/docs/latest/commands/xinfo-groups/

import RedcolBase
import RedisConnection
import RedisTopology

/// The question how many entries of a stream a read, or the group that it is a member of, has not
/// had yet.
public struct LagQuestion {
    public let stream: [UInt8]
    /// Empty: the entries after `position` are those that are still to come.
    private let group: [UInt8]
    private let start: EntryID
    private var position: EntryID
    /// The number; nil if there is no such group.
    public private(set) var lag: Int64?

    private enum Step {
        /// XINFO GROUPS: what the server says of the group.
        case group
        /// XINFO STREAM: whether the place of the position in the stream says it.
        case stream
        /// XRANGE, page by page, to the entry that was the last.
        case counting(to: EntryID)
        case done
    }

    private var step: Step
    private var hasAsked = false
    /// What the server says of the group, and how many entries the stream has.
    private var told: Int64?
    private var length: Int64 = 0
    private var counted: Int64 = 0
    private var page = LastEntry(entriesMax: LagQuestion.pageRows)
    private var conversation = Conversation()

    /// Entries of a page. Other clients wait while the server collects them.
    private static var pageRows: Int { 500 }
    /// Entries that are counted at most where the server says a number, too.
    private static var countedMost: Int64 { 10_000 }

    init(stream: [UInt8], group: [UInt8], after position: EntryID) {
        self.stream = stream
        self.group = group
        start = position
        self.position = position
        step = group.isEmpty ? .stream : .group
    }

    /// Whether this asks for the same as `other`, however far each of them is.
    public func isSame(as other: LagQuestion) -> Bool {
        stream == other.stream && group == other.group && start == other.start
    }

    /// Asks on `connection`. After a signal it continues there when it is called again.
    public mutating func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        try connection.converse(
            about: stream, &conversation,
            lost: {
                hasAsked = false
                page.connectionLost()
            },
            { () throws(RedcolError) in try exchange(connection) })
    }

    private mutating func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        while true {
            if case .done = step { break }
            if !hasAsked {
                connection.enqueue(command)
                try connection.flush()
                hasAsked = true
            }
            guard try take(from: connection) else { return false }
            hasAsked = false
        }
        connection.expectNothing()
        return true
    }

    private var command: Command {
        var command: Command
        switch step {
        case .group: command = Command("XINFO", "GROUPS")
        case .stream, .done: command = Command("XINFO", "STREAM")
        case .counting: command = Command("XRANGE")
        }
        command.add(stream)
        if case .counting(let last) = step {
            command.add(position.next ?? .largest)
            command.add(last)
            command.add("COUNT")
            command.add(String(LagQuestion.pageRows))
        }
        return command
    }

    /// Takes an answer; false when it has not come in full.
    private mutating func take(from connection: Connection) throws(RedcolError) -> Bool {
        if case .counting(let last) = step { return try takePage(to: last, connection) }
        // XINFO STREAM shows the first and the last entry, too.
        guard let reply = try connection.nextReply(bytesMax: 2 * ProtocolLimits.entryBytes) else {
            return false
        }
        if case .error(let text) = reply {
            // There is no word of its own for a key that is missing.
            let isMissing = text.starts(with: LagQuestion.noSuchKey)
            let error = error(text, "XINFO", connection)
            if told != nil, error.cause == .permission {
                lag = told
            } else if !isMissing {
                throw error
            } else if group.isEmpty {
                lag = 0
            }
            step = .done
            return true
        }
        guard case .array = reply else { throw connection.violation("a strange XINFO") }
        if case .group = step {
            takeGroups(reply)
        } else {
            takeStream(reply, isRight: connection.countsLag)
        }
        return true
    }

    private static var noSuchKey: [UInt8] { Array("ERR no such key".utf8) }

    private func error(
        _ text: [UInt8], _ asked: String, _ connection: Connection
    ) -> RedcolError {
        .server(text, endpoint: connection.endpoint, asked: "\(asked), for the lag")
    }

    private mutating func takeGroups(_ reply: Reply) {
        step = .done
        guard case .array(let groups) = reply,
            let mine = groups.first(where: { $0.value(of: "name") == group })
        else { return }
        told = mine.number(named: "lag")
        lag = told
        guard let id = mine.entryID(named: "last-delivered-id") else { return }
        position = id
        step = .stream
    }

    /// `isRight`: whether the server's own number is right while the group stands between entries
    /// that are there. Some servers count entries that were trimmed before the group read them, for
    /// ever; but not if none is gone.
    private mutating func takeStream(_ reply: Reply, isRight: Bool) {
        step = .done
        guard let last = reply.entryID(named: "last-generated-id"),
            let length = reply.number(named: "length")
        else { return }
        guard length > 0, position < last else { return lag = 0 }
        if let first = reply.entryID(of: "first-entry"), position < first { return lag = length }
        if told != nil, isRight || reply.number(named: "entries-added") == length { return }
        self.length = length
        step = .counting(to: last)
    }

    private mutating func takePage(
        to end: EntryID, _ connection: Connection
    ) throws(RedcolError) -> Bool {
        switch try page.take(from: connection) {
        case .incomplete: return false
        case .error(let text): throw error(text, "XRANGE", connection)
        case .id(let last):
            let entries = page.entriesAnswered
            counted += Int64(entries)
            if let last {
                guard last > position else { throw connection.violation("an earlier entry") }
                position = last
            }
            if entries < LagQuestion.pageRows || position >= end {
                lag = counted
                step = .done
            } else if let told, counted >= LagQuestion.countedMost {
                lag = counted < told && told < length ? told : nil
                step = .done
            }
            return true
        }
    }
}

extension Reader {
    /// The entry of a stream after which this goes on; nil if that is not known. Any thread.
    public func position(in stream: [UInt8]) throws(RedcolError) -> EntryID? {
        try requirePosition(in: stream)
        for member in members {
            if let index = member.streams.firstIndex(of: stream) {
                return member.state.position(index)
            }
        }
        return nil
    }

    /// The question how far this is behind in a stream. Any thread.
    public func lag(in stream: [UInt8]) throws(RedcolError) -> LagQuestion {
        LagQuestion(
            stream: stream, group: options.group,
            after: try position(in: stream) ?? .smallest)
    }

    private func requirePosition(in stream: [UInt8]) throws(RedcolError) {
        guard options.waits || !options.group.isEmpty else {
            throw RedcolError(
                .invalidArgument,
                "only a read that follows or waits, and a group's member, knows its position")
        }
        try requireStream(stream)
    }

    func requireStream(_ stream: [UInt8]) throws(RedcolError) {
        guard streams.contains(stream) else {
            throw RedcolError(
                .invalidArgument,
                "this iterator does not read stream \"\(escaped(stream, limit: 200))\"")
        }
    }
}
