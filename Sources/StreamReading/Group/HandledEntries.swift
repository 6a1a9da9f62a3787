// SPDX-License-Identifier: Apache-2.0
// Up to where the entries of each stream were handled: a group that is lost is made again there.
// Pure.

import RedcolBase

/// The largest id of each stream that was handed over.
struct HandledEntries {
    private struct Position {
        var id = EntryID.smallest
        /// Whether it is an entry, and not only where the group was made.
        var isEntry = false
    }

    private var positions: [Position]

    init(streams: Int) { positions = Array(repeating: Position(), count: streams) }

    func last(_ stream: Int) -> EntryID { positions[stream].id }

    func isEntry(_ stream: Int) -> Bool { positions[stream].isEntry }

    /// The group was made at this id.
    mutating func begin(_ stream: Int, at id: EntryID) { positions[stream] = Position(id: id) }

    /// How many of these entries, which a group has delivered as new, were handed over before: its
    /// position has gone back, as after a failover to a server that did not know it yet.
    func repeated(_ rows: ArraySlice<RowID>) -> Int {
        var count = 0
        for row in rows {
            let position = positions[Int(row.stream)]
            if position.isEntry, row.id <= position.id {
                count += 1
            } else if positions.count == 1 {
                break  // what comes after it is later
            }
        }
        return count
    }

    /// These entries are handed over. One look at the array for each run of rows of one stream.
    mutating func note(_ rows: [RowID]) {
        var next = 0
        while next < rows.count {
            let stream = rows[next].stream
            var largest = rows[next].id
            while next < rows.count, rows[next].stream == stream {
                if rows[next].id > largest { largest = rows[next].id }
                next += 1
            }
            if largest > positions[Int(stream)].id { positions[Int(stream)].id = largest }
            positions[Int(stream)].isEntry = true
        }
    }
}
