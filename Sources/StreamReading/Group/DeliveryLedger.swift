// SPDX-License-Identifier: Apache-2.0
// How often an entry was handed over to somebody, as far as a reader can know: the server counts a
// delivery when it makes an answer, and answers are lost. Pure: it knows no socket.

import RedcolBase

/// The deliveries that this reader itself has asked for and that its caller has never had. They do
/// not count against "max_deliveries".
///
/// The server's count is seen before a request that may deliver an entry (`asked`), and again later
/// (`counted`). If it has grown, and the entry was not handed over meanwhile (`delivered`), that
/// delivery reached nobody.
struct DeliveryLedger {
    private var undelivered: [RowID: Int64] = [:]
    /// The server's count before the last request that may have delivered the entry.
    private var before: [RowID: Int64] = [:]
    /// The last page of this consumer's pending entries, and that of idle ones, with their counts.
    private var ownPage: [(row: RowID, count: Int64)] = []
    private var idlePage: [(row: RowID, count: Int64)] = []
    /// Streams whose pending entries were all read once: what comes after is what this reader asks
    /// for.
    private var begun: Set<Int> = []

    /// A page is about to be counted: of this consumer's pending entries, or of idle ones.
    mutating func beginPage(isOwn: Bool) {
        if isOwn { ownPage = [] } else { idlePage = [] }
    }

    /// How many of the deliveries that the server counts somebody has had. `isOwn`: the entry is
    /// pending with this consumer; `isInHand`: the caller has it, or is about to.
    mutating func counted(
        _ row: RowID, _ server: Int64, isOwnPage: Bool, isOwn: Bool, isInHand: Bool
    ) -> (had: Int64, undelivered: Int64) {
        // So that nothing below overflows, whatever the server says.
        let count = min(max(0, server), Int64(Int32.max))
        if isOwnPage { ownPage.append((row, count)) } else { idlePage.append((row, count)) }
        if let earlier = before.removeValue(forKey: row) {
            // One of those of another consumer is real.
            let more = count - earlier - (isOwn ? 0 : 1)
            undelivered[row] = (undelivered[row] ?? 0) + max(0, min(1, more))
        } else if isOwn, !isInHand, undelivered[row] == nil, begun.contains(Int(row.stream)) {
            // It came with an answer to this reader that was lost.
            undelivered[row] = count
        }
        let lost = undelivered[row] ?? 0
        return (max(0, count - lost), lost)
    }

    /// This consumer's pending entries are asked for, those of the last page.
    mutating func askedForOwn() {
        for (row, count) in ownPage { before[row] = count }
    }

    /// Idle entries are asked for, those of the last page from `first` to `last`.
    mutating func askedForIdle(from first: EntryID, through last: EntryID) {
        for (row, count) in idlePage where row.id >= first && row.id <= last { before[row] = count }
    }

    /// These entries have come, and are handed over or refused.
    mutating func delivered(_ rows: [RowID]) {
        guard !before.isEmpty else { return }
        for row in rows { before[row] = nil }
    }

    /// The caller is told of this entry, although it is not handed over.
    mutating func told(_ row: RowID) {
        before[row] = nil
        if undelivered[row] == nil { undelivered[row] = 0 }
    }

    /// These entries were not handed over after all.
    mutating func takenBack(_ rows: [RowID]) {
        for row in rows { undelivered[row] = (undelivered[row] ?? 0) + 1 }
    }

    /// All that was pending with this consumer when the read began has come.
    mutating func hasBegun(_ stream: Int) { begun.insert(stream) }

    /// The entry is no longer pending.
    mutating func forget(_ row: RowID) {
        undelivered[row] = nil
        before[row] = nil
    }

    /// The stream's group is gone, and with it what was pending.
    mutating func forget(stream: Int) {
        let number = Int32(truncatingIfNeeded: stream)
        for row in undelivered.keys where row.stream == number { undelivered[row] = nil }
        for row in before.keys where row.stream == number { before[row] = nil }
        ownPage = []
        idlePage = []
    }

    /// Of a stream's entries from one on to another, only these are pending with this consumer.
    mutating func keepOnly(
        _ pending: Set<RowID>, stream: Int, after first: EntryID, through last: EntryID
    ) {
        guard !undelivered.isEmpty else { return }
        let number = Int32(truncatingIfNeeded: stream)
        for row in undelivered.keys
        where row.stream == number && row.id > first && row.id <= last && !pending.contains(row) {
            forget(row)
        }
    }
}
