// SPDX-License-Identifier: Apache-2.0
// What XPENDING says of an entry.
// https://redis.io/docs/latest/commands/xpending/

import RedcolBase
import RedisConnection

/// One line of XPENDING.
struct PendingLine: Equatable {
    /// What is kept of a line, in bytes.
    static let memory = 256

    var id: EntryID
    var consumer: [UInt8]
    var deliveries: Int64

    /// Nil if the reply is not such a line.
    init?(_ reply: Reply) {
        guard case .array(let parts) = reply, parts.count >= 4,
            case .bulk(let id) = parts[0], case .bulk(let consumer) = parts[1],
            // -1: a consumer has given it back (XNACK), and it is nobody's.
            case .integer(let idle) = parts[2], idle.within(-1...Int64.max) != nil,
            case .integer(let number) = parts[3], let deliveries = number.within(0...Int64.max),
            let entryID = EntryID(id, sequenceIfMissing: nil)
        else { return nil }
        self.id = entryID
        self.consumer = consumer
        self.deliveries = deliveries
    }

    /// The lines of a page, of which `most` were asked for; nil if the reply is not such a page.
    static func page(_ reply: Reply, most: Int) throws(RedcolError) -> [PendingLine]? {
        guard case .array(let lines) = reply, lines.count <= most else { return nil }
        try Memory.require(lines.count * PendingLine.memory, for: "pending entries")
        var page: [PendingLine] = []
        page.reserveCapacity(lines.count)
        for line in lines {
            guard let entry = PendingLine(line) else { return nil }
            page.append(entry)
        }
        return page
    }
}
