// SPDX-License-Identifier: Apache-2.0
// What a member of a group has in hand, and how far it has come.

import CPlatform
import RedcolBase

extension GroupReader {
    /// Entries that the caller has, or that are in the batch, must not come again; and one that was
    /// refused not at once.
    func passOverInHand() throws(RedcolError) {
        parser.pointee.skipped = try everythingInHand()
    }

    func everythingInHand() throws(RedcolError) -> Set<RowID> {
        let others = parser.pointee.rows.count + parser.pointee.leftOut.rows.count + refused.count
        try Memory.require(held.memory(for: others), for: "the entries in hand")
        var rows = held.all()
        rows.formUnion(parser.pointee.rows)
        rows.formUnion(parser.pointee.leftOut.rows)
        rows.formUnion(letters.rows)
        let now = platform_monotonic_ms()
        for (row, until) in refused where until > now { rows.insert(row) }
        return rows
    }

    /// What was left out is acknowledged as the rest of its batch.
    func takeLeftOut() -> [RowID] {
        let leftOut = parser.pointee.leftOut.takeRows()
        guard !leftOut.isEmpty else { return [] }
        held.holdRowless(leftOut)
        ledger.delivered(leftOut)
        noteHandled(leftOut)
        return leftOut
    }

    /// The group and its streams, for people.
    var groupShown: String {
        let names = streams.prefix(3).map { "\"\(escaped($0, limit: 200))\"" }
        let more = streams.count > 3 ? ", …" : ""
        return "group \"\(escaped(options.group, limit: 200))\" of stream "
            + names.joined(separator: ", ") + more
    }
}
