// SPDX-License-Identifier: Apache-2.0
// Makes a list: finds the streams, asks the plan's questions about them, and takes the answers. In
// a cluster all nodes are asked at once, about their own streams.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A list that is being made, in rounds: whether the servers are a cluster, a search on each node,
/// the questions to each node, and those that another node has to answer.
public final class Listing {
    public let request: ListRequest
    private let topology: Topology
    private let plan: ListPlan

    /// Lanes that wait for the next round, and those of this one. The caller lends the connection
    /// of the first, whose cancel ends the round.
    private var lanes: [ListLane] = []
    private var round: [ListLane] = []
    private static let lanesAtOnce = 64
    /// Tells which of several connections can go on.
    private var poller: ConnectionPoller?

    private var found = NameList()
    /// The searches that are over, and whether they were looked at again.
    private var searched: [ListLane] = []
    private var hasLookedAgain = false
    /// When a node could not be searched. All are searched again then, since another one may have
    /// its place.
    private var searchFailedAt: Int64?
    private var searchesAgain = 0
    private static let searchesAgainMax = 10
    /// Questions that another node has to answer, and how often that has happened.
    private var moved: [ListPlan.Ask] = []
    private var moves = 0
    /// More often, they are asked one by one.
    private static let movesMax = 2

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
                listing.addLane(.begin)
            }
        }
        return listing
    }

    /// Whether everything was asked and answered.
    public var isDone: Bool { lanes.isEmpty && round.isEmpty }

    public func finish() throws(RedcolError) -> ArrowTable { try plan.finish() }

    @discardableResult
    private func addLane(_ kind: ListLane.Kind, place: Int = 0) -> ListLane {
        let lane = ListLane(kind, plan, topology, place: place)
        lanes.append(lane)
        return lane
    }

    /// Begins with these streams.
    private func use(_ names: NameList) throws(RedcolError) {
        try requireMemory(2 * names.byteCount + names.count * 64)
        plan.names = names.sortedAndUnique()
        if plan.names.count == 1 {
            if let ask = try plan.first(of: 0) { addLane(.follow).add(ask) }
        } else if plan.names.count > 1 {
            addLane(.begin)
        }
    }

    /// Lanes for these questions, or for those about all streams: one for each node.
    private func askAllNodes(_ asks: [ListPlan.Ask]? = nil) throws(RedcolError) {
        let count = asks?.count ?? plan.names.count
        try requireMemory(2 * count * MemoryLayout<ListPlan.Ask>.stride)
        for index in 0..<count {
            let stream = asks.map { plan.stream(of: $0[index]) } ?? index
            let place = topology.place(of: Array(plan.names[stream])) ?? -1
            let lane = lanes.first { $0.place == place } ?? addLane(.ask, place: place)
            if let asks { lane.add(asks[index]) } else { lane.add(stream: stream) }
        }
    }

    private func searchAllNodes() {
        lanes = []
        searched = []
        hasLookedAgain = false
        for place in topology.places { addLane(.search, place: place) }
    }

    // MARK: Rounds

    /// A connection for the next round.
    public func nextConnection() throws(RedcolError) -> Connection {
        round = Array(lanes.prefix(Listing.lanesAtOnce))
        lanes.removeFirst(round.count)
        guard let first = round.first else { return try topology.take(for: nil, to: .following) }
        poller = round.count > 1 ? try .make() : nil
        let lent = try first.begin()
        try poller?.watch(lent, 0)
        for number in 1..<max(round.count, 1) {
            let connection = try round[number].begin()
            try connection.shareCancel(of: lent)
            try poller?.watch(connection, number)
        }
        return lent
    }

    /// Does what is next, with the connection that was lent for it. After a signal it continues
    /// when it is called again.
    public func run(_ lent: Connection) throws(RedcolError) {
        do throws(RedcolError) {
            try takeTurns(lent)
        } catch {
            guard topology.isCluster, round.first?.kind == .search, error.cause == .connection
            else { throw error }
            for lane in round + lanes { lane.scan?.moveFound(into: &found) }
            // Answers may still come.
            lent.closeSocket()
            round = []
            return try searchAgain(after: error)
        }
        let ended = round
        round = []
        for lane in ended { lane.connection = nil }
        try end(ended)
    }

    private func takeTurns(_ lent: Connection) throws(RedcolError) {
        guard let poller else {
            while let lane = round.first, !lane.isDone {
                try lane.takeTurn(waits: true)
            }
            return
        }
        // A signal may have come in the middle of an answer.
        for lane in round { try takeRest(lane) }
        var due = Array(round.indices)
        while true {
            for number in due {
                try round[number].takeTurn(waits: false)
                try takeRest(round[number])
                if round[number].isDone { giveBack(round[number], but: lent) }
            }
            if round.allSatisfy({ $0.isDone }) { return }
            due = []
            if case .interrupted = try poller.wait(until: nil, isReady: { due.append($0) }) {
                throw RedcolError.interrupted
            }
        }
    }

    /// The rest of an answer comes before any other.
    private func takeRest(_ lane: ListLane) throws(RedcolError) {
        while lane.isInAnswer { try lane.takeTurn(waits: true) }
    }

    private func giveBack(_ lane: ListLane, but lent: Connection) {
        guard let connection = lane.connection, connection !== lent else { return }
        lane.connection = nil
        poller?.unwatch(connection)
        connection.endSharingCancel()
        topology.giveBack(connection, isIdle: true)
    }

    private func end(_ ended: [ListLane]) throws(RedcolError) {
        for lane in ended {
            moved += lane.moved
            guard lane.kind == .search else { continue }
            lane.scan?.moveFound(into: &found)
            searched.append(lane)
        }
        guard lanes.isEmpty, let kind = ended.first?.kind else { return }
        switch kind {
        case .begin: if plan.isSearch { searchAllNodes() } else { try askAllNodes() }
        case .search:
            if try looksAgain() { return }
            try requireMemory(2 * found.byteCount + found.count * 64)
            plan.names = found.sortedAndUnique()
            found = NameList()
            try askAllNodes()
        case .ask, .follow:
            guard !moved.isEmpty else { return }
            let asks = moved
            moved = []
            moves += 1
            guard moves > Listing.movesMax else { return try askAllNodes(asks) }
            for ask in asks { addLane(.follow).add(ask) }
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
}
