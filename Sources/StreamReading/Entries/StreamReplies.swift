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

    /// How far the stream has come, in the answer to XINFO STREAM.
    var lastGeneratedID: EntryID? {
        guard case .array(let parts) = self else { return nil }
        for (name, value) in zip(parts, parts.dropFirst()) {
            guard case .bulk(let name) = name, name.elementsEqual("last-generated-id".utf8),
                case .bulk(let text) = value, let last = EntryID(text, sequenceIfMissing: nil)
            else { continue }
            return last
        }
        return nil
    }
}
