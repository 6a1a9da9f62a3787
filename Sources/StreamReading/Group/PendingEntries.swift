// SPDX-License-Identifier: Apache-2.0
// The entries that this consumer has and the server still counts as pending: they must not be
// delivered again, and are acknowledged when the caller is done with them.

import RedcolBase

/// What one reader has of its consumer's pending entries list. Any thread: a caller may acknowledge
/// while another one waits for a batch.
final class PendingEntries: @unchecked Sendable {
    private let locked: Lock
    /// Handed over, not acknowledged.
    private var held: [RowID] = []
    /// Acknowledged elsewhere, but still in `held`: taken out when `held` is looked at.
    private var released: Set<RowID> = []
    /// Those of `held` that gave no row, batch by batch.
    private var rowless: [RowlessEntries] = []
    /// To be acknowledged, oldest first: what was answered already (and is forgotten later),
    /// what was sent, and what was not.
    private var queue: [RowID] = []
    private var queueAnswered = 0
    private var queueSent = 0
    /// Entries whose values were refused: the caller was told of them and has not had them. They
    /// are left alone until this time.
    private var refused: [RowID: Int64] = [:]
    /// Nothing more will be sent.
    private var isClosed = false

    static func make() throws(RedcolError) -> PendingEntries {
        PendingEntries(try Lock(for: "a group reader"))
    }

    private init(_ lock: consuming Lock) { locked = lock }

    private func settle() {
        guard !released.isEmpty else { return }
        held.removeAll { released.contains($0) }
        released = []
    }

    /// What a row takes in `held`, in a set, and in a copy of it, while they grow.
    private static let bytesPerRow = 192

    /// Whether so many rows can be handed over.
    func hasRoom(for rows: Int) -> Bool { locked { held.hasRoom(for: rows) } }

    /// Memory that a copy of all that is in hand, and of so many rows more, takes.
    func memory(for rows: Int) -> Int {
        locked {
            let count =
                held.count + released.count + queue.count - queueAnswered + refused.count
            return (count + rows) * PendingEntries.bytesPerRow
        }
    }

    /// These rows are handed over now.
    func hold(_ rows: [RowID]) {
        locked {
            held.append(contentsOf: rows)
            if !refused.isEmpty { for row in rows { refused[row] = nil } }
        }
    }

    /// An entry has a value that was refused: it is left alone until then.
    func refuse(_ row: RowID, until: Int64) { locked { refused[row] = until } }

    /// An entry that was refused is a dead letter now, or somebody else's.
    func forgetRefused(_ row: RowID) { locked { refused[row] = nil } }

    /// These entries gave no row. `batch`: the rows of their batch, which is handed over now; none
    /// if it is not, since it has only such entries.
    func holdRowless(_ entries: [RowID], batch: [RowID]) {
        locked {
            // They come again later.
            guard held.hasRoom(for: entries.count) else { return }
            held.append(contentsOf: entries)
            rowless.append(RowlessEntries(entries, batch: batch))
        }
    }

    /// What gave no row and is acknowledged together with these rows.
    func rowless(with rows: [RowID]) -> [RowID] { locked { findRowless(with: rows) } }

    private func findRowless(with rows: [RowID]) -> [RowID] {
        guard !rowless.isEmpty else { return [] }
        let bounds = IDBounds(rows)
        let acknowledged = Set(rows)
        var found: [RowID] = []
        for one in rowless where one.goesWith(acknowledged, bounds) { found += one.entries }
        return found
    }

    private func forgetRowless(where isGone: (RowID) -> Bool) {
        guard !rowless.isEmpty else { return }
        for index in rowless.indices { rowless[index].entries.removeAll(where: isGone) }
        rowless.removeAll { $0.entries.isEmpty }
    }

    private func release(_ rows: [RowID]) {
        released.formUnion(rows)
        guard !rowless.isEmpty else { return }
        let gone = Set(rows)
        forgetRowless { gone.contains($0) }
    }

    /// The next acknowledgements include all entries that were handed over; false, and nothing is
    /// done, if no more will be sent.
    @discardableResult
    func queueHeld() -> Bool {
        locked {
            if isClosed { return false }
            settle()
            // Without memory they stay in hand until there is some.
            guard queue.hasRoom(for: held.count) else { return true }
            queue.append(contentsOf: held)
            held.removeAll(keepingCapacity: true)
            rowless = []
            return true
        }
    }

    /// The next acknowledgements include these entries and what goes with them; false, and nothing
    /// is done, if no more will be sent.
    @discardableResult
    func queue(_ rows: [RowID]) -> Bool {
        locked {
            if isClosed { return false }
            let all = rows + findRowless(with: rows)
            queue.append(contentsOf: all)
            release(all)
            return true
        }
    }

    /// Nothing more will be sent.
    func close() { locked { isClosed = true } }

    /// Entries whose acknowledgements wait to be sent or answered.
    var unansweredCount: Int { locked { queue.count - queueAnswered } }

    /// The next acknowledgements include these entries, although nobody has had them: they were
    /// deleted or left out.
    func queueDeleted(_ rows: [RowID]) { locked { queue.append(contentsOf: rows) } }

    /// The next entries of one stream that must be acknowledged and were not sent yet.
    func takeUnsent(most: Int) -> [RowID] {
        locked {
            let unsent = queue[queueSent...].prefix(most)
            guard let stream = unsent.first?.stream else { return [] }
            let end = unsent.firstIndex { $0.stream != stream } ?? unsent.endIndex
            queueSent = end
            return Array(unsent[..<end])
        }
    }

    /// The oldest `count` entries that were sent have been answered.
    func answered(_ count: Int) {
        locked {
            queueAnswered = min(queueSent, queueAnswered + count)
            // Not every time: there can be many answers, and many entries after them.
            if queueAnswered * 2 >= queue.count { forgetAnswered() }
        }
    }

    private func forgetAnswered() {
        queue.removeFirst(queueAnswered)
        queueSent -= queueAnswered
        queueAnswered = 0
    }

    /// What was sent and not answered is sent again.
    func connectionLost() { locked { queueSent = queueAnswered } }

    /// The next acknowledgements include all entries that gave no row, without their batches.
    func queueRowless() {
        locked {
            for one in rowless {
                queue.append(contentsOf: one.entries)
                released.formUnion(one.entries)
            }
            rowless = []
        }
    }

    /// A caller has acknowledged these.
    func acknowledged(_ rows: [RowID]) { locked { release(rows) } }

    /// What was handed over and not acknowledged, of all streams; also what is about to be, as far
    /// as that is known.
    func handedOver() -> [RowID] {
        locked {
            settle()
            return held + queue[queueAnswered...]
        }
    }

    /// These rows were not handed over after all, except for those that a caller has acknowledged:
    /// how many. `others` gave no row.
    func takeBack(_ rows: [RowID], others: [RowID]) -> Int {
        locked {
            settle()
            refused = [:]
            let (gone, before) = (Set(rows), held.count)
            held.removeAll { gone.contains($0) }
            let count = before - held.count
            if !others.isEmpty {
                let gone = Set(others)
                held.removeAll { gone.contains($0) }
                forgetRowless { gone.contains($0) }
            }
            return count
        }
    }

    /// Everything that must not be delivered again now; of `page`, all that can be in such a page:
    /// a stream's entries after an id. Pages follow each other, and a set of all that came before
    /// would cost more with each of them.
    func all(_ now: Int64, in page: (stream: Int, after: EntryID)? = nil) -> Set<RowID> {
        locked {
            settle()
            var rows: Set<RowID> = []
            func add(_ row: RowID) {
                if let page, Int(row.stream) != page.stream || row.id <= page.after { return }
                rows.insert(row)
            }
            held.forEach(add)
            queue[queueAnswered...].forEach(add)
            for (row, until) in refused where until > now { add(row) }
            return rows
        }
    }

    /// Forgets a stream whose group is gone.
    func forget(stream: Int) {
        locked {
            let number = Int32(truncatingIfNeeded: stream)
            forgetAnswered()
            held.removeAll { $0.stream == number }
            forgetRowless { $0.stream == number }
            queueSent -= queue[..<queueSent].filter { $0.stream == number }.count
            queue.removeAll { $0.stream == number }
        }
    }

    /// Forgets what the server no longer counts as pending: of the stream's entries after one and
    /// up to another, only these are.
    func keepOnly(
        _ pending: Set<RowID>, stream: Int, after first: EntryID, through last: EntryID
    ) {
        locked {
            let number = Int32(truncatingIfNeeded: stream)
            held.removeAll {
                $0.stream == number && $0.id > first && $0.id <= last && !pending.contains($0)
            }
        }
    }

    /// The oldest entry of a stream that is not acknowledged.
    func oldest(stream: Int) -> EntryID? {
        locked {
            settle()
            let number = Int32(truncatingIfNeeded: stream)
            let ids = held.lazy.filter { $0.stream == number }.map { $0.id }
            let queued = queue[queueAnswered...].lazy.filter { $0.stream == number }.map { $0.id }
            let left = refused.keys.lazy.filter { $0.stream == number }.map { $0.id }
            return [ids.min(), queued.min(), left.min()].compactMap { $0 }.min()
        }
    }
}
