// SPDX-License-Identifier: Apache-2.0
// Goes to the node of a cluster that has a key, each time that a connection begins. A server that
// is no node of a cluster stays the one.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/

import CPlatform
import RedcolBase
import RedisConnection

/// Finds the node for one connection. The map of the slots is asked for on the connection itself,
/// while it logs in: where a node turns out to be the wrong one, the connection begins again at the
/// right one.
final class ClusterLocator: Locator {
    /// Nodes agree on a new primary within seconds.
    static let retryMs: Int64 = 500
    /// In one attempt to connect, nodes may send a connection on so often.
    private static let hopsMax = 3

    private enum Choice {
        /// The map says that it is the one.
        case mapped
        /// It is asked for the map.
        case candidate
        /// It was named by ASK.
        case asking
        /// No server is left.
        case nobody
    }

    private let nodes: ClusterNodes
    /// What the connection is for: changed when an idle one is used again.
    private(set) var target: ClusterTarget
    private let source: ReadSource
    /// Nodes that have failed since one was what it should be.
    private var nodesFailed = 0
    /// A replica of a cluster serves nobody who has not said READONLY.
    private var saysReadOnly = false
    private var choice = Choice.mapped
    private var isOfCluster = false
    /// The node that ASK has named, until the connection begins there, or until that was long ago.
    private var asked: Server?
    private var askedUntil: Int64 = 0
    private static let askedMs: Int64 = 1_000
    /// How often the map had been fetched that has led to the last server: one that was lost is not
    /// believed again. Nil: no server of the map was used.
    private var fetchesUsed: Int?
    private var lost: Server?
    /// Whether the map has to be fetched before it is used, whatever is known; in any case, or in
    /// this attempt.
    private let isScout: Bool
    private var mustFetch = false
    /// This attempt: whether it has fetched the map, how many candidates were tried, why they did
    /// not help, how often it went on.
    private var hasFetched = false
    private var candidates: [Server] = []
    private var tried = 0
    private var failures: [RedcolError] = []
    private var hops = 0
    private var hasAskedShards = false
    private var deadline: Int64 = 0
    private var candidateDeadline = Int64.max
    private let number = Int(platform_random() & 0xFFFF)
    /// Fetches the map while the connection waits for a server that is silent.
    private var scout: Connection?
    private let endpoint: Endpoint
    private let timeouts: Timeouts

    init(
        _ nodes: ClusterNodes, _ endpoint: Endpoint, _ timeouts: Timeouts,
        for target: ClusterTarget,
        _ source: ReadSource = .primary, isScout: Bool = false, lost: Server? = nil
    ) {
        self.source = source
        self.nodes = nodes
        self.endpoint = endpoint
        self.timeouts = timeouts
        self.target = target
        self.isScout = isScout
        self.lost = lost
        super.init(wantsReplica: source != .primary)
    }

    /// An idle connection is used for something else that its node has.
    func retarget(_ target: ClusterTarget) { self.target = target }

    // MARK: Where to begin

    override func begin(_ deadline: Int64, goesOn: Bool) throws(RedcolError) -> Int32 {
        self.deadline = deadline
        isOfCluster = nodes.isCluster
        hasAskedShards = false
        saysReadOnly = false
        if platform_monotonic_ms() > askedUntil { asked = nil }
        if !goesOn {
            mustFetch = isScout
            if let fetchesUsed, asked == nil {
                mustFetch = nodes.fetchCount == fetchesUsed
                // Where any node will do, the one that was lost is not the next.
                if source == .any, let lost {
                    let next = nodes.server(for: target, source, number: number)?.server
                    nodesFailed = next?.isSame(as: lost) == true ? 1 : 0
                }
            }
            hasFetched = false
            candidates = []
            tried = 0
            failures = []
            hops = 0
        }
        return -1
    }

    override func advance(_ now: Int64) throws(RedcolError) -> Server? {
        if let scout { return try advance(scout, now) }
        candidateDeadline = .max
        if let server = asked {
            asked = nil
            choice = .asking
            lost = server
            return server
        }
        if !mustFetch,
            let (server, fetches) = nodes.server(
                for: target, source, number: number, failures: nodesFailed)
        {
            choice = .mapped
            fetchesUsed = fetches
            lost = server
            if wantsReplica {
                let others = nodes.servers(for: target, .any).count - 1 - nodesFailed
                share(now, amongOthers: others)
            }
            return server
        }
        choice = .candidate
        if candidates.isEmpty { candidates = nodes.candidates(number: number, lost: lost) }
        let left = candidates.count - tried
        guard left > 0 else {
            choice = .nobody
            throw failure
        }
        // There is a share for the node that it names, too.
        if candidates.count > 1 { share(now, amongOthers: left) }
        tried += 1
        return candidates[tried - 1]
    }

    /// So many other nodes are to have as much of the time as the next one.
    private func share(_ now: Int64, amongOthers others: Int) {
        if others > 0 { candidateDeadline = now + (deadline - now) / Int64(others + 1) }
    }

    override var serverDeadline: Int64 { candidateDeadline }

    /// None of the candidates could say where to go.
    private var failure: RedcolError {
        var cause = RedcolError.Cause.connection
        var text = "asking the nodes of the cluster for its slots: "
        for (index, failure) in failures.enumerated() {
            if failure.remedy == .raise { cause = failure.cause }
            text += (index > 0 ? "; " : "") + failure.message
        }
        return RedcolError(cause, text)
    }

    // MARK: Whether to stay

    override func judge(_ found: Found) throws(RedcolError) -> Verdict {
        guard found.isClusterNode else {
            if nodes.seeds.count == 1, !nodes.isCluster {
                nodes.isNoCluster()
                return .stay
            }
            throw RedcolError(
                .unsupported,
                "\(found.endpoint.shown) is no node of a cluster, though "
                    + (nodes.isCluster ? "others are" : "the URL names several"))
        }
        isOfCluster = true
        if saysReadOnly {
            if case .error(let text)? = found.answer {
                throw RedcolError.server(
                    text, endpoint: found.endpoint, asked: "reading from a replica",
                    commands: "READONLY")
            }
            return stay()
        }
        if let answer = found.answer {
            if case .error(let text) = answer {
                // A user may have the right to only one of the two.
                guard hasAskedShards else {
                    hasAskedShards = true
                    return .ask(Command("CLUSTER", "SHARDS"))
                }
                throw RedcolError.server(
                    text, endpoint: found.endpoint, asked: "asking for the slots of the cluster",
                    commands: "CLUSTER SLOTS or CLUSTER SHARDS")
            }
            guard nodes.take(answer, from: found.endpoint.server) else {
                throw RedcolError(
                    .protocolViolation,
                    "\(found.endpoint.shown) sent slots of a cluster that cannot be")
            }
            hasFetched = true
            mustFetch = false
        } else if !hasFetched, needsMap(found) {
            return .ask(Command("CLUSTER", "SLOTS"))
        }
        if choice == .asking { return stay() }
        return try whereToStay(found)
    }

    private func stay() -> Verdict {
        nodesFailed = 0
        return .stay
    }

    private func needsMap(_ found: Found) -> Bool {
        choice == .candidate || nodes.isOld || isNoPrimary(found)
    }

    private func isNoPrimary(_ found: Found) -> Bool {
        target != .anyNode && !wantsReplica && isReplica(found)
    }

    private func isReplica(_ found: Found) -> Bool {
        found.role.map { !$0.elementsEqual("master".utf8) } ?? false
    }

    private func whereToStay(_ found: Found) throws(RedcolError) -> Verdict {
        let server = found.endpoint.server
        if isScout || target == .anyNode {
            fetchesUsed = nodes.fetchCount
            lost = server
        } else if let (owner, fetches) = nodes.server(for: target, source, number: number) {
            fetchesUsed = fetches
            lost = server
            let willDo = isOne(server, source) || nodesFailed > 0 && isOne(server, .primary)
            if !willDo, hops < ClusterLocator.hopsMax {
                lost = owner
                hops += 1
                return .goElsewhere
            }
        } else if case .node = target {
            throw RedcolError(
                .connection, "the node that was \(lost?.shown ?? server.shown) has no slots now")
        }
        // Nobody has the slot, or nobody knows better: the server's own answer says what is wrong.
        if wantsReplica, isReplica(found) {
            saysReadOnly = true
            return .ask(Command("READONLY"))
        }
        guard isNoPrimary(found) else { return stay() }
        throw RedcolError(
            .connection,
            "\(server.shown) is a replica now, and the nodes of the cluster name no other primary")
    }

    /// Whether the server is one of those that will do.
    private func isOne(_ server: Server, _ source: ReadSource) -> Bool {
        nodes.servers(for: target, source).contains { $0.isSame(as: server) }
    }

    override func goesOn(after error: RedcolError) -> Bool {
        guard error.remedy != .raise else { return false }
        switch choice {
        case .candidate:
            failures.append(error)
            // Of one alone, its own error says most.
            return candidates.count > 1
        case .mapped where wantsReplica && hasFetched:
            nodesFailed += 1
            return nodesFailed <= ClusterLocator.hopsMax
        case .mapped, .asking:
            if wantsReplica { nodesFailed += 1 }
            // The map may be old. When no time is left for it, the next attempt begins with it.
            guard nodes.isCluster, !hasFetched, !mustFetch, platform_monotonic_ms() < deadline
            else { return false }
            mustFetch = true
            return true
        case .nobody: return false
        }
    }

    // MARK: Redirects

    override var saysAsking: Bool { choice == .asking }

    override var doubtsIdle: Bool { false }

    override func answered(_ line: [UInt8], by server: Server) {
        guard let redirect = RedirectText(line) else { return }
        let place = nodes.redirected(redirect, by: server)
        guard target == .slot(redirect.slot), let place, let named = nodes.server(at: place) else {
            return
        }
        if redirect.asks {
            asked = named
            askedUntil = platform_monotonic_ms() + ClusterLocator.askedMs
        } else if !named.isSame(as: server) {
            // The next connection begins where the map says now.
            fetchesUsed = nil
        }
    }

    // MARK: In doubt

    override var canHaveMoved: Bool { isOfCluster && target != .anyNode && !isScout }

    override func beginInDoubt(_ deadline: Int64) throws(RedcolError) -> Int32 {
        let scout = try Connection(
            endpoint, timeouts,
            locator: ClusterLocator(
                nodes, endpoint, timeouts, for: .anyNode, isScout: true, lost: lost))
        self.scout = scout
        return scout.pollDescriptor
    }

    private func advance(_ scout: Connection, _ now: Int64) throws(RedcolError) -> Server? {
        guard try scout.advanceAfterWait(now) else { return nil }
        return nodes.server(for: target, number: number)?.server ?? lost
    }

    override var wakeAt: Int64 { scout?.deadline ?? .max }

    override func end() { scout = nil }
}
