// SPDX-License-Identifier: Apache-2.0
// Which slots a node has, as it says itself: who looks at all keys of a node learns from it whether
// more keys have come meanwhile.
// https://redis.io/docs/latest/commands/cluster-nodes/

import RedisConnection

/// The slots of one node; of a replica, those of its primary.
public struct NodeSlots {
    public static var question: Command { Command("CLUSTER", "NODES") }

    private typealias Bits = [UInt64]
    private var here = Bits(repeating: 0, count: HashSlot.count / 64)
    /// Slots that are being moved to the node: some of their keys may be there.
    private var arriving = Bits(repeating: 0, count: HashSlot.count / 64)

    /// Reads the answer to `question`; nil if the server answered something else.
    public init?(_ answer: Reply) {
        guard case .bulk(let text) = answer else { return nil }
        // Node, address, flags, primary, four numbers and states, and then slots.
        let nodes = text.split(separator: UInt8(ascii: "\n")).map {
            $0.split(separator: UInt8(ascii: " "))
        }
        func isNode(_ words: [ArraySlice<UInt8>]) -> Bool { words.count >= 8 }
        guard
            let asked = nodes.first(where: {
                isNode($0) && $0[2].starts(with: Array("myself".utf8))
            })
        else { return nil }
        let primary = nodes.first { isNode($0) && $0[0].elementsEqual(asked[3]) }
        for word in (primary ?? asked).dropFirst(8) where !take(word) { return nil }
    }

    /// "7", "0-99", or a slot that moves: "[93-<-node]" to this node, "[77->-node]" away from it.
    private mutating func take(_ word: ArraySlice<UInt8>) -> Bool {
        let isMoving = word.first == UInt8(ascii: "[")
        let parts = (isMoving ? word.dropFirst() : word).split(
            separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap(RedirectText.number), first < HashSlot.count else {
            return false
        }
        if isMoving {
            if parts.count > 1, parts[1].first == UInt8(ascii: "<") {
                arriving[first / 64] |= 1 << UInt64(first % 64)
            }
            return true
        }
        guard let last = parts.count > 1 ? RedirectText.number(parts[1]) : first,
            last < HashSlot.count, last >= first
        else { return false }
        for slot in first...last { here[slot / 64] |= 1 << UInt64(slot % 64) }
        return true
    }

    /// Whether keys can have come to the node since it had the slots `before`.
    public func hasGained(since before: NodeSlots) -> Bool {
        here.indices.contains { (here[$0] | arriving[$0]) & ~before.here[$0] != 0 }
    }

    /// Takes the slots of another node, too.
    public mutating func add(_ other: NodeSlots) {
        for index in here.indices {
            here[index] |= other.here[index]
            arriving[index] |= other.arriving[index]
        }
    }
}
