// SPDX-License-Identifier: Apache-2.0
// Where a stream ends now: what a read is held to, so that it sees no entries that are added later.

import RedcolBase
import RedisConnection
import RedisTopology

/// The one question for a stream's last entry, and its answer as far as it has come. The entry may
/// be large, and only its id is kept.
struct LastEntry {
    enum Answer {
        case incomplete
        /// Its id; nil if the stream is empty or missing.
        case id(EntryID?)
        case error([UInt8])
    }

    private let entriesMax: Int
    private var skim: PageSkim
    /// How many entries the last whole answer had.
    private(set) var entriesAnswered = 0

    /// `entriesMax`: how many the answer may have. Of an answer to XRANGE, the last entry is
    /// wanted in the same way.
    init(entriesMax: Int = 1) {
        self.entriesMax = entriesMax
        skim = PageSkim(entriesMax: entriesMax)
    }

    /// XREVRANGE: a missing stream is no error, as it would be to XINFO. `id`: the last `count`
    /// entries up to this one are wanted.
    static func command(_ stream: [UInt8], upTo id: EntryID? = nil, count: Int = 1) -> Command {
        var command = Command("XREVRANGE")
        command.add(stream)
        if let id { command.add(id) } else { command.add("+") }
        for word in ["-", "COUNT", String(count)] { command.add(word) }
        return command
    }

    /// Takes the answer from the connection; begins again when it has come in full.
    mutating func take(from connection: Connection) throws(RedcolError) -> Answer {
        while true {
            switch skim.parse(connection.incoming.waiting) {
            case .needsMore(let used): connection.consume(used)
            case .end(let used):
                connection.consume(used)
                try connection.answered()
                let answer = skim
                self = LastEntry(entriesMax: entriesMax)
                entriesAnswered = answer.entries
                return .id(answer.last)
            case .serverError:
                guard case .error(let text)? = try connection.nextReply() else {
                    return .incomplete
                }
                connectionLost()
                return .error(text)
            case .malformed:
                throw connection.violation("no entry in answer to XREVRANGE")
            case .tooLarge(let id):
                throw RedcolError(
                    .tooLarge, "the stream's last entry, \(id.text), is too large: delete it",
                    details: [(.entryID, id.text)])
            }
            guard try connection.receive() else { return .incomplete }
        }
    }

    /// Forgets what has come of an answer: the connection is gone.
    mutating func connectionLost() { self = LastEntry(entriesMax: entriesMax) }
}

/// The question for the id of a stream's last entry.
public struct LastEntryQuestion {
    public let stream: [UInt8]
    /// The id; nil if the stream is empty or missing.
    public private(set) var last: EntryID?
    private var hasAsked = false
    private var answer = LastEntry()
    private var conversation = Conversation()

    public init(stream: [UInt8]) { self.stream = stream }

    /// Whether this asks for the same as `other`, however far each of them is.
    public func isSame(as other: LastEntryQuestion) -> Bool { stream == other.stream }

    /// Asks on `connection`. After a signal it continues there when it is called again.
    public mutating func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        try connection.converse(
            about: stream, &conversation,
            lost: {
                hasAsked = false
                answer.connectionLost()
            },
            { () throws(RedcolError) in try exchange(connection) })
    }

    private mutating func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        if !hasAsked {
            connection.enqueue(LastEntry.command(stream))
            try connection.flush()
            hasAsked = true
        }
        switch try answer.take(from: connection) {
        case .incomplete: return false
        case .error(let text):
            throw RedcolError.server(
                text, endpoint: connection.endpoint, asked: "XREVRANGE, for the stream's last id")
        case .id(let id): last = id
        }
        connection.expectNothing()
        return true
    }
}
