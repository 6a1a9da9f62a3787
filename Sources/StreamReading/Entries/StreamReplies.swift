// SPDX-License-Identifier: Apache-2.0
// What small replies say of a stream.

import RedcolBase
import RedisConnection

extension Reply {
    /// The entry in the answer to XRANGE of one entry: its id, and its fields and values.
    var firstEntry: (id: EntryID, fields: [[UInt8]])? {
        guard case .array(let entries) = self, case .array(let entry)? = entries.first,
            entry.count == 2, case .bulk(let text) = entry[0], case .array(let parts) = entry[1],
            let id = EntryID(text, sequenceIfMissing: nil)
        else { return nil }
        var fields: [[UInt8]] = []
        for part in parts {
            if case .bulk(let bytes) = part { fields.append(bytes) }
        }
        return (id, fields)
    }

    /// The id of the "first-entry" or "last-entry" in the answer to XINFO STREAM; nil for an empty
    /// stream.
    func entryID(of name: StaticString) -> EntryID? {
        guard case .array(let entry)? = part(named: name),
            case .bulk(let text)? = entry.first
        else { return nil }
        return EntryID(text, sequenceIfMissing: nil)
    }

    /// The number of this name in an answer to XINFO; nil if it is null, or below zero.
    func number(named name: StaticString) -> Int64? {
        guard case .integer(let number)? = part(named: name) else { return nil }
        return number.within(0...Int64.max)
    }

    /// The id of this name in the answer to XINFO STREAM: "last-generated-id", or since Redis 7
    /// "max-deleted-entry-id"; or to XINFO GROUPS.
    func entryID(named wanted: StaticString) -> EntryID? {
        value(of: wanted).flatMap { EntryID($0, sequenceIfMissing: nil) }
    }
}
