// SPDX-License-Identifier: Apache-2.0
// Where a stream ends now: what a read is held to, so that it sees no entries that are added later.

import RedcolBase
import RedisConnection
import RedisTopology

/// The question for the id of a stream's last entry.
public struct LastEntryQuestion {
    public let stream: [UInt8]
    /// The id; nil if the stream is empty or missing.
    public private(set) var last: EntryID?
    private var hasAsked = false
    private var conversation = Conversation()

    public init(stream: [UInt8]) { self.stream = stream }

    /// Whether this asks for the same as `other`, however far each of them is.
    public func isSame(as other: LastEntryQuestion) -> Bool { stream == other.stream }

    /// Asks on `connection`. After a signal it goes on there when it is called again.
    public mutating func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        do {
            try connection.converse(
                &conversation, lost: { hasAsked = false },
                { () throws(RedcolError) in try exchange(connection) })
        } catch {
            guard error.cause != .interrupted, error.cause != .cancelled else { throw error }
            let name = escaped(stream, limit: 200)
            throw error.adding("stream \"\(name)\": ", .stream, name)
        }
    }

    private mutating func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        if !hasAsked {
            connection.enqueue(.lastEntry(of: stream))
            try connection.flush()
            hasAsked = true
        }
        guard let reply = try connection.nextReply(bytesMax: ProtocolLimits.entryBytes)
        else { return false }
        connection.expectNothing()
        switch reply {
        case .error(let text):
            throw RedcolError.server(
                text, endpoint: connection.endpoint, asked: "XREVRANGE, for the stream's last id")
        case .array(let entries):
            last = reply.firstEntry?.id
            if last == nil, !entries.isEmpty { throw unreadable(connection) }
        case .null: last = nil
        default: throw unreadable(connection)
        }
        return true
    }

    private func unreadable(_ connection: Connection) -> RedcolError {
        connection.violation("no entry in answer to XREVRANGE")
    }
}

extension Command {
    /// XREVRANGE for the stream's last entry: where it ends now. A missing stream is no error, as
    /// it would be to XINFO.
    static func lastEntry(of stream: [UInt8]) -> Command {
        var command = Command("XREVRANGE")
        command.add(stream)
        for word in ["+", "-", "COUNT", "1"] { command.add(word) }
        return command
    }
}
