// SPDX-License-Identifier: Apache-2.0
// The slots of keys, and the map of a cluster: from both answers that nodes give, and from what
// they say of a key that another one has. Hostile answers change nothing.

import RedisConnection
import TestSupport
import Testing

@testable import RedisTopology

private func int(_ value: Int) -> Reply { .integer(WireInteger(Int64(value))) }
private func bulk(_ text: String) -> Reply { .bulk(utf8(text)) }

private func node(_ host: String, _ port: UInt16) -> ClusterMap.Node {
    ClusterMap.Node(host: utf8(host), port: port)
}

private let asked = node("seed", 7_000)

/// A line of CLUSTER SLOTS.
private func range(_ first: Int, _ last: Int, _ nodes: (String, Int)...) -> Reply {
    .array([int(first), int(last)] + nodes.map { .array([bulk($0.0), int($0.1), bulk("id")]) })
}

private func member(
    _ host: String, _ port: Int, _ role: String, health: String = "online"
) -> Reply {
    .array([
        bulk("id"), bulk("x"), bulk("port"), int(port), bulk("tls-port"), int(port + 1), bulk("ip"),
        bulk("10.0.0.9"), bulk("endpoint"), bulk(host), bulk("role"), bulk(role),
        bulk("replication-offset"), int(1), bulk("health"), bulk(health),
    ])
}

/// A shard of CLUSTER SHARDS.
private func shard(_ slots: [Int], _ members: Reply...) -> Reply {
    .array([bulk("slots"), .array(slots.map(int)), bulk("nodes"), .array(members)])
}

private func taken(_ parts: Reply...) -> ClusterMap? {
    var map = ClusterMap()
    return map.take(.array(parts), asked: asked, isTLS: false) ? map : nil
}

/// Slots that CLUSTER KEYSLOT of Redis 7.0 gives.
@Test(arguments: [
    ("", 0), ("123456789", 12_739), ("foo", 12_182), ("{user1000}.following", 3_443),
    ("{user1000}.followers", 3_443), ("user1000", 3_443), ("foo{}{bar}", 8_363),
    ("foo{{bar}}zap", 4_015), ("foo{bar}{zap}", 5_061), ("foo{bar", 15_278),
])
func slotsOfKeys(_ key: String, _ slot: Int) {
    #expect(HashSlot.of(utf8(key)) == slot)
}

@Test func slotsFromBothAnswers() throws {
    let fromSlots = try #require(
        taken(
            range(0, 5_460, ("a", 1), ("b", 2)), range(5_461, 5_461, ("c", 3)),
            range(5_462, 16_000, ("a", 1), ("b", 2))))
    let fromShards = try #require(
        taken(
            shard([0, 5_460, 5_462, 16_000], member("b", 2, "replica"), member("a", 1, "master")),
            shard([5_461, 5_461], member("c", 3, "master"))))
    for map in [fromSlots, fromShards] {
        #expect(map.owner(of: 0).map { map.nodes[$0] } == node("a", 1))
        #expect(map.owner(of: 5_460) == map.owner(of: 5_462))
        #expect(map.owner(of: 5_461).map { map.nodes[$0] } == node("c", 3))
        #expect(map.owner(of: 16_000) == map.owner(of: 0))
        #expect(map.owner(of: 16_001) == nil)
        #expect(map.owner(of: 16_384) == nil)
        #expect(map.primaries.count == 2)
        #expect(map.members.count == 3)
        let first = try #require(map.owner(of: 0))
        #expect(map.replicas(of: first).map { map.nodes[$0] } == [node("b", 2)])
        #expect(!map.isPrimary(try #require(map.nodes.firstIndex(of: node("b", 2)))))
    }
}

/// No endpoint, an empty one and "?" mean the host that was asked, or the address.
@Test func nodesWithoutAnEndpoint() throws {
    for missing in [Reply.null, bulk("")] {
        let nodes = Reply.array([int(0), int(9), .array([missing, int(5), bulk("id")])])
        #expect(try #require(taken(nodes)).nodes == [node("seed", 5)])
    }
    let named = Reply.array([
        int(0), int(9),
        .array([bulk("?"), int(5), bulk("id"), .array([bulk("ip"), bulk("10.0.0.1")])]),
    ])
    #expect(try #require(taken(named)).nodes == [node("10.0.0.1", 5)])
    #expect(
        try #require(taken(shard([0, 1], member("?", 5, "master")))).nodes == [node("10.0.0.9", 5)])
    var tls = ClusterMap()
    let answer = Reply.array([shard([0, 1], member("a", 5, "master"))])
    let isTaken = tls.take(answer, asked: asked, isTLS: true)
    #expect(isTaken)
    #expect(tls.nodes == [node("a", 6)])
}

/// After a failover a shard still has the old primary: the one that answers counts, in any order.
@Test func aShardWithAPrimaryThatFailed() throws {
    let old = member("old", 1, "master", health: "fail")
    let new = member("new", 2, "master")
    for shard in [shard([0, 9], old, new), shard([0, 9], new, old)] {
        let map = try #require(taken(shard))
        #expect(map.owner(of: 5).map { map.nodes[$0] } == node("new", 2))
        #expect(map.primaries.count == 1)
    }
    // Nobody has taken over yet; and one that lost all of its slots.
    let alone = try #require(taken(shard([0, 9], old), shard([], old), shard([], new)))
    #expect(alone.owner(of: 5).map { alone.nodes[$0] } == node("old", 1))
}

@Test func placesStayWhileNodesComeAndGo() throws {
    var map = try #require(taken(range(0, 99, ("a", 1)), range(100, 199, ("b", 1))))
    let a = try #require(map.owner(of: 0))
    let moved = map.moved(5, to: node("c", 1))
    let c = try #require(moved)
    #expect(map.owner(of: 5) == c)
    #expect(map.owner(of: 6) == a)
    #expect(map.isPrimary(c))
    let beyond = map.moved(16_384, to: node("c", 1))
    #expect(beyond == nil)
    let answer = Reply.array([range(0, 199, ("c", 1), ("a", 1))])
    let isFirstTaken = map.take(answer, asked: asked, isTLS: false)
    #expect(isFirstTaken)
    #expect(map.owner(of: 150) == c)
    #expect(map.primaries == [c])
    #expect(map.replicas(of: c) == [a])
    // A cluster whose addresses change all the time does not fill the memory.
    for port in 1...UInt16(5_000) {
        #expect(map.moved(7, to: node("d", port)) != nil || port > 500)
    }
    #expect(map.nodes.count == ClusterMap.nodesMax)
    let isTaken = map.take(answer, asked: asked, isTLS: false)
    #expect(isTaken)
    #expect(map.owner(of: 150) == c)
    let another = map.moved(7, to: node("e", 1))
    #expect(another != nil)
    #expect(map.nodes.count == ClusterMap.nodesMax)
}

private struct Attack: CustomTestStringConvertible, Sendable {
    var name: String
    var answer: Reply
    var testDescription: String { name }
}

private let attacks = [
    Attack(name: "no array", answer: bulk("slots")),
    Attack(name: "numbers", answer: .array([int(1), int(2)])),
    Attack(name: "an empty range", answer: .array([.array([])])),
    Attack(name: "no node", answer: .array([.array([int(0), int(1)])])),
    Attack(name: "a slot too many", answer: .array([range(0, 16_384, ("a", 1))])),
    Attack(name: "backwards", answer: .array([range(9, 8, ("a", 1))])),
    Attack(name: "negative", answer: .array([range(-1, 8, ("a", 1))])),
    Attack(name: "port 0", answer: .array([range(0, 8, ("a", 0))])),
    Attack(name: "port 65536", answer: .array([range(0, 8, ("a", 65_536))])),
    Attack(
        name: "too many ranges",
        answer: .array([Reply](repeating: range(0, 8, ("a", 1)), count: 16_385))),
    Attack(
        name: "too many nodes",
        answer: .array((1...1_025).map { range($0, $0, ("a", $0)) })),
    Attack(
        name: "too many replicas",
        answer: .array([
            .array(
                [int(0), int(1)] + (1...1_025).map { .array([bulk("a"), int($0), bulk("id")]) })
        ])),
    Attack(name: "a shard without nodes", answer: .array([.array([bulk("slots"), .array([])])])),
    Attack(name: "half a range", answer: .array([shard([1], member("a", 1, "master"))])),
    Attack(
        name: "slots and no primary", answer: .array([shard([0, 1], member("a", 1, "replica"))])),
]

@Test(arguments: attacks)
private func answersThatCannotBe(_ attack: Attack) throws {
    var map = try #require(taken(range(0, 99, ("a", 1))))
    let isTaken = map.take(attack.answer, asked: asked, isTLS: false)
    #expect(!isTaken)
    #expect(map.owner(of: 50) == 0)
    #expect(map.nodes == [node("a", 1)])
}

@Test func redirects() throws {
    let moved = try #require(RedirectText(utf8("MOVED 3999 127.0.0.1:6381")))
    #expect((moved.asks, moved.slot, moved.port) == (false, 3_999, 6_381))
    #expect(moved.host == utf8("127.0.0.1"))
    let ask = try #require(RedirectText(utf8("ASK 16383 ::1:65535")))
    #expect((ask.asks, ask.slot, ask.port) == (true, 16_383, 65_535))
    #expect(ask.host == utf8("::1"))
    #expect(try #require(RedirectText(utf8("MOVED 1 :7000"))).host.isEmpty)
    #expect(try #require(RedirectText(utf8("MOVED 1 ?:7000"))).host.isEmpty)
    for wrong in [
        "", "MOVED", "MOVED 1", "MOVED x a:1", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED 1 a",
        "MOVED 1 a:", "MOVED 1 a:0", "MOVED 1 a:65536", "MOVED 1 a:123456", "ERR 1 a:1",
        "MOVEDX 1 a:1", "ASKING 1 a:1",
    ] {
        #expect(RedirectText(utf8(wrong)) == nil, "\(wrong)")
    }
}
