// SPDX-License-Identifier: Apache-2.0
// The ids of a stored stream's entries, without their fields.

import RedcolBase

extension StoredStream {
    /// The first entry from here on; nil if there is none.
    public func firstEntry() throws(RedcolError) -> EntryID? {
        var first: EntryID?
        var stream = self
        try stream.forEachEntry { id in
            first = id
            return false
        }
        return first
    }

    /// The last entry; nil if there is none from here on.
    public func lastEntry() throws(RedcolError) -> EntryID? {
        var last: EntryID?
        var stream = self
        // No node is without entries.
        while stream.nodesLeft > 1 { _ = try stream.passOverNode() }
        try stream.forEachEntry { id in
            last = id
            return true
        }
        return last
    }

    /// How many entries there are after this id. `self` has not come to those yet.
    public func entries(after id: EntryID) throws(RedcolError) -> Int {
        var stream = self
        var count = 0
        while true {
            var after = stream
            // All entries of a node lie before the next one's id.
            guard try after.passOverNode() != nil, let next = try after.peekMaster(), next <= id
            else { break }
            stream = after
        }
        try stream.forEachEntry { entry in
            if entry > id { count += 1 }
            return true
        }
        return count
    }

    /// Calls `body` with the id of each entry, until it is false.
    private mutating func forEachEntry(
        _ body: (EntryID) -> Bool
    ) throws(RedcolError) {
        var scratch = ScratchBytes()
        var names = IntegerTexts()
        var fields: [StoredNode.Field] = []
        defer {
            scratch.free()
            names.free()
        }
        while let (master, listpack) = try nextNode(&scratch) {
            guard var node = StoredNode(master, listpack, fields: &fields, names: &names) else {
                throw bytes.damaged("a node that makes no sense, before the one")
            }
            walking: while true {
                switch node.next() {
                case .end: break walking
                case .deleted: continue
                case .malformed: throw bytes.damaged("a node that makes no sense, before the one")
                case .entry(let entry):
                    if !body(entry.id) { return }
                    guard node.passOver(entry) else {
                        throw bytes.damaged("a node that makes no sense, before the one")
                    }
                }
            }
        }
    }
}
