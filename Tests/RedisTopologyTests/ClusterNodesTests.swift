// SPDX-License-Identifier: Apache-2.0
// What all connections know of a cluster together, and where a connection begins.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisTopology

private func int(_ value: Int) -> Reply { .integer(WireInteger(Int64(value))) }

private func range(_ first: Int, _ last: Int, _ host: String, _ port: Int) -> Reply {
    .array([int(first), int(last), .array([.bulk(utf8(host)), int(port), .bulk(utf8("id"))])])
}

private func redirect(_ line: String) throws -> RedirectText {
    try #require(RedirectText(utf8(line)))
}

private func candidates(_ nodes: ClusterNodes, lost: Server? = nil) -> [String] {
    nodes.candidates(number: 0, lost: lost).map { $0.shown }
}

@Test func aServerIsNoClusterUntilItSaysSo() throws {
    let topology = try Topology.make(try Endpoint(url: "redis://a:1"), Timeouts())
    #expect(!topology.isCluster)
    #expect(topology.places == [0])
    #expect(topology.place(of: utf8("foo")) == 0)
    #expect(Topology.slot(of: utf8("foo")) == 12_182)
    #expect(topology.timeouts.retryMs == Timeouts().retryMs)
}

@Test func whereKeysAre() throws {
    let endpoint = try Endpoint(url: "rediss://a:1,b:2")
    let nodes = try ClusterNodes.make(endpoint)
    #expect(!nodes.isCluster)
    #expect(nodes.server(for: .slot(5), number: 0) == nil)
    #expect(candidates(nodes) == ["rediss://a:1", "rediss://b:2"])
    #expect(
        nodes.take(.array([range(0, 99, "x", 1), range(100, 199, "", 9)]), from: nodes.seeds[1]))
    #expect(nodes.isCluster)
    #expect(nodes.fetchCount == 1)
    let found = try #require(nodes.server(for: .slot(5), number: 0))
    #expect((found.server.shown, found.fetches) == ("rediss://x:1", 1))
    #expect(nodes.server(for: .slot(150), number: 0)?.server.shown == "rediss://b:9")
    #expect(nodes.server(for: .slot(200), number: 0) == nil)
    #expect(nodes.place(of: 200) == nil)
    // Another node, and one that is asked last.
    #expect(
        candidates(nodes, lost: found.server)
            == ["rediss://b:9", "rediss://a:1", "rediss://b:2", "rediss://x:1"])

    #expect(!nodes.isOld)
    let place = nodes.redirected(try redirect("MOVED 5 y:3"), by: found.server)
    #expect(nodes.place(of: 5) == place)
    #expect(nodes.server(for: .slot(5), number: 0)?.server.shown == "rediss://y:3")
    #expect(nodes.isOld)
    // ASK changes no slot.
    let asked = try #require(nodes.redirected(try redirect("ASK 5 z:4"), by: found.server))
    #expect(nodes.place(of: 5) == place)
    #expect(nodes.server(at: asked)?.shown == "rediss://z:4")
    #expect(nodes.server(for: .node(asked), number: 0) == nil)
    // The host that has answered.
    let same = try #require(nodes.redirected(try redirect("MOVED 6 :7"), by: found.server))
    #expect(nodes.server(at: same)?.shown == "rediss://x:7")

    #expect(!nodes.take(.array([int(1)]), from: found.server))
    #expect((nodes.fetchCount, nodes.isOld) == (1, true))
}

@Test func addressesThatAreMapped() throws {
    let endpoint = try Endpoint(
        url: "redis://127.0.0.1:17000?address_map=10.0.0.1:7000%3D127.0.0.1:17000,"
            + "10.0.0.2:7000%3D127.0.0.1:17001")
    let nodes = try ClusterNodes.make(endpoint)
    let answer = Reply.array([
        range(0, 9, "10.0.0.1", 7_000), range(10, 19, "10.0.0.2", 7_000),
        range(20, 29, "10.0.0.3", 7_000),
    ])
    #expect(nodes.take(answer, from: nodes.seeds[0]))
    #expect(nodes.server(for: .slot(0), number: 0)?.server.shown == "redis://127.0.0.1:17000")
    #expect(nodes.server(for: .slot(10), number: 0)?.server.shown == "redis://127.0.0.1:17001")
    #expect(nodes.server(for: .slot(20), number: 0)?.server.shown == "redis://10.0.0.3:7000")
    // An endpoint that is not known is that of the node that was asked, under its own name.
    #expect(nodes.take(.array([range(0, 9, "", 7_000)]), from: nodes.seeds[0]))
    #expect(nodes.server(for: .slot(0), number: 0)?.server.shown == "redis://127.0.0.1:17000")
}

@Test func aNodeBehindAUnixSocketIsReachedThere() throws {
    let nodes = try ClusterNodes.make(try Endpoint(url: "unix:///run/node"))
    #expect(nodes.take(.array([range(0, 9, "", 7_000)]), from: nodes.seeds[0]))
    #expect(nodes.server(for: .slot(0), number: 0)?.server.shown == "unix:///run/node")
}
