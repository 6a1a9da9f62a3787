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

    /// The id of this name in the answer to XINFO STREAM: "last-generated-id", or since Redis 7
    /// "max-deleted-entry-id".
    func entryID(named wanted: StaticString) -> EntryID? {
        guard case .array(let parts) = self else { return nil }
        for (name, value) in zip(parts, parts.dropFirst()) {
            guard case .bulk(let name) = name, wanted.withUTF8Buffer({ name.elementsEqual($0) }),
                case .bulk(let text) = value, let id = EntryID(text, sequenceIfMissing: nil)
            else { continue }
            return id
        }
        return nil
    }
}
