// SPDX-License-Identifier: Apache-2.0
// A stream as servers store it, in DUMP's answers and in RDB files: nodes of entries, then what the
// stream knows of itself, then its consumer groups.

import RedcolBase

/// The types of values that are streams, by what they hold.
public enum StreamType: UInt8, Sendable {
    /// Redis 5 and later.
    case first = 15
    /// Redis 7.0: the first id, the largest deleted one and how many were added; what groups read.
    case withCounts = 19
    /// Redis 7.2: when each consumer was active last.
    case withActivity = 21
}

/// What stands after a stream's entries.
public struct StoredStreamState {
    public var length: UInt64
    public var lastID: EntryID
    /// Nil where the server did not count.
    public var counts: (firstID: EntryID, maxDeletedID: EntryID, entriesAdded: UInt64)?
}

/// Goes through a stream: its nodes, then `state`.
public struct StoredStream {
    public let type: StreamType
    public internal(set) var bytes: StoredBytes
    public private(set) var nodesLeft: UInt64
    private var before: EntryID?

    /// `bytes` begin after the value's type.
    public init(_ type: StreamType, _ bytes: StoredBytes) throws(RedcolError) {
        self.type = type
        self.bytes = bytes
        nodesLeft = try self.bytes.number()
    }

    /// The next node: the id from which its entries count, and its listpack, which is valid until
    /// `scratch` is used again. Nil after the last one.
    public mutating func nextNode(
        _ scratch: inout ScratchBytes
    ) throws(RedcolError) -> (master: EntryID, listpack: UnsafeBufferPointer<UInt8>)? {
        guard let master = try nextMaster() else { return nil }
        return (master, try bytes.string(&scratch))
    }

    /// Passes over the next node, and returns its id; nil after the last one.
    public mutating func passOverNode() throws(RedcolError) -> EntryID? {
        guard let master = try nextMaster() else { return nil }
        try bytes.passOverString()
        return master
    }

    /// The id of the node after the one that was read last, unless that was the last one.
    public func peekMaster() throws(RedcolError) -> EntryID? {
        var ahead = self
        return try ahead.nextMaster()
    }

    /// A node that somebody has come by.
    struct Mark: Sendable {
        let master: EntryID
        fileprivate let offset: Int
        fileprivate let nodesLeft: UInt64
    }

    /// Passes over all nodes. One in so many gets a mark, the first one too.
    mutating func passOverNodes(markEvery step: Int) throws(RedcolError) -> [Mark] {
        var marks: [Mark] = []
        var number = 0
        while true {
            let (offset, left) = (bytes.offset, nodesLeft)
            guard let master = try passOverNode() else { return marks }
            if number % step == 0 {
                guard marks.makeRoom(for: 1) else {
                    throw RedcolError(.memory, "no memory for the marks of a stream")
                }
                marks.append(Mark(master: master, offset: offset, nodesLeft: left))
            }
            number += 1
        }
    }

    /// Goes on with the last marked node that begins at `id` or before, if there is one.
    mutating func jump(to id: EntryID, _ marks: [Mark]) {
        var (low, high) = (0, marks.count)
        while low < high {
            let middle = (low + high) / 2
            if marks[middle].master <= id { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return }
        bytes.jump(to: marks[low - 1].offset)
        nodesLeft = marks[low - 1].nodesLeft
        before = nil
    }

    private mutating func nextMaster() throws(RedcolError) -> EntryID? {
        if nodesLeft == 0 { return nil }
        guard try bytes.number() == 16 else { throw bytes.damaged("no id of a node") }
        let master = try bytes.rawEntryID()
        // Who goes backward would be read in another order than by XRANGE.
        if let before, master <= before { throw bytes.damaged("nodes in the wrong order") }
        before = master
        nodesLeft -= 1
        return master
    }

    /// What stands after the last node.
    public mutating func state() throws(RedcolError) -> StoredStreamState {
        let length = try bytes.number()
        var state = StoredStreamState(length: length, lastID: try bytes.entryID())
        if type != .first {
            let first = try bytes.entryID()
            let deleted = try bytes.entryID()
            state.counts = (first, deleted, try bytes.number())
        }
        return state
    }

    /// Passes over the consumer groups, which stand after `state`.
    public mutating func passOverGroups() throws(RedcolError) {
        var groups = try bytes.number()
        while groups > 0 {
            groups -= 1
            try bytes.passOverString()
            _ = try bytes.entryID()
            if type != .first { _ = try bytes.number() }
            var pending = try bytes.number()
            while pending > 0 {
                pending -= 1
                _ = try bytes.take(24)
                _ = try bytes.number()
            }
            var consumers = try bytes.number()
            while consumers > 0 {
                consumers -= 1
                try bytes.passOverString()
                _ = try bytes.take(type == .withActivity ? 16 : 8)
                let theirs = try bytes.number()
                let (size, overflow) = theirs.multipliedReportingOverflow(by: 16)
                _ = try bytes.take(overflow ? .max : size)
            }
        }
    }

    /// Throws if its bytes end before it does, or after it. What is in its nodes is not looked at.
    public func checkEnd() throws(RedcolError) {
        var ahead = self
        while try ahead.passOverNode() != nil {}
        _ = try ahead.state()
        try ahead.passOverGroups()
        if ahead.bytes.left > 0 { throw ahead.bytes.damaged("more than a stream") }
    }
}
