// SPDX-License-Identifier: Apache-2.0
// Which slots a node says that it has, and whether more have come.

import RedisConnection
import TestSupport
import Testing

@testable import RedisTopology

private func slots(_ mine: String, _ others: String...) -> NodeSlots? {
    let lines = ["aa 127.0.0.1:1@2 myself,master - 0 0 1 connected \(mine)"] + others
    return NodeSlots(.bulk(utf8(lines.joined(separator: "\n") + "\n")))
}

@Test(arguments: [
    ("0-99 200", "0-99 200", false), ("0-99", "0-98", false), ("0-99", "0-100", true),
    ("", "16383", true), ("0-99", "0-99 [100-<-bb]", true), ("0-99", "0-99 [99->-bb]", false),
    ("0-99 [100-<-bb]", "0-100", true), ("5", "", false), ("63 64", "63-64", false),
])
func whetherSlotsHaveCome(before: String, now: String, hasGained: Bool) throws {
    let before = try #require(slots(before))
    let now = try #require(slots(now))
    #expect(now.hasGained(since: before) == hasGained)
}

@Test func aReplicaHasTheSlotsOfItsPrimary() throws {
    func seen(_ slots: String) -> NodeSlots? {
        NodeSlots(
            .bulk(
                utf8(
                    """
                    bb 127.0.0.1:3@4,name master - 0 1 2 connected \(slots)
                    aa 127.0.0.1:1@2 myself,slave bb 0 1 2 connected
                    cc 127.0.0.1:5@6 master - 0 1 3 connected 500-600

                    """)))
    }
    let before = try #require(seen("0-99"))
    #expect(try #require(seen("0-100")).hasGained(since: before))
    #expect(try !#require(seen("0-99")).hasGained(since: before))
}

@Test func slotsOfSeveralNodes() throws {
    var all = try #require(slots("0-9"))
    all.add(try #require(slots("10-19")))
    #expect(try !#require(slots("0-19")).hasGained(since: all))
    #expect(try #require(slots("0-20")).hasGained(since: all))
}

@Test(arguments: [
    "", "aa 127.0.0.1:1@2 master - 0 0 1 connected 0-9", "myself", "aa x myself - 0 0 1",
    "aa x myself - 0 0 1 c 16384", "aa x myself - 0 0 1 c 9-8", "aa x myself - 0 0 1 c a",
    "aa x myself - 0 0 1 c [16384-<-b]", "aa x myself - 0 0 1 c 1-", "aa x myself - 0 0 1 c [",
])
func whatNoNodeAnswers(text: String) {
    #expect(NodeSlots(.bulk(utf8(text))) == nil)
}

@Test func anErrorSaysNothing() {
    #expect(NodeSlots(.error(utf8("NOPERM no permission"))) == nil)
}
