// SPDX-License-Identifier: Apache-2.0
// A consumer group without a server: made-up streams answer what a plan asks, as Redis would, and a
// made-up member takes the answers, as a reader would.

import RedcolBase
import RedisConnection

@testable import StreamReading

/// Streams with one group, of which the member "me" is the one that is tested.
struct MadeUpGroup {
    struct Pending {
        var consumer = "me"
        var deliveries: Int64 = 1
        var deliveredAt: Int64
    }
    struct Group {
        var lastDelivered: EntryID
        var pending: [EntryID: Pending] = [:]
    }
    struct Stream {
        var ids: [EntryID] = []
        var group: Group?
    }
    enum Answer: Equatable {
        case entries([RowID], deleted: [RowID])
        case page([PendingLine])
        case created(isNew: Bool)
        case first(EntryID?)
        case isThere(Bool)
        case noGroup
    }

    var streams: [Stream]
    var now: Int64 = 1_000_000

    /// `perStream` entries in each stream, and the group at its beginning.
    init(streams count: Int = 1, perStream: Int, hasGroup: Bool = true) {
        let ids = (0..<perStream).map { EntryID(UInt64($0 / 3) + 5, UInt64($0 % 3)) }
        let stream = Stream(ids: ids, group: hasGroup ? Group(lastDelivered: .smallest) : nil)
        streams = Array(repeating: stream, count: count)
    }

    /// All entries that are there.
    var rows: [RowID] {
        streams.enumerated().flatMap { stream, content in
            content.ids.map { RowID(id: $0, stream: Int32(stream)) }
        }
    }

    /// Entries that are not acknowledged.
    var pendingCount: Int { streams.reduce(0) { $0 + ($1.group?.pending.count ?? 0) } }

    mutating func answer(_ request: GroupRequest) -> Answer {
        now += 1
        switch request {
        case .firstEntry(let stream): return .first(streams[stream].ids.first)
        case .entry(let stream, let id): return .isThere(streams[stream].ids.contains(id))
        case .create(let stream, let id):
            if streams[stream].group != nil { return .created(isNew: false) }
            streams[stream].group = Group(lastDelivered: id)
            return .created(isNew: true)
        case .deliveries(let stream, let after, let count, let idleMs):
            return page(stream, after, count, idleMs)
        case .look(let stream, let after, let count): return page(stream, after, count, nil)
        case .own(let stream, let after, let count):
            let ids = pending(stream) { $0 > after && $1.consumer == "me" }.prefix(count)
            return deliver(ids, stream)
        case .claim(let stream, let first, _, let count, let idleMs):
            let now = self.now
            let ids = pending(stream) { $0 >= first && now - $1.deliveredAt >= idleMs }
            return deliver(ids.prefix(count), stream)
        case .new(let wanted, let count, let blockMs):
            return newEntries(wanted, count, blockMs)
        }
    }

    private mutating func newEntries(_ wanted: [Int], _ count: Int, _ blockMs: Int64?) -> Answer {
        var found: [RowID] = []
        for stream in wanted {
            guard var group = streams[stream].group else { return .noGroup }
            for id in streams[stream].ids.filter({ $0 > group.lastDelivered }).prefix(count) {
                group.lastDelivered = id
                group.pending[id] = Pending(deliveredAt: now)
                found.append(RowID(id: id, stream: Int32(stream)))
            }
            streams[stream].group = group
        }
        if found.isEmpty { now += blockMs ?? 0 }
        return .entries(found, deleted: [])
    }

    private func pending(_ stream: Int, _ isWanted: (EntryID, Pending) -> Bool) -> [EntryID] {
        (streams[stream].group?.pending ?? [:]).filter { isWanted($0.key, $0.value) }.keys.sorted()
    }

    private func page(
        _ stream: Int, _ after: EntryID, _ count: Int, _ idleMs: Int64?
    ) -> Answer {
        guard let group = streams[stream].group else { return .noGroup }
        let ids = pending(stream) { id, entry in
            id > after && (idleMs.map { now - entry.deliveredAt >= $0 } ?? (entry.consumer == "me"))
        }
        return .page(
            ids.prefix(count).compactMap { id in
                group.pending[id].flatMap { pendingEntry(id, $0.consumer, $0.deliveries) }
            })
    }

    private mutating func deliver(_ ids: ArraySlice<EntryID>, _ stream: Int) -> Answer {
        guard streams[stream].group != nil else { return .noGroup }
        var (rows, deleted): ([RowID], [RowID]) = ([], [])
        for id in ids {
            let row = RowID(id: id, stream: Int32(stream))
            guard streams[stream].ids.contains(id) else {
                deleted.append(row)
                continue
            }
            streams[stream].group?.pending[id]?.consumer = "me"
            streams[stream].group?.pending[id]?.deliveries += 1
            streams[stream].group?.pending[id]?.deliveredAt = now
            rows.append(row)
        }
        return .entries(rows, deleted: deleted)
    }

    mutating func acknowledge(_ rows: [RowID]) {
        for row in rows { streams[Int(row.stream)].group?.pending[row.id] = nil }
    }
}

func pendingEntry(
    _ id: EntryID, _ consumer: String = "me", _ deliveries: Int64 = 1
) -> PendingLine? {
    PendingLine(
        .array([
            .bulk(Array(id.text.utf8)), .bulk(Array(consumer.utf8)), .integer(WireInteger(0)),
            .integer(WireInteger(deliveries)),
        ]))
}

/// Does what a plan says.
struct MadeUpMember {
    private enum Awaited {
        case acknowledged([RowID])
        case answer(GroupRequest, MadeUpGroup.Answer, inHand: Set<RowID>)
    }

    let pending: PendingEntries
    var plan: GroupPlan
    private var idleness: Idleness
    private var awaited: [Awaited] = []
    private(set) var batch: [RowID] = []
    /// What was handed over, and what was asked for.
    private(set) var given: [RowID] = []
    private(set) var asked: [GroupRequest] = []
    private(set) var letters: [DeadLetter] = []
    private(set) var hasFailed = false
    private(set) var hasEnded = false

    /// A member that follows until there is nothing to read, and acknowledges.
    init(
        streams: Int = 1, _ more: (key: String, value: String)..., now: Int64 = 1_000_000
    ) throws {
        try self.init(streams: streams, pairs: more, now: now)
    }

    init(
        streams: Int, pairs more: [(key: String, value: String)], now: Int64 = 1_000_000
    ) throws {
        var pairs: [(key: String, value: String)] = [
            ("group", "g"), ("consumer", "me"), ("auto_ack", "true"), ("batch_rows", "4"),
        ]
        if !more.contains(where: { $0.key == "count" }) {
            pairs += [("follow", "true"), ("on_idle", "stop"), ("block_ms", "100")]
        }
        let options = try ReadOptions(pairs + more)
        pending = try PendingEntries.make()
        plan = GroupPlan(streams: streams, options: options, pending: pending)
        idleness = Idleness(options.onIdle, blockMs: options.blockMs)
        plan.connected(now)
    }

    private var awaits: GroupPlan.Awaits {
        if awaited.isEmpty { return .nothing }
        let hasAnswer = awaited.contains { if case .answer = $0 { true } else { false } }
        return hasAnswer ? .answers : .acknowledgements
    }

    mutating func next(_ now: Int64) -> GroupPlan.Step {
        plan.next(
            GroupPlan.Moment(now: now, rows: batch.count, awaits: awaits, idleness: idleness))
    }

    /// Reads until the plan has ended. `before` may change the group before a request
    /// is executed, which it is given with its number; true if the connection is then lost, with
    /// the answer.
    mutating func read(
        _ group: inout MadeUpGroup,
        before: (inout MadeUpGroup, Int, GroupRequest) -> Bool = { _, _, _ in false }
    ) {
        for _ in 0..<20_000 where !hasEnded && !hasFailed {
            step(&group, before)
        }
    }

    private mutating func step(
        _ group: inout MadeUpGroup, _ before: (inout MadeUpGroup, Int, GroupRequest) -> Bool
    ) {
        switch next(group.now) {
        case .receive:
            guard !awaited.isEmpty else {
                hasFailed = true
                return
            }
            take(awaited.removeFirst(), &group)
        case .handOver: handOver(group.now)
        case .finish:
            if !batch.isEmpty {
                handOver(group.now)
            } else if !acknowledge(&group) {
                hasEnded = awaited.isEmpty
            }
        case .pause(let until): group.now = max(until, group.now + 1)
        case .ask(let request, let companion):
            _ = acknowledge(&group)
            if case .new = request { idleness.sent(group.now) }
            for request in [request, companion].compactMap({ $0 }) {
                asked.append(request)
                let inHand = entriesInHand(group.now)
                let isLost = before(&group, asked.count - 1, request)
                let answer = group.answer(request)
                if isLost { return connectionLost(group.now) }
                awaited.append(.answer(request, answer, inHand: inHand))
            }
        }
    }

    mutating func connectionLost(_ now: Int64) {
        awaited = []
        plan.connectionLost(rows: batch)
        plan.connected(now)
    }

    private func entriesInHand(_ now: Int64) -> Set<RowID> { pending.all(now).union(batch) }

    private mutating func acknowledge(_ group: inout MadeUpGroup) -> Bool {
        var hasSome = false
        while true {
            let rows = pending.takeUnsent(most: 1_000)
            if rows.isEmpty { return hasSome }
            hasSome = true
            group.acknowledge(rows)
            awaited.append(.acknowledged(rows))
        }
    }

    private mutating func handOver(_ now: Int64) {
        let rows = batch
        batch = []
        plan.handedOver(rows)
        given += rows
        idleness.handedOver()
        plan.nextIsAsked()
        idleness.isAsked(now)
    }

    private mutating func take(_ next: Awaited, _ group: inout MadeUpGroup) {
        switch next {
        case .acknowledged(let rows): pending.answered(rows.count)
        case .answer(let request, let answer, let inHand):
            take(answer, to: request, inHand: inHand, &group)
        }
    }

    private mutating func take(
        _ answer: MadeUpGroup.Answer, to request: GroupRequest, inHand: Set<RowID>,
        _ group: inout MadeUpGroup
    ) {
        let now = group.now
        switch answer {
        case .noGroup: hasFailed = !plan.groupLost(request, now)
        case .first(let id): plan.foundFirst(request.stream ?? 0, id)
        case .isThere(let isThere): plan.foundHandled(request.stream ?? 0, isThere: isThere)
        case .created(let isNew):
            if case .create(let stream, let id) = request {
                plan.created(stream, at: id, isNew: isNew, now)
            }
        case .page(let page):
            if case .look = request {
                _ = plan.looked(page, request, inHand: entriesInHand(now), now)
                return
            }
            for letter in plan.counted(
                page, request, inHand: entriesInHand(now), rows: batch.count, now)
            {
                letters.append(letter)
                group.acknowledge([letter.row])
                plan.letterEnded(letter, .kept)
            }
        case .entries(let rows, let deleted):
            if case .new = request {
                batch += rows
            } else {
                batch += rows.filter { !inHand.contains($0) }
            }
            pending.queueDeleted(deleted)
            let entries = rows.count + deleted.count
            plan.ended(
                request, entries: entries, last: (rows + deleted).map(\.id).max(),
                hasNameless: false, rows: batch)
            if case .new = request {
                idleness.answered(now, entries: entries, isFull: plan.mayHaveMore)
            }
        }
    }
}
