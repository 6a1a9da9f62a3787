// SPDX-License-Identifier: Apache-2.0
// Entries that were gone before they were read: trimmed, or deleted. They are noticed by how many
// entries a stream ever had, which servers count since Redis 7.0. Pure: it knows no socket.
// https://redis.io/docs/latest/commands/xinfo-stream/

import RedcolBase
import RedisConnection

/// How far a stream reaches: what XINFO STREAM says of it.
struct StreamExtent: Equatable {
    /// The largest id that it ever had.
    var last: EntryID
    /// Its first entry; nil if it is empty.
    var first: EntryID?
    var length: Int64
    /// How many entries were ever added; nil before Redis 7.0.
    var added: Int64?
    /// Its last entry, if the server showed it.
    var newest: EntryID?

    /// Whether all its entries, if it has any, come after this id.
    func isAfter(_ id: EntryID) -> Bool { first.map { id < $0 } ?? true }

    /// How many entries it no longer has.
    var gone: Int64? { added.flatMap { $0 >= length ? $0 - length : nil } }
}

extension StreamExtent {
    /// Nil if that is no answer to XINFO STREAM.
    init?(_ reply: Reply) {
        guard let last = reply.entryID(named: "last-generated-id"),
            let length = reply.number(named: "length")
        else { return nil }
        self.init(
            last: last, first: reply.entryID(of: "first-entry"), length: length,
            added: reply.number(named: "entries-added"),
            newest: reply.entryID(of: "last-entry"))
    }
}

/// Entries that were gone before they were read.
struct Gap: Equatable {
    var entries: Int64
    /// Whether that is all, and not only what is known.
    var isExact = true
    /// They came after the first of these ids, and before the second; nil: the stream is empty.
    var after: EntryID
    var before: EntryID?
}

/// What a read knows of one stream, to notice its gaps.
struct GapWatch {
    /// How many entries were added up to the one that was read last; nil if that is not known.
    private var added: Int64?
    /// The last place where `added` was confirmed.
    private var confirmed = EntryID.smallest
    /// How far the stream reached at a look, how many entries had been added by then, and how many
    /// after them have been read. When all up to there is read, `added` is known. `next`: the first
    /// that was read of that place and after it.
    private var mark: (id: EntryID, added: Int64, readAfter: Int64, next: EntryID?)?
    /// The first entry at the last look, which came after all that was read. If it is read next,
    /// nothing was lost before it.
    private var expected: EntryID?
    /// Before Redis 7.0: an entry that was there at the last look.
    private var witness: EntryID?

    /// These entries were read, in this order.
    mutating func read(_ rows: ArraySlice<RowID>) {
        if let added { self.added = added + Int64(rows.count) }
        // What one answer has stood together in the stream.
        if let expected, let first = rows.first, let last = rows.last {
            if first.id == expected { confirmed = last.id }
            self.expected = nil
        }
        guard let mark, let last = rows.last, last.id >= mark.id else { return }
        var next = last.id
        for row in rows.reversed() {
            guard row.id >= mark.id else { break }
            next = row.id
            if row.id > mark.id { self.mark?.readAfter += 1 }
        }
        if mark.next == nil { self.mark?.next = next }
    }

    /// All entries up to this one are read that were still there.
    mutating func reached(_ cursor: EntryID) -> Gap? {
        guard let mark, cursor >= mark.id else { return nil }
        self.mark = nil
        return confirm(
            mark.added + mark.readAfter, at: cursor, after: confirmed, before: mark.next ?? cursor)
    }

    private mutating func confirm(
        _ count: Int64, at cursor: EntryID, after: EntryID, before: EntryID?
    ) -> Gap? {
        defer {
            added = count
            confirmed = cursor
        }
        guard let added, count > added else { return nil }
        return Gap(entries: count - added, after: after, before: before)
    }

    /// The stream reaches so far now; all entries up to `cursor` are read.
    mutating func looked(_ extent: StreamExtent, cursor: EntryID) -> Gap? {
        guard let total = extent.added, let gone = extent.gone else {
            return lookedWithoutCount(extent, cursor: cursor)
        }
        guard cursor < extent.last else {
            // After the last entry: what is added up to there is not read.
            guard cursor == extent.last else {
                self = GapWatch()
                return nil
            }
            mark = nil
            return confirm(total, at: cursor, after: confirmed, before: cursor)
        }
        var gap: Gap?
        if extent.isAfter(cursor) {
            mark = nil
            // The reader was overtaken where it is now, as far as anybody can tell.
            gap = confirm(gone, at: cursor, after: cursor, before: extent.first)
            expected = extent.first
        }
        if mark == nil { mark = (extent.last, total, 0, nil) }
        return gap
    }

    /// Whether it is known how many entries there were up to this end.
    func knows(upTo end: EntryID) -> Bool {
        added != nil && mark.map { $0.id <= end } ?? false
    }

    /// The read ends. All entries after `cursor` and up to `end` were asked for, and no more came.
    /// `wasThere`: whether there was an entry `end` when the read began.
    mutating func ended(
        _ extent: StreamExtent?, cursor: EntryID, end: EntryID, wasThere: Bool
    ) -> Gap? {
        guard cursor < end else { return nil }
        let before = extent?.first.flatMap { $0 > cursor ? $0 : nil }
        guard let mark, knows(upTo: end) else {
            return wasThere ? Gap(entries: 1, isExact: false, after: cursor, before: before) : nil
        }
        self.mark = nil
        return confirm(
            mark.added + mark.readAfter, at: end, after: cursor, before: before)
    }

    /// The stream reaches so far now, and its group is at `delivered`. `read`: how many entries
    /// were added up to there, if the server knows.
    mutating func looked(
        _ extent: StreamExtent, delivered: EntryID, read: Int64?
    ) -> Gap? {
        guard let gone = extent.gone else {
            return lookedWithoutCount(extent, cursor: delivered)
        }
        guard delivered < extent.last, extent.isAfter(delivered) else { return nil }
        // Members look more than once before one of them reads on.
        let known = read.map { max($0, added ?? 0) } ?? added
        added = gone
        guard let known, gone > known else { return nil }
        return Gap(entries: gone - known, after: delivered, before: extent.first)
    }

    /// Nobody counts what was added: only an entry that was seen to be there can be missed.
    private mutating func lookedWithoutCount(
        _ extent: StreamExtent, cursor: EntryID
    ) -> Gap? {
        let seen = witness
        witness = extent.first == nil ? nil : extent.newest ?? extent.last
        guard let seen, cursor < seen, extent.isAfter(seen) else { return nil }
        return Gap(entries: 1, isExact: false, after: cursor, before: extent.first)
    }
}

extension StreamReader {
    /// Counts a gap and says so; with "on_gap" "raise" it is an error, too.
    func note(_ gap: Gap, in stream: Int) {
        statistics.add(.lostEntries, Int(clamping: gap.entries))
        let name = shownStream(streams[stream])
        let before = gap.before.map { " and up to \($0.text)" } ?? ""
        raise(
            "lost \(gap.isExact ? "" : "at least ")\(gap.entries) entries after "
                + "\(gap.after.text)\(before): they were trimmed or deleted before they were read",
            in: name,
            [
                (.lostEntries, "\(gap.entries)"), (.afterID, gap.after.text),
                (.beforeID, gap.before?.text ?? ""),
            ])
    }

    /// A stream was deleted and begun again.
    func noteReset(_ message: String, in stream: Int, from before: EntryID, to now: EntryID?) {
        raise(
            message, in: shownStream(streams[stream]),
            [(.afterID, before.text), (.beforeID, now?.text ?? "")])
    }

    private func raise(
        _ message: String, in name: String, _ details: [(RedcolError.Detail, String)]
    ) {
        Log.write(.warning, .gap, about: name) { "stream \"\(name)\" \(message)" }
        guard options.raisesGaps, heldError == nil else { return }
        let error = RedcolError(.gap, message, details: details.filter { !$0.1.isEmpty })
        heldError =
            streamInHand == nil ? error.adding("stream \"\(name)\": ", .stream, name) : error
    }
}
