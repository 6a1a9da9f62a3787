// SPDX-License-Identifier: Apache-2.0
// Calls that a signal has ended before their answers came. What they had begun is kept until the
// same call is made again, which continues with it: a periodic signal keeps no call from ending.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology
import StreamInspection
import StreamReading
import StreamSteering

/// Kept calls, oldest first. The owner holds a lock around each use. A thread continues its own
/// call, and only if it makes no other call first: an equal call later asks about the state at that
/// time.
struct UnfinishedCalls<Call> {
    /// More are not kept, and begin again: each has a connection of its own.
    private static var most: Int { 64 }
    /// Longer than a host looks at its signals.
    private static var keptMs: Int64 { 2_000 }

    private var calls: [(call: Call, thread: Int32, until: Int64)] = []

    mutating func keep(_ call: Call) {
        if calls.count >= UnfinishedCalls.most { calls.removeFirst() }
        let until = platform_monotonic_ms() + UnfinishedCalls.keptMs
        calls.append((call, platform_this_thread(), until))
    }

    /// This thread's call, if it `isWanted`; else it is dropped.
    mutating func take(_ isWanted: (Call) -> Bool) -> Call? {
        let found = first(isWanted)
        forget()
        return found
    }

    func first(_ isWanted: (Call) -> Bool) -> Call? {
        if calls.isEmpty { return nil }
        let (now, thread) = (platform_monotonic_ms(), platform_this_thread())
        return calls.first { $0.thread == thread && $0.until >= now && isWanted($0.call) }?.call
    }

    /// Drops this thread's call, and those that are too old.
    mutating func forget() {
        if calls.isEmpty { return }
        let (now, thread) = (platform_monotonic_ms(), platform_this_thread())
        calls.removeAll { $0.thread == thread || $0.until < now }
    }

    mutating func removeAll() { calls = [] }
}

/// What is asked on a connection of its own.
indirect enum Question {
    /// `everythingOf`: the number of the iterator all of whose entries are acknowledged; nil: ids
    /// were named.
    case acknowledgement(Acknowledgement, everythingOf: Int?)
    case lastEntry(LastEntryQuestion)
    case lag(LagQuestion)
    case steering(Steering)
    case listing(Listing)

    /// A connection to whoever has the answer.
    func connection(_ topology: Topology) throws(RedcolError) -> Connection {
        switch self {
        case .acknowledgement(let acknowledgement, _):
            return try topology.take(for: acknowledgement.stream, to: .writing)
        case .lastEntry(let question):
            return try topology.take(for: question.stream, to: .reading)
        case .lag(let question):
            return try topology.take(for: question.stream, to: .following)
        case .steering(let steering):
            return try topology.take(for: steering.stream, to: .writing)
        case .listing(let listing): return try listing.nextConnection()
        }
    }

    /// Whether the answer to `other` is the answer to this.
    func isSame(as other: Question) -> Bool {
        switch (self, other) {
        case (.acknowledgement(let one, let iter), .acknowledgement(let another, let otherIter)):
            return iter == otherIter && one.isSame(as: another)
        case (.lastEntry(let one), .lastEntry(let another)): return one.isSame(as: another)
        case (.lag(let one), .lag(let another)): return one.isSame(as: another)
        case (.steering(let one), .steering(let another)): return one.isSame(as: another)
        case (.listing(let one), .listing(let another)): return one.request == another.request
        default: return false
        }
    }

    /// Adds to `total` how many entries were acknowledged since this was asked last.
    mutating func tellAcknowledged(_ total: inout Int64) {
        guard case .acknowledgement(var acknowledgement, let iter) = self else { return }
        total += acknowledgement.takeAcknowledged()
        self = .acknowledgement(acknowledgement, everythingOf: iter)
    }

    /// Asks, or continues after a signal.
    mutating func run(_ connection: Connection) throws(RedcolError) {
        switch self {
        case .acknowledgement(var acknowledgement, let iter):
            defer { self = .acknowledgement(acknowledgement, everythingOf: iter) }
            try acknowledgement.run(connection)
        case .lastEntry(var question):
            defer { self = .lastEntry(question) }
            try question.run(connection)
        case .lag(var question):
            defer { self = .lag(question) }
            try question.run(connection)
        case .steering(var steering):
            defer { self = .steering(steering) }
            try steering.run(connection)
        case .listing(let listing): try listing.run(connection)
        }
    }
}

/// A question with the connection on which its answer will come.
struct AskedQuestion {
    var question: Question
    let connection: Connection
}

/// What a read was to be made from.
struct ReadArguments {
    var streams: [[UInt8]] = []
    /// Of a subscription, which reads no streams.
    var channels: Channels?
    let columns: [RequestedColumn]?
    let options: [(key: String, value: String)]

    func isSame(as other: ReadArguments) -> Bool {
        streams == other.streams && channels == other.channels && columns == other.columns
            && areSame(options, other.options)
    }
}

/// A reader that has not begun yet.
struct UnfinishedRead {
    let arguments: ReadArguments
    let reader: Reader
}

/// A client that is not connected yet.
struct UnfinishedOpen {
    let url: String
    let options: [(key: String, value: String)]
    let provider: CredentialsProvider?
    let topology: Topology
    let connection: Connection
}

private func areSame(
    _ one: [(key: String, value: String)], _ other: [(key: String, value: String)]
) -> Bool {
    one.count == other.count
        && zip(one, other).allSatisfy { $0.key == $1.key && $0.value == $1.value }
}

/// Calls of redcol_open that a signal has ended: before there is a client, nothing else can keep
/// them.
private final class UnfinishedOpens {
    var calls = UnfinishedCalls<UnfinishedOpen>()
    let processID = getpid()
}

nonisolated(unsafe) private var unfinishedOpens: Unmanaged<UnfinishedOpens>?

/// Runs `body` with the calls of this process. Those of its parent are left as they are: another
/// thread there may have been changing them, and their sockets are the parent's.
private func withUnfinishedOpens<Result>(
    _ body: (inout UnfinishedCalls<UnfinishedOpen>) -> Result
) -> Result {
    platform_opens_lock()
    defer { platform_opens_unlock() }
    if let opens = unfinishedOpens?.takeUnretainedValue(), opens.processID == getpid() {
        return body(&opens.calls)
    }
    let opens = UnfinishedOpens()
    unfinishedOpens = Unmanaged.passRetained(opens)
    return body(&opens.calls)
}

private func source(
    _ provider: CredentialsProvider?, file: String?
) throws(RedcolError) -> CredentialsSource {
    guard let file else { return provider.map { .provider($0) } ?? .url }
    guard provider == nil else {
        throw RedcolError(
            .invalidArgument,
            "password_file and a credentials provider; give one of the two")
    }
    return .file(path: file)
}

/// The servers behind a URL, with a connection to one of them, unless "connect" is "later".
/// Continues with the connection that a signal has interrupted.
func openTopology(
    url: String, options: [(key: String, value: String)], provider: CredentialsProvider?
) throws(RedcolError) -> Topology {
    let kept = withUnfinishedOpens { calls in
        calls.take {
            $0.url == url && $0.provider === provider && areSame($0.options, options)
        }
    }
    let open: UnfinishedOpen
    if let kept {
        open = kept
    } else {
        // A wrong URL is reported before a wrong option.
        var endpoint = try Endpoint(
            url: url,
            passwordIsElsewhere: provider != nil || options.contains { $0.key == "password_file" })
        let chosen = try ClientOptions(options, for: &endpoint)
        endpoint.login = try endpoint.login.completed(
            source: try source(provider, file: chosen.passwordFile), name: chosen.name)
        let topology = try Topology.make(endpoint, chosen.timeouts)
        if chosen.connectsLater || topology.file != nil { return topology }
        open = UnfinishedOpen(
            url: url, options: options, provider: provider, topology: topology,
            connection: try topology.take(for: nil, to: .reading))
    }
    do throws(RedcolError) {
        try open.connection.connectNow()
    } catch {
        if error.cause == .interrupted {
            withUnfinishedOpens { $0.keep(open) }
        }
        throw error
    }
    open.topology.giveBack(open.connection, isIdle: true)
    return open.topology
}

/// Forgets this thread's call of redcol_open.
func forgetOpen() { withUnfinishedOpens { $0.forget() } }
