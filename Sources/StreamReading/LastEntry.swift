// Where a stream ends now: what a read is held to, so that it sees no entries that are added later.

import RedisConnection

/// The id of the last entry of `stream`; nil if it is empty or missing.
public func lastID(of stream: [UInt8], _ connection: Connection) throws(RedisError) -> EntryID? {
    var hasAsked = false
    var last: EntryID?
    do {
        try connection.converse(
            lost: { hasAsked = false },
            { () throws(RedisError) in
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
                    throw RedisError.server(
                        text, endpoint: connection.endpoint,
                        asked: "XREVRANGE, for the stream's last id")
                case .array(let entries):
                    last = reply.firstEntry?.id
                    if last == nil, !entries.isEmpty { throw unreadable(connection) }
                case .null: last = nil
                default: throw unreadable(connection)
                }
                return true
            })
    } catch {
        guard error.cause != .interrupted, error.cause != .cancelled else { throw error }
        let name = escaped(stream, limit: 200)
        throw error.adding("stream \"\(name)\": ", .stream, name)
    }
    return last
}

private func unreadable(_ connection: Connection) -> RedisError {
    connection.violation("no entry in answer to XREVRANGE")
}
