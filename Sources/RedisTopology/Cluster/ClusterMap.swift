// SPDX-License-Identifier: Apache-2.0
// Which node of a cluster has which slots, as one of the nodes sees it. Pure: it knows no socket,
// and is tested without a server.
// https://redis.io/docs/latest/commands/cluster-slots/ and cluster-shards

import RedcolBase
import RedisConnection

/// The slots of a cluster and the nodes that have them.
struct ClusterMap {
    /// More nodes are no cluster: Redis recommends at most 1,000.
    static let nodesMax = 1_024
    /// Slots come in ranges, and no range is empty.
    private static let rangesMax = HashSlot.count

    /// Where clients reach a node. Without a host: at the address where the map was asked for.
    struct Node: Equatable {
        var host: [UInt8]
        var port: UInt16
    }

    /// Every node that was ever named. A node's place in it stays the same as long as there is room
    /// for new ones.
    private(set) var nodes: [Node] = []
    /// The places of those that were named since the map was taken last.
    private var named: Set<Int> = []
    /// The primary of each slot as its place among the nodes; -1: no node has it.
    private var owners = [Int16](repeating: -1, count: HashSlot.count)
    /// The replicas of the node at each place; nil if the node is no primary.
    private var replicas: [[Int]?] = []

    // MARK: Questions

    /// The place of the node that has this slot; nil if none has.
    func owner(of slot: Int) -> Int? {
        guard owners.indices.contains(slot), owners[slot] >= 0 else { return nil }
        return Int(owners[slot])
    }

    func isPrimary(_ place: Int) -> Bool {
        replicas.indices.contains(place) && replicas[place] != nil
    }

    func replicas(of place: Int) -> [Int] {
        replicas.indices.contains(place) ? replicas[place] ?? [] : []
    }

    /// The places of the nodes that have slots, or are to get some.
    var primaries: [Int] { replicas.indices.filter { replicas[$0] != nil } }

    /// The places of all nodes that are in the cluster now.
    var members: [Int] {
        var isMember = nodes.map { _ in false }
        for place in primaries {
            isMember[place] = true
            for replica in replicas(of: place) { isMember[replica] = true }
        }
        return isMember.indices.filter { isMember[$0] }
    }

    // MARK: Changes

    /// A node has said that another one has this slot now; false if there is no room for it.
    mutating func moved(_ slot: Int, to node: Node) -> Int? {
        guard owners.indices.contains(slot), let place = add(node) else { return nil }
        owners[slot] = Int16(truncatingIfNeeded: place)
        if replicas[place] == nil { replicas[place] = [] }
        return place
    }

    /// The place of a node, which is added if it is new; nil if there are too many.
    mutating func add(_ node: Node) -> Int? {
        var place = nodes.firstIndex(of: node)
        if place == nil, nodes.count < ClusterMap.nodesMax {
            place = nodes.count
            nodes.append(node)
            replicas.append(nil)
        }
        // Nodes that left the cluster make room.
        guard let place = place ?? nodes.indices.first(where: { !named.contains($0) }) else {
            return nil
        }
        nodes[place] = node
        named.insert(place)
        return place
    }

    /// Takes the answer to CLUSTER SLOTS or CLUSTER SHARDS in place of all that was known; false if
    /// no server should answer so, and then nothing has changed. `asked`: who has answered.
    mutating func take(_ answer: Reply, asked: Node, isTLS: Bool) -> Bool {
        guard case .array(let parts) = answer, parts.count <= ClusterMap.rangesMax else {
            return false
        }
        var map = self
        map.owners = [Int16](repeating: -1, count: HashSlot.count)
        map.replicas = nodes.map { _ in nil }
        map.named = []
        for part in parts {
            guard case .array(let items) = part, let first = items.first else { return false }
            let isTaken =
                if case .integer = first {
                    map.takeRange(items, asked)
                } else {
                    map.takeShard(part, asked, isTLS: isTLS)
                }
            guard isTaken else { return false }
        }
        self = map
        return true
    }

    /// A range of CLUSTER SLOTS: its first and last slot, the primary, and the replicas.
    private mutating func takeRange(_ items: [Reply], _ asked: Node) -> Bool {
        guard items.count >= 3, let slots = ClusterMap.range(items[0], items[1]),
            let primary = node(items[2], asked), let place = add(primary)
        else { return false }
        if replicas[place] == nil {
            var found: [Int] = []
            for item in items[3...] {
                guard let replica = node(item, asked), let place = add(replica) else {
                    return false
                }
                found.append(place)
            }
            replicas[place] = found
        }
        give(slots, to: place)
        return true
    }

    /// A node of CLUSTER SLOTS: endpoint, port, id, and since Redis 7 further names.
    private func node(_ reply: Reply, _ asked: Node) -> Node? {
        guard case .array(let parts) = reply, parts.count >= 2,
            let port = ClusterMap.port(parts[1])
        else { return nil }
        var host: [UInt8] = []
        if case .bulk(let text) = parts[0] { host = text }
        // A node without the name that is preferred.
        if host.elementsEqual("?".utf8) {
            host = parts.count > 3 ? parts[3].value(of: "ip") ?? [] : []
        }
        return host.isEmpty ? Node(host: asked.host, port: port) : Node(host: host, port: port)
    }

    /// A shard of CLUSTER SHARDS: the slots that its primary has, and its nodes.
    private mutating func takeShard(_ reply: Reply, _ asked: Node, isTLS: Bool) -> Bool {
        guard case .array(let bounds)? = reply.part(named: "slots"), bounds.count.isMultiple(of: 2),
            case .array(let members)? = reply.part(named: "nodes")
        else { return false }
        var primary: Int?
        var isOnline = false
        var others: [Int] = []
        for member in members {
            guard case .array = member else { return false }
            let isHealthy = member.value(of: "health")?.elementsEqual("online".utf8) ?? false
            let isPrimary = member.value(of: "role")?.elementsEqual("master".utf8) ?? false
            // A replica that cannot answer is of no use. A primary that fails is still the one,
            // until the shard has another one.
            guard isHealthy || isPrimary && !isOnline else { continue }
            guard let node = shardNode(member, asked, isTLS: isTLS), let place = add(node) else {
                return false
            }
            if isPrimary {
                primary = place
                isOnline = isHealthy
            } else {
                others.append(place)
            }
        }
        // A failed primary whose slots were taken over stands by itself, without any.
        guard let primary, isOnline || !bounds.isEmpty else { return bounds.isEmpty }
        replicas[primary] = others
        for index in stride(from: 0, to: bounds.count, by: 2) {
            guard let slots = ClusterMap.range(bounds[index], bounds[index + 1]) else {
                return false
            }
            give(slots, to: primary)
        }
        return true
    }

    private func shardNode(_ member: Reply, _ asked: Node, isTLS: Bool) -> Node? {
        guard let port = member.part(named: isTLS ? "tls-port" : "port").flatMap(ClusterMap.port)
        else { return nil }
        var host = member.value(of: "endpoint") ?? []
        if host.elementsEqual("?".utf8) { host = member.value(of: "ip") ?? [] }
        return Node(host: host.isEmpty ? asked.host : host, port: port)
    }

    private mutating func give(_ slots: ClosedRange<Int>, to place: Int) {
        for slot in slots { owners[slot] = Int16(truncatingIfNeeded: place) }
    }

    private static func range(_ first: Reply, _ last: Reply) -> ClosedRange<Int>? {
        guard let first = first.count(most: HashSlot.count - 1),
            let last = last.count(most: HashSlot.count - 1), first <= last
        else { return nil }
        return first...last
    }

    private static func port(_ reply: Reply) -> UInt16? {
        reply.count(most: 65_535).flatMap { $0 > 0 ? UInt16($0) : nil }
    }
}
