// SPDX-License-Identifier: Apache-2.0
// The entries that a read has moved to the dead letters: a group that is created again may deliver
// them a second time. Pure.

import RedcolBase

/// Entries that are dead letters, until no group can deliver them again.
struct MovedEntries {
    private var rows: Set<RowID> = []
    /// Those that this group has delivered, and that are not noted as handled yet.
    private var delivered: [RowID] = []

    var isEmpty: Bool { rows.isEmpty }

    /// The entry is a dead letter now.
    mutating func add(_ row: RowID) {
        rows.insert(row)
        delivered.append(row)
    }

    /// Whether this entry, which was delivered, is a dead letter already.
    mutating func comesAgain(_ row: RowID) -> Bool {
        guard rows.contains(row) else { return false }
        delivered.append(row)
        return true
    }

    /// Returns those that this group has delivered since the last call.
    mutating func takeDelivered() -> [RowID] {
        defer { delivered = [] }
        return delivered
    }

    /// A new group would begin after these ids, one for each stream: what is before them does not
    /// come again.
    mutating func forget(upTo beginnings: [EntryID]) {
        rows = rows.filter { $0.id > beginnings[Int($0.stream)] }
    }

    /// The stream was begun again: its new entries may have the same ids.
    mutating func forget(stream: Int) { rows = rows.filter { Int($0.stream) != stream } }

    /// The stream has a new group, which has delivered nothing yet.
    mutating func groupCreated(_ stream: Int) { delivered.removeAll { Int($0.stream) == stream } }
}
