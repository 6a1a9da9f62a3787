// SPDX-License-Identifier: Apache-2.0
// Whether a large entry has arrived in full: it is counted through once, from where the last look
// stopped, so that an entry which comes in many pieces is not parsed again for each of them.

import RedisConnection

/// How large an entry may be: it is kept whole until it has come in full.
struct EntryLimits {
    var bytes = ProtocolLimits.entryBytes
    var fields = ProtocolLimits.entryElements / 2
}

/// How far an entry that is not complete has been looked through.
struct EntrySkim {
    /// An entry below this is simply parsed again when more has come.
    static let worthwhileBytes = 64 * 1024

    /// `tooLarge`: too many fields. `tooLong`: too many bytes.
    enum Outcome { case complete, needsMore, malformed, tooLarge, tooLong, hugeValue }

    var isActive = false
    /// Bytes of the entry that were looked through; may lie beyond what has arrived.
    private var offset = 0
    /// Strings that are still to come after `offset`; nil before their number is known.
    private var stringsLeft: Int?

    /// The bytes of the entry; known when it is complete.
    var length: Int { offset }

    init(isActive: Bool = false) { self.isActive = isActive }

    /// Looks on through the entry that begins at `start`. Needs 16 zero bytes after `end`.
    mutating func advance(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ limits: EntryLimits
    ) -> Outcome {
        if stringsLeft == nil {
            var position = start
            var length = readLength(&position, end, 0x2A)
            guard length == 2 else { return EntrySkim.outcome(length) }
            length = readLength(&position, end, 0x24)
            guard length >= 0 else { return EntrySkim.outcome(length) }
            guard length <= 41 else { return .malformed }
            guard end - position >= length + 2 else { return .needsMore }
            position += length + 2
            length = readLength(&position, end, 0x2A)
            guard length >= 0 else { return EntrySkim.outcome(length) }
            guard length / 2 <= limits.fields else { return .tooLarge }
            stringsLeft = length
            offset = position - start
        }
        while let left = stringsLeft, left > 0 {
            guard offset < end - start else { return .needsMore }
            var position = start + offset
            let length = readLength(&position, end, 0x24)
            guard length >= 0 else { return EntrySkim.outcome(length) }
            guard length <= ProtocolLimits.bulkBytes else { return .hugeValue }
            offset = position - start + length + 2
            guard offset <= limits.bytes else { return .tooLong }
            stringsLeft = left - 1
        }
        return offset <= end - start ? .complete : .needsMore
    }

    private static func outcome(_ length: Int) -> Outcome {
        length == Length.needsMore ? .needsMore : .malformed
    }
}
