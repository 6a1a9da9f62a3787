// SPDX-License-Identifier: Apache-2.0
// What a list does on one connection: it finds out whether there is a cluster, searches one node,
// or asks questions, many at once, and takes the answers.

import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// The part of a list that one node has, and how far it is.
final class ListLane {
    enum Kind {
        /// Whether the servers are a cluster is found out.
        case begin
        /// Streams are searched on the primary at this place.
        case search
        /// Questions to one node: these, and then those about these streams.
        case ask
        /// A question about one stream, wherever it moves.
        case follow
    }

    let kind: Kind
    let place: Int
    private let plan: ListPlan
    private let topology: Topology
    /// A search, perhaps one that is looked at again.
    var scan: KeyScan?
    private var waiting = Queue<ListPlan.Ask>()
    private var streams: [Int] = []
    private var nextStream = 0

    /// Nil before it begins, and when it is done.
    var connection: Connection?
    private var conversation = Conversation()
    private(set) var isDone = false
    /// Questions that another node has to answer.
    private(set) var moved: [ListPlan.Ask] = []

    private var pagesAwaited = 0
    private var awaited = Queue<ListPlan.Ask>()
    private var awaitedCount = 0
    private var walk = ReplyWalk()
    private var answerBytes = 0
    /// The connection was lost after a question had moved: it may be another node's now.
    private var mustMoveRest = false
    /// A recent large answer.
    private var largestAnswer = 8 * 1024
    /// About so many bytes of questions and answers are under way, at most.
    private static let bytesUnderWay = 256 * 1024
    private static let questionsMax = 512
    /// So long one node of several is searched without an answer.
    private static let searchMs: Int64 = 500

    init(_ kind: Kind, _ plan: ListPlan, _ topology: Topology, place: Int = 0) {
        self.kind = kind
        self.plan = plan
        self.topology = topology
        self.place = place
    }

    func add(_ ask: ListPlan.Ask) { waiting.append(ask) }

    func add(stream: Int) { streams.append(stream) }

    /// Takes a connection to whoever is asked.
    func begin() throws(RedcolError) -> Connection {
        isDone = false
        conversation = Conversation()
        let taken: Connection
        switch kind {
        case .begin: taken = try topology.take(for: nil, to: .following)
        case .search:
            if topology.isCluster { conversation = Conversation(limitMs: ListLane.searchMs) }
            if scan == nil, case .matching(let pattern) = plan.request.chosen {
                scan = KeyScan(
                    pattern: pattern, count: KeyScan.countUsual, ofNode: topology.isCluster)
            }
            taken = try topology.take(at: place, to: .following)
        case .ask, .follow:
            let stream = waiting.first.map { plan.stream(of: $0) } ?? streams.first ?? 0
            taken = try topology.take(for: Array(plan.names[stream]), to: .following)
        }
        connection = taken
        return taken
    }

    /// Whether a part of an answer has come: the plan takes no other one before the rest of it.
    var isInAnswer: Bool { !walk.isAtStart }

    /// One turn. `waits`: until the next one is due; else the connection's descriptor is readable
    /// then.
    func takeTurn(waits: Bool) throws(RedcolError) {
        guard let connection else { return }
        guard !isDone else {
            // It was kept for a cancel, and its server has closed it.
            try connection.waitOrStop(until: 0)
            return connection.closeSocket()
        }
        var conversation = self.conversation
        defer { self.conversation = conversation }
        isDone = try connection.takeTurn(
            in: &conversation, waits: waits, lost: { connectionLost() },
            { () throws(RedcolError) in try exchange(connection) })
        if isDone { connection.expectNothing() }
    }

    private func connectionLost() {
        var rest = Queue<ListPlan.Ask>()
        if let ask = awaited.first { rest.append(isInAnswer ? plan.interrupted(ask) : ask) }
        for ask in awaited.waiting.dropFirst() { rest.append(ask) }
        for ask in waiting.waiting { rest.append(ask) }
        waiting = rest
        awaited.removeAll()
        awaitedCount = 0
        walk.begin()
        answerBytes = 0
        pagesAwaited = 0
        scan?.interrupted()
        mustMoveRest = kind == .ask && !moved.isEmpty
    }

    // MARK: Questions and answers

    /// True when everything on this connection was answered.
    private func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        switch kind {
        case .begin: return true
        case .search: return try search(connection)
        case .ask, .follow: if mustMoveRest { try moveRest() }
        }
        while true {
            try ask(connection)
            guard let asked = awaited.first else { return true }
            guard try take(asked, connection) else { return false }
            awaited.removeFirst()
            awaitedCount -= 1
        }
    }

    private func search(_ connection: Connection) throws(RedcolError) -> Bool {
        while let isDone = scan?.isDone, !isDone {
            if pagesAwaited == 0, let commands = scan?.commands {
                for command in commands { connection.enqueue(command) }
                pagesAwaited = commands.count
                try connection.flush()
            }
            guard let reply = try connection.nextReply() else { return false }
            pagesAwaited -= 1
            // An error in place of a node's slots says that they are not known.
            if case .error(let line) = reply, scan?.awaitsSlots != true {
                throw RedcolError.server(
                    line, endpoint: connection.endpoint, asked: "SCAN", commands: "SCAN")
            }
            try requireMemory(scan?.memory(for: reply) ?? 0)
            guard scan?.take(reply) ?? false else {
                throw connection.violation("an answer to SCAN that is not valid")
            }
        }
        return true
    }

    /// Asks as much as may be under way.
    private func ask(_ connection: Connection) throws(RedcolError) {
        let most = max(
            1, min(ListLane.questionsMax, ListLane.bytesUnderWay / max(1, largestAnswer)))
        guard 2 * awaitedCount <= most, awaitedCount == 0 || !connection.hasUnsent else { return }
        var bytes = 0
        while awaitedCount < most, bytes < ListLane.bytesUnderWay, let ask = try nextAsk() {
            bytes += plan.names[plan.stream(of: ask)].count + 64
            connection.enqueue(plan.command(ask))
            awaited.append(ask)
            awaitedCount += 1
        }
        if bytes > 0 { try connection.flush() }
    }

    private func nextAsk() throws(RedcolError) -> ListPlan.Ask? {
        if let ask = waiting.first {
            waiting.removeFirst()
            return ask
        }
        guard nextStream < streams.count else { return nil }
        nextStream += 1
        return try plan.first(of: streams[nextStream - 1])
    }

    /// Leaves what was not asked for another connection.
    private func moveRest() throws(RedcolError) {
        mustMoveRest = false
        while let ask = try nextAsk() { try move(ask) }
    }

    private func move(_ ask: ListPlan.Ask) throws(RedcolError) {
        guard moved.makeRoom(for: 1) else { throw noMemory() }
        moved.append(ask)
    }

    /// Takes the answer to `ask`; false if it has not come in full.
    private func take(
        _ ask: ListPlan.Ask, _ connection: Connection
    ) throws(RedcolError) -> Bool {
        while true {
            let bytes = connection.incoming.waiting
            if walk.isAtStart, bytes.first == UInt8(ascii: "-") {
                guard case .error(let line)? = try connection.nextReply() else { return false }
                try refused(ask, line, connection)
                return true
            }
            if let start = bytes.baseAddress {
                if walk.isAtStart { plan.begin() }
                var position = start
                let hasEnded = try walkOn(ask, &position, start + bytes.count, connection)
                answerBytes += position - start
                connection.consume(position - start)
                if hasEnded {
                    try connection.answered()
                    try plan.ended(ask, bytes: answerBytes)
                    for ask in plan.takeFollowing() { waiting.append(ask) }
                    largestAnswer = max(answerBytes, largestAnswer - largestAnswer / 8)
                    walk.begin()
                    answerBytes = 0
                    return true
                }
            }
            guard try connection.receive() else { return false }
        }
    }

    /// Takes the parts that have come; whether they were the last.
    private func walkOn(
        _ ask: ListPlan.Ask, _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        _ connection: Connection
    ) throws(RedcolError) -> Bool {
        while true {
            switch walk.next(&position, end) {
            case .part(let part, let depth):
                if try plan.take(part, depth: depth, of: ask) { continue }
            case .needsMore: return false
            case .end: return true
            case .malformed: break
            }
            throw connection.violation("an answer to \(plan.commandName(ask)) that is not valid")
        }
    }

    /// The answer to `ask` is an error.
    private func refused(
        _ ask: ListPlan.Ask, _ line: [UInt8], _ connection: Connection
    ) throws(RedcolError) {
        let command = plan.commandName(ask)
        let error = RedcolError.server(
            line, endpoint: connection.endpoint, asked: "\(command)", commands: command)
        if error.remedy == .redirect, kind == .ask { return try move(ask) }
        if error.remedy == .raise, plan.goesOn(after: error, line, to: ask) { return }
        let stream = Array(plan.names[plan.stream(of: ask)])
        // A name that a search has found was sent by the server, as any value.
        var shown = escaped(stream, limit: 200)
        if plan.isSearch {
            shown = topology.secrets.shown(stream, limit: 200, keeping: .names)
        }
        throw error.adding("stream \"\(shown)\": ", .stream, shown)
    }
}
