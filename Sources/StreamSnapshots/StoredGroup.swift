// SPDX-License-Identifier: Apache-2.0
// The consumer groups of a stored stream, with what their members hold.

import RedcolBase

/// A consumer group as it is stored.
public struct StoredGroup {
    /// A member. Times are milliseconds since 1970.
    public struct Consumer {
        public let name: [UInt8]
        /// When it asked for something last.
        public let seenAt: UInt64
        /// When it got something last; nil where the server did not store that, or it never did.
        public let activeAt: UInt64?
        public fileprivate(set) var pending = 0
    }

    /// An entry that was delivered and not acknowledged.
    public struct Pending {
        public let id: EntryID
        public let deliveredAt: UInt64
        public let deliveries: UInt64
        /// The place of the member that has it; nil if none says so.
        public fileprivate(set) var consumer: Int?
    }

    public let name: [UInt8]
    public let lastDelivered: EntryID
    /// Nil where the server did not count.
    public let entriesRead: UInt64?
    public private(set) var consumers: [Consumer] = []
    /// Sorted by id.
    public private(set) var pending: [Pending] = []

    /// What the server stores for "I do not know".
    private static let unknown = UInt64.max

    init(
        _ type: StreamType, _ bytes: inout StoredBytes, _ scratch: inout ScratchBytes
    ) throws(RedcolError) {
        name = Array(try bytes.string(&scratch))
        lastDelivered = try bytes.entryID()
        let read = type == .first ? StoredGroup.unknown : try bytes.number()
        entriesRead = read == StoredGroup.unknown ? nil : read
        var left = try bytes.number()
        while left > 0 {
            left -= 1
            let id = try bytes.rawEntryID()
            let deliveredAt = try bytes.littleEndian(8)
            let deliveries = try bytes.number()
            if let last = pending.last, id <= last.id {
                throw bytes.damaged("pending entries in the wrong order")
            }
            guard pending.makeRoom(for: 1) else { throw StoredGroup.noMemory }
            pending.append(Pending(id: id, deliveredAt: deliveredAt, deliveries: deliveries))
        }
        left = try bytes.number()
        while left > 0 {
            left -= 1
            let consumer = try bytes.string(&scratch)
            let seenAt = try bytes.littleEndian(8)
            let activeAt = type == .withActivity ? try bytes.littleEndian(8) : StoredGroup.unknown
            guard consumers.makeRoom(for: 1), Memory.isThere(consumer.count) else {
                throw StoredGroup.noMemory
            }
            consumers.append(
                Consumer(
                    name: Array(consumer), seenAt: seenAt,
                    activeAt: activeAt == StoredGroup.unknown ? nil : activeAt))
            var theirs = try bytes.number()
            while theirs > 0 {
                theirs -= 1
                let id = try bytes.rawEntryID()
                guard let place = find(id) else {
                    throw bytes.damaged("a member's pending entry that its group does not have")
                }
                pending[place].consumer = consumers.count - 1
                consumers[consumers.count - 1].pending += 1
            }
        }
    }

    private func find(_ id: EntryID) -> Int? {
        var (low, high) = (0, pending.count)
        while low < high {
            let middle = (low + high) / 2
            if pending[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < pending.count && pending[low].id == id ? low : nil
    }

    private static var noMemory: RedcolError {
        RedcolError(.memory, "no memory for a consumer group of a backup file")
    }
}

extension StoredStream {
    /// The groups, which stand after `state`.
    public mutating func groups() throws(RedcolError) -> [StoredGroup] {
        var scratch = ScratchBytes()
        defer { scratch.free() }
        var groups: [StoredGroup] = []
        var left = try bytes.number()
        while left > 0 {
            left -= 1
            let group = try StoredGroup(type, &bytes, &scratch)
            guard groups.makeRoom(for: 1) else {
                throw RedcolError(.memory, "no memory for the groups of a backup file")
            }
            groups.append(group)
        }
        return groups
    }
}
