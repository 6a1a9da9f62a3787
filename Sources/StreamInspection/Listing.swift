// SPDX-License-Identifier: Apache-2.0
// Makes a list: finds the streams, asks the plan's questions on connections that the caller lends,
// many at once, and takes the answers. In a cluster each stream is asked for on its node.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A list that is being made: a conversation on one connection after the other.
public final class Listing {
    public let request: ListRequest
    private let topology: Topology
    private let plan: ListPlan

    /// What is done on one connection.
    private struct Lane {
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
        var place = 0
        /// A search that is looked at again.
        var scan: KeyScan?
        var asks: [ListPlan.Ask] = []
        var streams: [Int] = []
    }

    /// The last one is in hand, or the next.
    private var lanes: [Lane] = []
    private var found = NameList()
    /// The searches that are over, and whether they were looked at again.
    private var searched: [Lane] = []
    private var hasLookedAgain = false
    /// When a node could not be searched. All are searched again then, since another one may have
    /// its place.
    private var searchFailedAt: Int64?
    private var searchesAgain = 0
    private static let searchesAgainMax = 10
    /// So long one node is tried.
    private static let nodeMs: Int64 = 500
    /// Questions that another node has to answer, and how often that has happened.
    private var moved: [ListPlan.Ask] = []
    private var moves = 0
    /// More often, they are asked one by one.
    private static let movesMax = 2

    // On the connection in hand.
    private var conversation = Conversation()
    private var scan: KeyScan?
    private var pagesAwaited = 0
    private var waiting = Queue<ListPlan.Ask>()
    private var nextStream = 0
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

    private init(_ request: ListRequest, _ topology: Topology, _ plan: ListPlan) {
        self.request = request
        self.topology = topology
        self.plan = plan
    }

    /// Nothing is sent before `run`.
    public static func make(
        _ request: ListRequest, _ topology: Topology
    ) throws(RedcolError) -> Listing {
        let listing = Listing(request, topology, try ListPlan.make(request))
        switch request.chosen {
        case .named(let names): try listing.use(NameList(names))
        case .matching(let pattern):
            let scan = KeyScan(pattern: pattern, count: KeyScan.countUsual)
            if scan.isDone {
                try listing.use(scan.sortedKeys())
            } else {
                listing.plan.isSearch = true
                listing.lanes = [Lane(kind: .begin)]
            }
        }
        return listing
    }

    /// Whether everything was asked and answered.
    public var isDone: Bool { lanes.isEmpty }

    public func finish() throws(RedcolError) -> ArrowTable { try plan.finish() }

    /// Begins with these streams.
    private func use(_ names: NameList) throws(RedcolError) {
        try requireMemory(2 * names.byteCount + names.count * 64)
        plan.names = names.sortedAndUnique()
        if plan.names.count == 1 {
            if let ask = try plan.first(of: 0) { lanes = [Lane(kind: .follow, asks: [ask])] }
        } else if plan.names.count > 1 {
            lanes = [Lane(kind: .begin)]
        }
    }

    /// Lanes for these questions, or for those about all streams: one for each node.
    private func askAllNodes(_ asks: [ListPlan.Ask]? = nil) throws(RedcolError) {
        let count = asks?.count ?? plan.names.count
        try requireMemory(2 * count * MemoryLayout<ListPlan.Ask>.stride)
        for index in 0..<count {
            let stream = asks.map { plan.stream(of: $0[index]) } ?? index
            let place = topology.place(of: name(stream)) ?? -1
            var lane = 0
            while lane < lanes.count, lanes[lane].place != place { lane += 1 }
            if lane == lanes.count { lanes.append(Lane(kind: .ask, place: place)) }
            if let asks {
                lanes[lane].asks.append(asks[index])
            } else {
                lanes[lane].streams.append(stream)
            }
        }
    }

    private func searchAllNodes() {
        lanes = []
        searched = []
        hasLookedAgain = false
        for place in topology.places { lanes.append(Lane(kind: .search, place: place)) }
    }

    private func name(_ stream: Int) -> [UInt8] { Array(plan.names[stream]) }

    // MARK: Connections

    /// A connection for what is next.
    public func nextConnection() throws(RedcolError) -> Connection {
        conversation = Conversation()
        nextStream = 0
        pagesAwaited = 0
        mustMoveRest = false
        guard let lane = lanes.last, lane.kind != .begin else {
            return try topology.take(for: nil, to: .following)
        }
        if lane.kind == .search {
            if topology.isCluster { conversation = Conversation(limitMs: Listing.nodeMs) }
            if case .matching(let pattern) = request.chosen {
                scan =
                    lane.scan
                    ?? KeyScan(
                        pattern: pattern, count: KeyScan.countUsual, ofNode: topology.isCluster)
            }
            return try topology.take(at: lane.place, to: .following)
        }
        for ask in lane.asks { waiting.append(ask) }
        let stream = lane.asks.first.map { plan.stream(of: $0) } ?? lane.streams.first ?? 0
        return try topology.take(for: name(stream), to: .following)
    }

    /// Does what is next, on its connection. After a signal it continues there when it is called
    /// again.
    public func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        do throws(RedcolError) {
            try connection.converse(
                &conversation, lost: { connectionLost() },
                { () throws(RedcolError) in try exchange(connection) })
        } catch {
            guard topology.isCluster, scan != nil, error.cause == .connection else { throw error }
            scan?.moveFound(into: &found)
            scan = nil
            return try searchAgain(after: error)
        }
        connection.expectNothing()
        try endLane()
    }

    private func endLane() throws(RedcolError) {
        guard let lane = lanes.popLast() else { return }
        switch lane.kind {
        case .begin: if plan.isSearch { searchAllNodes() } else { try askAllNodes() }
        case .search:
            scan?.moveFound(into: &found)
            searched.append(Lane(kind: .search, place: lane.place, scan: scan))
            scan = nil
            guard lanes.isEmpty else { return }
            if try looksAgain() { return }
            try requireMemory(2 * found.byteCount + found.count * 64)
            plan.names = found.sortedAndUnique()
            found = NameList()
            try askAllNodes()
        case .ask, .follow:
            guard lanes.isEmpty, !moved.isEmpty else { return }
            let asks = moved
            moved = []
            moves += 1
            guard moves > Listing.movesMax else { return try askAllNodes(asks) }
            for ask in asks { lanes.append(Lane(kind: .follow, asks: [ask])) }
        }
    }

    /// Looks for keys that have moved during the search; false if that was done.
    private func looksAgain() throws(RedcolError) -> Bool {
        guard topology.isCluster else { return false }
        if !hasLookedAgain {
            hasLookedAgain = true
            for index in searched.indices.reversed()
            where searched[index].scan?.lookAgain() == true {
                lanes.append(searched.remove(at: index))
            }
            if !lanes.isEmpty { return true }
        }
        // Slots that no node has now that was searched are at one that is not known yet.
        guard var all = searched.first?.scan?.slots.now else { return false }
        for lane in searched { if let slots = lane.scan?.slots.now { all.add(slots) } }
        for lane in searched {
            guard let before = lane.scan?.slots.before, before.hasGained(since: all) else {
                continue
            }
            try searchAgain(
                after: RedcolError(
                    .connection, "slots have moved to another node of the cluster"))
            return true
        }
        return false
    }

    /// Searches all nodes again, unless that has been tried for long.
    private func searchAgain(after error: RedcolError) throws(RedcolError) {
        let now = platform_monotonic_ms()
        let failedAt = searchFailedAt ?? now
        searchesAgain += 1
        guard now - failedAt < topology.timeouts.silenceMs,
            searchesAgain <= Listing.searchesAgainMax
        else { throw error }
        searchFailedAt = failedAt
        searchAllNodes()
    }

    private func connectionLost() {
        var rest = Queue<ListPlan.Ask>()
        if let ask = awaited.first { rest.append(plan.interrupted(ask)) }
        for ask in awaited.waiting.dropFirst() { rest.append(ask) }
        for ask in waiting.waiting { rest.append(ask) }
        waiting = rest
        awaited.removeAll()
        awaitedCount = 0
        walk.begin()
        answerBytes = 0
        pagesAwaited = 0
        scan?.interrupted()
        mustMoveRest = lanes.last?.kind == .ask && !moved.isEmpty
    }

    // MARK: Questions and answers

    /// True when everything on this connection was answered.
    private func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        switch lanes.last?.kind {
        case .begin?, nil: return true
        case .search?: return try search(connection)
        case .ask?, .follow?: if mustMoveRest { try moveRest() }
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
            1, min(Listing.questionsMax, Listing.bytesUnderWay / max(1, largestAnswer)))
        guard 2 * awaitedCount <= most, awaitedCount == 0 || !connection.hasUnsent else { return }
        var bytes = 0
        while awaitedCount < most, bytes < Listing.bytesUnderWay, let ask = try nextAsk() {
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
        guard !lanes.isEmpty, nextStream < lanes[lanes.count - 1].streams.count else { return nil }
        nextStream += 1
        return try plan.first(of: lanes[lanes.count - 1].streams[nextStream - 1])
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
        if error.remedy == .redirect, lanes.last?.kind == .ask { return try move(ask) }
        if error.remedy == .raise, plan.goesOn(after: error, line, to: ask) { return }
        let stream = name(plan.stream(of: ask))
        // A name that a search has found was sent by the server, as any value.
        var shown = escaped(stream, limit: 200)
        if plan.isSearch {
            shown = topology.secrets.shown(stream, limit: 200, keeping: .names)
        }
        throw error.adding("stream \"\(shown)\": ", .stream, shown)
    }
}
