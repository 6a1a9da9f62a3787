// SPDX-License-Identifier: Apache-2.0
// Columns of a frame that a reader has added: parts of the entries' ids, and where entries were.
// They are not fields, and are not written as such.

import ArrowColumns
import RedcolBase
import RedisConnection

/// What happens to columns that a reader may have added.
enum MetadataRule: String, CaseIterable {
    /// Those that agree with the entry's id are left out; for others the caller has to decide.
    case check
    /// Those of their names and types are left out.
    case omit
    /// They are fields.
    case write
}

/// Which columns of a frame these are.
struct MetadataColumns {
    /// The columns that are not written.
    private(set) var omitted: Set<Int> = []
    /// The column of the ids with which the others have to agree.
    private var id: Int?
    private var idIsOmitted = false
    private var timestamp: Int?
    private var sequence: Int?

    static let remedy =
        "rename the column to write it as a field, drop it, or say with metadata what it is: "
        + "\"write\" writes it as a field of this name, \"omit\" leaves it out"

    init(
        _ schema: InputSchema, _ rule: MetadataRule, keyColumn: Int?, idColumn: Int?
    ) throws(RedcolError) {
        if rule == .write { return }
        func column(_ name: StaticString, _ fits: (InputNode) -> Bool) -> Int? {
            let text = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
            guard let found = schema.column(Array(text)), fits(schema.nodes[found]),
                found != keyColumn, found != idColumn
            else { return nil }
            return found
        }
        let ownID = column("_id") { $0.isText }
        let stamp = column("_ts") { $0.kind == .int64 || $0.kind == .timestamp }
        let number = column("_seq") { $0.kind == .uint64 }
        let index = column("_index") { $0.kind == .uint64 }
        let places = [
            column("_stream") { $0.isText || $0.kind == .dictionary },
            column("_key") { $0.isText || $0.kind == .dictionary }, index,
        ]
        for case let found? in [ownID, stamp, number] + places { omitted.insert(found) }
        if rule == .omit { return }
        for case let found? in places {
            let name = schema.shownName(found)
            let way =
                found == index
                ? "" : "give stream_column=\"\(name)\", to write each row to that stream; "
            throw RedcolError(
                .schema,
                "column \"\(name)\" may be one that a read of several streams adds, or a field: "
                    + way + MetadataColumns.remedy,
                details: [(.field, columnDetail(schema.names[found]))])
        }
        id = ownID ?? idColumn
        idIsOmitted = ownID != nil
        (timestamp, sequence) = (stamp, number)
        if id == nil, let found = stamp ?? number {
            throw RedcolError(
                .schema,
                "column \"\(schema.shownName(found))\" may be a part of the entries' ids, as a "
                    + "read adds it, or a field: without a column of ids that is not known; "
                    + MetadataColumns.remedy,
                details: [(.field, columnDetail(schema.names[found]))])
        }
    }

    /// Whether rows have to be looked at.
    var needsChecks: Bool { timestamp != nil || sequence != nil || idIsOmitted }

    /// Sees that what is left out of a row says the same as its id, so that nothing is lost.
    func check(
        _ row: Int, _ schema: InputSchema, _ scratch: inout GrowingBytes
    ) throws(RedcolError) {
        guard let id else { return }
        scratch.clear()
        let hasID = try !schema.nodes[id].isNull(row, schema.nodes)
        if hasID {
            try scratch.appendText(schema.nodes + id, row, schema)
        }
        let text = scratch.bytes
        let whole = EntryID(text, sequenceIfMissing: nil)
        if idIsOmitted, hasID, whole == nil { throw disagrees(id, row, schema, text) }
        if let timestamp, try !schema.nodes[timestamp].isNull(row, schema.nodes) {
            let hyphen = text.firstIndex(of: UInt8(ascii: "-")) ?? text.endIndex
            guard let read = EntryID(text[..<hyphen], sequenceIfMissing: 0),
                schema.nodes[timestamp].isMoment(row, milliseconds: read.milliseconds)
            else { throw disagrees(timestamp, row, schema, text) }
        }
        if let sequence, try !schema.nodes[sequence].isNull(row, schema.nodes) {
            guard let whole, schema.nodes[sequence].load(row, as: UInt64.self) == whole.sequence
            else { throw disagrees(sequence, row, schema, text) }
        }
    }

    private func disagrees(
        _ column: Int, _ row: Int, _ schema: InputSchema, _ id: UnsafeBufferPointer<UInt8>
    ) -> RedcolError {
        let name = schema.shownName(column)
        let why =
            column == self.id
            ? "is \"\(escaped(id, limit: 80))\", which is not a whole entry id, as a read gives it"
            : "does not say the same as the entry's id, \"\(escaped(id, limit: 80))\", so that "
                + "it is not a column that a read adds"
        return RedcolError(
            .value, "column \"\(name)\" \(why); \(MetadataColumns.remedy)",
            details: [(.field, columnDetail(schema.names[column]))])
    }
}

extension InputNode {
    fileprivate var isText: Bool {
        switch kind {
        case .text32, .text64, .textView: return true
        default: return false
        }
    }

    /// Whether the number or timestamp at `row` is this time.
    fileprivate func isMoment(_ row: Int, milliseconds: UInt64) -> Bool {
        guard let ticks = load(row, as: Int64.self), ticks >= 0 else { return false }
        let value = UInt64(ticks)
        guard kind == .timestamp else { return value == milliseconds }
        switch unit {
        case .second: return value.multipliedReportingOverflow(by: 1_000) == (milliseconds, false)
        case .millisecond: return value == milliseconds
        case .microsecond:
            return milliseconds.multipliedReportingOverflow(by: 1_000) == (value, false)
        case .nanosecond:
            return milliseconds.multipliedReportingOverflow(by: 1_000_000) == (value, false)
        }
    }
}
