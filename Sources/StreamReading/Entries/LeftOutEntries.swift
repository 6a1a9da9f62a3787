// SPDX-License-Identifier: Apache-2.0
// Entries that gave no row, since they have a value that does not fit its column.

/// What a row parser has left out.
struct LeftOutEntries {
    /// How many, since the parser forgot its position.
    var here = 0
    /// How many, since they were counted.
    private(set) var uncounted = 0
    /// Those of the batch, if rows are kept.
    var rows: [RowID] = []

    @inline(never)
    mutating func add(_ row: RowID, keepsRow: Bool) {
        here += 1
        uncounted += 1
        if keepsRow { rows.append(row) }
    }

    /// Returns how many there were, and starts counting again.
    mutating func takeCount() -> Int {
        defer { uncounted = 0 }
        return uncounted
    }

    /// Returns those of the batch, and forgets them.
    mutating func takeRows() -> [RowID] {
        if rows.isEmpty { return [] }
        defer { rows = [] }
        return rows
    }
}

extension RowParser {
    /// Entries parsed since `forgetPosition` that became rows.
    var rowsParsed: Int { entriesParsed - leftOut.here }
}
