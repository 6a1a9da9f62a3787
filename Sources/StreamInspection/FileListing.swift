// SPDX-License-Identifier: Apache-2.0
// The lists of what a backup file holds: the same columns as those of a server. Times are as of the
// moment at which the file was saved.

import ArrowColumns
import RedcolBase
import RedisTopology
import StreamSnapshots

/// A list that is made of a backup file.
public struct FileListing {
    private let request: ListRequest
    private let file: SnapshotFile
    private var table: ListTable

    public static func make(
        _ request: ListRequest, of file: SnapshotFile
    ) throws(RedcolError) -> ArrowTable {
        var listing = FileListing(
            request: request, file: file, table: try ListTable(request.columns))
        defer { listing.table.free() }
        try listing.addAll()
        return try listing.table.finish()
    }

    private mutating func addAll() throws(RedcolError) {
        for place in places() {
            do throws(RedcolError) {
                try add(place)
            } catch {
                throw file.damaged(error, place)
            }
        }
    }

    /// The streams that are looked at, sorted by key, each once.
    private func places() -> [Int] {
        switch request.chosen {
        case .matching(let pattern): return file.find(matching: pattern)
        case .named(let names):
            var found = names.compactMap { file.find($0) }
            found.sort()
            var places: [Int] = []
            for place in found where place != places.last { places.append(place) }
            return places
        }
    }

    private mutating func add(_ place: Int) throws(RedcolError) {
        var stream = try file.stream(place)
        let nodes = stream
        while try stream.passOverNode() != nil {}
        let state = try stream.state()
        let groups = try stream.groups()
        let key = file.key(place)
        switch request.what {
        case .streams:
            let last = try file.stream(place, from: .largest).lastEntry()
            try addStream(key, (try nodes.firstEntry(), last), state, groups: groups.count)
        case .groups:
            for group in groups {
                try addGroup(key, group, try file.stream(place, from: group.lastDelivered))
            }
        case .consumers:
            for group in try chosen(groups, key) {
                for consumer in group.consumers {
                    try addConsumer(key, group, consumer)
                }
            }
        case .pending:
            for group in try chosen(groups, key) { try addPending(group) }
        case .partitions: try addParts(key, nodes, length: state.length)
        }
    }

    /// The groups that were asked for.
    private func chosen(
        _ groups: [StoredGroup], _ key: [UInt8]
    ) throws(RedcolError) -> [StoredGroup] {
        guard let name = request.group else { return groups }
        let found = groups.filter { $0.name == name }
        guard found.isEmpty else { return found }
        if case .matching = request.chosen { return [] }
        let group = escaped(name, limit: 200)
        throw RedcolError(
            .noGroup,
            "stream \"\(escaped(key, limit: 200))\": there is no group \"\(group)\" in the backup "
                + "file \(file.shown)",
            details: [(.stream, escaped(key, limit: 200))])
    }

    private mutating func addStream(
        _ key: [UInt8], _ ends: (EntryID?, EntryID?), _ state: StoredStreamState, groups: Int
    ) throws(RedcolError) {
        try table.begin()
        try table.set(0, name: key[...])
        table.set(1, state.length)
        if let first = ends.0, let last = ends.1 {
            table.set(2, first)
            table.set(3, last)
            table.set(4, first.milliseconds)
            table.set(5, last.milliseconds)
        }
        if let counts = state.counts { table.set(6, counts.entriesAdded) }
        table.set(7, UInt64(groups))
        try table.commit()
    }

    /// A stream is cut between its nodes, as if all of them had as many entries.
    private mutating func addParts(
        _ key: [UInt8], _ nodes: StoredStream, length: UInt64
    ) throws(RedcolError) {
        let options = request.options
        guard let first = try nodes.firstEntry(), let last = try nodes.lastEntry(),
            let lower = options.first,
            let upper = options.last, max(first, lower) <= min(last, upper)
        else { return }
        let end = min(last, upper)
        let each = max(1, Double(length) / Double(max(1, nodes.nodesLeft)))
        var (begin, rows) = (max(first, lower), 0.0)
        var rest = nodes
        while let master = try rest.passOverNode(), master <= end {
            if let next = try rest.peekMaster(), next <= begin { continue }
            if master > begin, rows + each > Double(options.rows), let before = master.previous {
                try addPart(key, begin, before, rows)
                (begin, rows) = (master, 0)
            }
            rows += each
        }
        try addPart(key, begin, end, rows)
    }

    private mutating func addPart(
        _ key: [UInt8], _ first: EntryID, _ last: EntryID, _ rows: Double
    ) throws(RedcolError) {
        try table.begin()
        try table.set(0, name: key[...])
        table.set(Place.startID, first)
        table.set(Place.endID, last)
        table.set(Place.rows, UInt64(max(1, min(rows + 0.5, 9e18))))
        try table.commit()
    }

    private mutating func addGroup(
        _ key: [UInt8], _ group: StoredGroup, _ nodes: StoredStream
    ) throws(RedcolError) {
        try table.begin()
        try table.set(0, name: key[...])
        try table.set(Place.group, name: group.name[...])
        table.set(2, UInt64(group.consumers.count))
        table.set(Place.pending, UInt64(group.pending.count))
        table.set(4, group.lastDelivered)
        if let read = group.entriesRead { table.set(5, read) }
        let unread = try nodes.entries(after: group.lastDelivered)
        table.set(6, UInt64(unread))
        if request.options.isExact { table.set(Place.lagExact, UInt64(unread)) }
        if let oldest = group.pending.first { set(Place.oldestPending, since: oldest.deliveredAt) }
        try table.commit()
    }

    private mutating func addConsumer(
        _ key: [UInt8], _ group: StoredGroup, _ consumer: StoredGroup.Consumer
    ) throws(RedcolError) {
        try table.begin()
        try table.set(0, name: key[...])
        try table.set(Place.group, name: group.name[...])
        try table.set(Place.consumer, name: consumer.name[...])
        table.set(Place.pending, UInt64(consumer.pending))
        set(4, since: consumer.seenAt)
        if let active = consumer.activeAt { set(5, since: active) }
        try table.commit()
    }

    private mutating func addPending(_ group: StoredGroup) throws(RedcolError) {
        let options = request.options
        guard let first = options.first, let last = options.last else { return }
        var left = options.count
        for entry in group.pending where entry.id >= first && entry.id <= last && left > 0 {
            let consumer = entry.consumer.map { group.consumers[$0].name }
            if let wanted = options.consumer, wanted != consumer { continue }
            let idle = milliseconds(since: entry.deliveredAt)
            if options.idleMsMin > 0, idle ?? 0 < UInt64(options.idleMsMin) { continue }
            left -= 1
            try table.begin()
            table.set(0, entry.id)
            table.set(1, entry.id.milliseconds)
            if let consumer { try table.set(2, name: consumer[...]) }
            if let idle { table.set(3, idle) }
            table.set(4, entry.deliveries)
            try table.commit()
        }
    }

    /// How long before the file was saved that was; nil if the file does not say when.
    private func milliseconds(since time: UInt64) -> UInt64? {
        file.savedAt.map { $0 > time ? $0 - time : 0 }
    }

    private mutating func set(_ column: Int, since time: UInt64) {
        if let passed = milliseconds(since: time) { table.set(column, passed) }
    }
}
