// SPDX-License-Identifier: Apache-2.0
// An entry of a group that cannot be handed over: a value does not fit its column, or the entry is
// too large. The plan decides what is done about it.

import RedcolBase

/// An entry that was delivered and gives no row.
struct RefusedEntry {
    /// What is done about the entry.
    enum Step: Equatable {
        /// The read ends with the entry's error.
        case raise
        /// The caller gets the rows before the entry, and then its error.
        case raiseLater
        /// It is left out: acknowledged and counted.
        case skip
        /// It is a dead letter already: it is only acknowledged.
        case acknowledge
        case move(DeadLetter)
    }

    var row: RowID
    /// What a dead letter says about it.
    var refusal: DeadLetter.Refusal?
    /// The rest of the entry is still to come on this connection, and is not received.
    var isTooLarge = false
}

extension RowParser {
    /// The entry whose value was refused last.
    var refusedEntry: RefusedEntry? {
        lastID.map { RefusedEntry(row: row($0), refusal: lastRefusal) }
    }

    /// The entry that is too large.
    var tooLargeEntry: RefusedEntry? {
        tooLargeID.map {
            let refusal = DeadLetter.Refusal(field: nil, reason: Array(tooLargeReason.utf8))
            return RefusedEntry(row: row($0), refusal: refusal, isTooLarge: true)
        }
    }

    private func row(_ id: EntryID) -> RowID {
        RowID(id: id, stream: Int32(truncatingIfNeeded: replyFrame?.stream ?? 0))
    }
}
