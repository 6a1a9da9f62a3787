// SPDX-License-Identifier: Apache-2.0
// What is known of the cluster behind a URL, if there is one, for all of its connections.

import RedcolBase
import RedisConnection

/// What a connection to a cluster is for.
enum ClusterTarget: Equatable {
    /// Any node will do.
    case anyNode
    /// The primary that has the slot.
    case slot(Int)
    /// The node at this place, while it is a primary.
    case node(Int)
}

/// The servers of a URL, and the map of the cluster that they are nodes of. Any thread.
final class ClusterNodes: @unchecked Sendable {
    /// A map that was lost is looked for at so many nodes, and at those of the URL.
    private static let askedMax = 6

    /// The servers of the URL: one, unless it names several nodes.
    let seeds: [Server]
    private let addressMap: AddressMap
    private let locked: Lock
    private var map: ClusterMap?
    /// How often the map was fetched.
    private var fetches = 0
    /// A node has said that the map is wrong somewhere.
    private var isWrong = false
    /// The server has said that it is no node of a cluster.
    private var isSingle = false

    static func make(_ endpoint: Endpoint) throws(RedcolError) -> ClusterNodes {
        ClusterNodes(endpoint, try Lock(for: "a client"))
    }

    private init(_ endpoint: Endpoint, _ lock: consuming Lock) {
        seeds = [endpoint.server] + endpoint.otherServers
        addressMap = endpoint.addressMap
        locked = lock
    }

    /// Whether one of the servers has said that it is a node of a cluster.
    var isCluster: Bool { locked { map != nil } }

    /// Whether it is known if the servers are a cluster.
    var isKnown: Bool { locked { map != nil || isSingle } }

    func isNoCluster() { locked { isSingle = true } }

    /// How often the map was fetched.
    var fetchCount: Int { locked { fetches } }

    /// Whether the map should be fetched again where that costs little.
    var isOld: Bool { locked { map == nil || isWrong } }

    // MARK: Questions

    /// The server for this target, and how often the map was fetched that names it; nil if none is
    /// known. `number`: chooses among nodes of which any will do. `failures`: how many of them have
    /// failed; after all replicas, the primary is chosen.
    func server(
        for target: ClusterTarget, _ source: ReadSource = .primary, number: Int, failures: Int = 0
    ) -> (server: Server, fetches: Int)? {
        locked {
            guard let map else { return nil }
            let places = places(for: target, source, map)
            guard let primary = places.first else { return nil }
            let first = source == .replica && places.count > 1 ? 1 : 0
            let count = places.count - first
            let isLast = target != .anyNode && failures >= count
            let place = isLast ? primary : places[first + (number + failures) % count]
            return (server(at: place, map), fetches)
        }
    }

    /// All servers that are chosen from for this target.
    func servers(for target: ClusterTarget, _ source: ReadSource = .primary) -> [Server] {
        locked {
            guard let map else { return [] }
            let places = places(for: target, source, map)
            let first = source == .replica && places.count > 1 ? 1 : 0
            return places[first...].map { server(at: $0, map) }
        }
    }

    /// Nodes that will do, the primary first.
    private func places(
        for target: ClusterTarget, _ source: ReadSource, _ map: ClusterMap
    ) -> [Int] {
        var primary: Int?
        switch target {
        case .anyNode: return map.primaries
        case .slot(let slot): primary = map.owner(of: slot)
        case .node(let place): primary = map.isPrimary(place) ? place : nil
        }
        guard let primary else { return [] }
        return [primary] + (source == .primary ? [] : map.replicas(of: primary))
    }

    /// Servers that may know the map, the best to ask first. `number`: where to begin. `lost`: the
    /// one that has just been lost, which is asked last.
    func candidates(number: Int, lost: Server?) -> [Server] {
        var found: [Server] = []
        func add(_ server: Server, evenIfLost: Bool = false) {
            if let lost, server.isSame(as: lost), !evenIfLost { return }
            if !found.contains(where: { $0.isSame(as: server) }) { found.append(server) }
        }
        let known = locked { () -> [Server] in
            guard let map else { return [] }
            let members = map.members
            return members.indices.prefix(ClusterNodes.askedMax).map {
                server(at: members[(number + $0) % members.count], map)
            }
        }
        for server in known { add(server) }
        for index in seeds.indices { add(seeds[(number + index) % seeds.count]) }
        if let lost { add(lost, evenIfLost: true) }
        return found
    }

    /// The place of the primary of this slot; nil if there is none.
    func place(of slot: Int) -> Int? { locked { map?.owner(of: slot) } }

    /// The places of the primaries.
    var places: [Int] { locked { map?.primaries ?? [0] } }

    private func server(at place: Int, _ map: ClusterMap) -> Server {
        let node = map.nodes[place]
        // Reached through a unix socket, of which the map knows nothing.
        if node.host.isEmpty { return seeds[0] }
        let (host, port) = addressMap.reached(node.host, node.port)
        return seeds[0].node(host: host, port: port)
    }

    // MARK: Changes

    /// Slots have moved, it is not known where.
    func doubtMap() { locked { isWrong = true } }

    /// Takes the answer to CLUSTER SLOTS or CLUSTER SHARDS; false if no server should answer so.
    func take(_ answer: Reply, from server: Server) -> Bool {
        locked {
            var taken = map ?? ClusterMap()
            guard taken.take(answer, asked: asked(server), isTLS: server.tls != nil) else {
                return false
            }
            map = taken
            fetches += 1
            isWrong = false
            return true
        }
    }

    /// A node has named another one for a slot: its place; nil if there is no room for it.
    func redirected(_ redirect: RedirectText, by server: Server) -> Int? {
        locked {
            var changed = map ?? ClusterMap()
            let node = ClusterMap.Node(
                host: redirect.host.isEmpty ? asked(server).host : redirect.host,
                port: redirect.port)
            let place =
                redirect.asks ? changed.add(node) : changed.moved(redirect.slot, to: node)
            map = changed
            if !redirect.asks { isWrong = true }
            return place
        }
    }

    /// Where a node is reached that does not know its own address: where it was asked.
    private func asked(_ server: Server) -> ClusterMap.Node {
        guard let (host, port) = server.hostAndPort else {
            return ClusterMap.Node(host: [], port: 0)
        }
        return ClusterMap.Node(host: addressMap.named(host, port), port: port)
    }

    func server(at place: Int) -> Server? {
        locked {
            guard let map, map.nodes.indices.contains(place) else { return nil }
            return server(at: place, map)
        }
    }
}
