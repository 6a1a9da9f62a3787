// SPDX-License-Identifier: Apache-2.0
// The row parser's errors: which entry, which field, and what to do.

import ArrowColumns
import RedcolBase
import RedisConnection

extension RowParser {
    func malformed(_ what: String) -> RedcolError {
        RedcolError(
            .protocolViolation, "stream entries were expected, but the server sent \(what)")
    }

    func shown(_ position: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> String {
        let text = UnsafeBufferPointer(start: position, count: end - position)
        return "\"\(secrets.shown(text, limit: 40, mayGoOn: true))\""
    }

    /// The error of an entry that begins at `position`.
    @inline(never)
    mutating func failure(
        _ step: Int, _ position: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> RedcolError {
        let id = ReplyFrame.entryID(position, end)
        if step == Step.wrongOrder {
            let found = id?.text ?? "?"
            return RedcolError(
                .protocolViolation,
                "the server sent entry \(found) where only later entries were asked for, or after "
                    + "an entry with the same or a larger id", details: [(.entryID, found)])
        }
        return failure(step, of: id) ?? malformed(shown(position, end))
    }

    /// The error of an entry, its id if that can be read; nil if its bytes make no sense.
    @inline(never)
    mutating func failure(_ step: Int, of entry: EntryID?) -> RedcolError? {
        let id = String(decoding: failedID, as: UTF8.self)
        switch step {
        case Step.refused:
            guard let refusal, refusal.column < batch.requested.count else { return nil }
            let column = batch.requested[refusal.column]
            return refusedValue(
                refusal.text, refusal.nested, column, id,
                isField: !isColumnOfID(refusal.column))
        case Step.noMemory: return RedcolError(.memory, "no memory for another row")
        case Step.tooManyColumns:
            return RedcolError(
                .schema,
                "entry \(id) has a field that would be column \(columnsMax + 1), and without a "
                    + "schema there are at most \(columnsMax): give a schema with the fields you "
                    + "want",
                details: [(.entryID, id)])
        case Step.newField: return newField(failedField, id)
        case Step.tooLarge:
            return tooLarge(entry, "more than \(limits.fields) fields (entry_fields_max)")
        case Step.tooLong:
            return tooLarge(entry, "more than \(limits.bytes) bytes (entry_bytes_max)")
        case Step.hugeValue:
            let most = ProtocolLimits.bulkBytes
            return tooLarge(
                entry, "a name or a value of more than \(most) bytes", hasOption: false)
        default: return nil
        }
    }

    /// `hasOption`: whether there is an option that allows more.
    private mutating func tooLarge(
        _ entry: EntryID?, _ what: String, hasOption: Bool = true
    ) -> RedcolError {
        tooLargeID = entry
        tooLargeReason = what
        let id = entry?.text ?? "?"
        let advice = hasOption ? "read it with a larger limit, " : ""
        return RedcolError(
            .tooLarge, "entry \(id) has \(what): \(advice)begin after it, or delete it",
            details: [(.entryID, id)])
    }

    /// The error of a batch that the layouts of its columns cannot hold; nil if they can.
    func pastLayout(rows: Int) -> RedcolError? {
        guard let column = batch.columnPastLayout() else { return nil }
        let name = escaped(columns[column].name, limit: 200)
        return RedcolError(
            .schema,
            "column \"\(name)\" has more than 2 GiB of text, or of values, in a batch of "
                + "\(rows) rows, which Arrow's u, z and +l cannot number; ask for U, Z and "
                + "+L (large_string) or vu and vz (string_view), or for smaller batches")
    }

    static func noMemory(rows: Int) -> RedcolError {
        RedcolError(.memory, "no memory to hand over a batch of \(rows) rows")
    }
}
