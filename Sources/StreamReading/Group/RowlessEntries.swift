// SPDX-License-Identifier: Apache-2.0
// Entries of a group that gave no row, since they have a value that does not fit: the caller never
// sees them, and they are acknowledged with the rows of their batch. Pure.

import RedcolBase

/// The entries of one batch that gave no row.
struct RowlessEntries {
    var entries: [RowID]
    /// The rows of the batch; none if all its entries are such.
    private let batch: [RowID]
    private let bounds: IDBounds

    init(_ entries: [RowID], batch: [RowID]) {
        self.entries = entries
        self.batch = batch
        bounds = IDBounds(batch)
    }

    /// Whether they are acknowledged with these rows: with any row of their batch, or if that has
    /// none, with whatever is acknowledged next.
    func goesWith(_ rows: Set<RowID>, _ rowBounds: IDBounds) -> Bool {
        // The bounds rule most batches out without a look at each row.
        batch.isEmpty || bounds.overlaps(rowBounds) && batch.contains { rows.contains($0) }
    }
}

/// The smallest and the largest id of some rows, of whatever streams.
struct IDBounds {
    private var first = EntryID.largest
    private var last = EntryID.smallest

    init(_ rows: [RowID]) {
        for row in rows {
            first = min(first, row.id)
            last = max(last, row.id)
        }
    }

    func overlaps(_ other: IDBounds) -> Bool { first <= other.last && other.first <= last }
}
