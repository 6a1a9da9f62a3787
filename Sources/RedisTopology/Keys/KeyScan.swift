// SPDX-License-Identifier: Apache-2.0
// Finding the streams whose keys match a pattern: SCAN, page by page, which holds the server up as
// little as is wanted. https://redis.io/docs/latest/commands/scan/

import RedcolBase
import RedisConnection

/// Which streams are wanted.
public enum ChosenStreams: Equatable {
    /// Those whose keys match this pattern, sorted.
    case matching([UInt8])
    /// These, in their order.
    case named([[UInt8]])
}

/// The state of a search for keys, of a server or of one node of a cluster. Pure: it knows no
/// socket.
///
/// A key that moves to another node during the search may have left the one before its turn, and
/// come to the other after its turn. So nodes are asked for their slots, before the search and when
/// it is over at all of them (`lookAgain`): where slots have come, it is made a second time.
public struct KeyScan {
    private let pattern: [UInt8]
    private let count: Int
    private let countsOthers: Bool
    private var cursor: [UInt8] = KeyScan.beginning
    private var found = NameList()
    public private(set) var isDone = false
    /// What an answer has brought, while the one with the keys of all types is awaited.
    private var page: (streams: Set<[UInt8]>, next: [UInt8])?
    /// The slots of the node when its search began, and now; nil if they are not known.
    public private(set) var slots: (before: NodeSlots?, now: NodeSlots?)
    /// What is asked next.
    private enum Step { case slotsAndKeys, keys, slots }
    private var step = Step.keys
    /// Hashes of keys of other types, since SCAN may return a key twice.
    private var others: [Int] = []

    private static let beginning: [UInt8] = [0x30]
    /// Keys that the server looks at for one answer: it is busy for well under a millisecond.
    public static let countUsual = 1_000

    /// `count`: how many keys the server looks at for each answer. `countsOthers`: keys of other
    /// types are counted too, for which the server is asked twice as much. `ofNode`: of one node of
    /// several.
    public init(
        pattern: [UInt8], count: Int, countsOthers: Bool = false, ofNode: Bool = false
    ) {
        if ofNode { step = .slotsAndKeys }
        self.pattern = pattern
        self.count = count
        self.countsOthers = countsOthers
        // Without a special character the pattern is a key, and nothing needs to be searched.
        if !pattern.contains(where: { [0x2A, 0x3F, 0x5B, 0x5C].contains($0) }) {  // * ? [ \
            found.append(pattern)
            isDone = true
        }
    }

    /// What to ask next, all at once: `take` wants an answer to each. In a cluster, too: Valkey 9.1
    /// has CLUSTERSCAN for that, which no other server knows, and SCAN on each primary with a look
    /// at its slots (`NodeSlots`) finds the same on all of them.
    public var commands: [Command] {
        var all = Command("SCAN")
        all.add(cursor)
        all.add("MATCH")
        all.add(pattern)
        all.add("COUNT")
        all.add(String(count))
        var streams = all
        streams.add("TYPE")
        streams.add("stream")
        let keys = countsOthers ? [streams, all] : [streams]
        switch step {
        case .slotsAndKeys: return [NodeSlots.question] + keys
        case .slots: return [NodeSlots.question]
        case .keys: return keys
        }
    }

    /// The search is over at all nodes: whether this one is to be asked for its slots again.
    public mutating func lookAgain() -> Bool {
        guard slots.before != nil else { return false }
        step = .slots
        isDone = false
        return true
    }

    /// Whether the next answer has the slots. An error in their place says that they are not known.
    public var awaitsSlots: Bool { step != .keys }

    private mutating func take(slots reply: Reply) {
        slots.now = NodeSlots(reply)
        if case .slots = step, let before = slots.before {
            isDone = slots.now?.hasGained(since: before) != true
            cursor = KeyScan.beginning
        } else {
            slots.before = slots.now
        }
        step = .keys
    }

    /// Memory that taking an answer, and sorting what was found by then, takes. A hundred bytes for
    /// each key, and four times its name.
    public func memory(for reply: Reply) -> Int {
        guard case .array(let parts) = reply, parts.count == 2, case .array(let keys) = parts[1]
        else { return 0 }
        var bytes = found.byteCount
        for case .bulk(let name) in keys { bytes += name.count }
        return 4 * bytes + 100 * (found.count + keys.count + others.count)
    }

    /// Takes an answer; false if it is not one.
    public mutating func take(_ reply: Reply) -> Bool {
        if awaitsSlots {
            take(slots: reply)
            return true
        }
        guard case .array(let parts) = reply, parts.count == 2, case .bulk(let next) = parts[0],
            case .array(let keys) = parts[1], !next.isEmpty, next.count <= 20,
            next.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        else { return false }
        var names: [[UInt8]] = []
        names.reserveCapacity(keys.count)
        for key in keys {
            guard case .bulk(let name) = key else { return false }
            names.append(name)
        }
        if let page {
            for name in names where !page.streams.contains(name) {
                var hasher = Hasher()
                hasher.combine(name)
                others.append(hasher.finalize())
            }
            self.page = nil
            advance(to: page.next)
            return true
        }
        for name in names { found.append(name) }
        if countsOthers { page = (Set(names), next) } else { advance(to: next) }
        return true
    }

    private mutating func advance(to next: [UInt8]) {
        cursor = next
        isDone = next == KeyScan.beginning
    }

    /// How many keys match that are no streams, if they are counted.
    public var otherKeys: Int {
        let order = sortedIndices(others.count) { others[$0] < others[$1] }
        return order.indices.count { $0 == 0 || others[order[$0]] != others[order[$0 - 1]] }
    }

    /// The connection was lost. A cursor means nothing to a server that was started again, so the
    /// search starts again; what was found before is kept.
    public mutating func interrupted() {
        page = nil
        if !isDone { cursor = KeyScan.beginning }
    }

    /// Takes what another node's search has found.
    public mutating func merge(_ other: KeyScan) {
        add(other.found)
        others += other.others
    }

    public mutating func add(_ names: NameList) {
        for index in 0..<names.count { found.append(names[index]) }
    }

    /// Moves what was found into `names`.
    public mutating func moveFound(into names: inout NameList) {
        for index in 0..<found.count { names.append(found[index]) }
        found = NameList()
    }

    /// The keys found, each once, sorted by their bytes: SCAN returns them in an order that differs
    /// from server to server, and some of them twice.
    public func sortedKeys() -> NameList { found.sortedAndUnique() }
}
