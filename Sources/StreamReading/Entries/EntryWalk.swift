// SPDX-License-Identifier: Apache-2.0
// Goes through a reply entry by entry, and makes no rows of them: for ids, and for entries that are
// kept as they came.

import RedcolBase
import RedisConnection

/// How far a reply of entries has been gone through.
struct EntryWalk {
    enum Step {
        /// An entry, and the bytes it has; `position` is after it.
        case entry(EntryID, bytes: Int)
        case needsMore, end, serverError, malformed
        case tooLarge(EntryID)
    }

    private var frame: ReplyFrame
    private var skim = EntrySkim(isActive: true)

    init(entriesMax: Int) { frame = ReplyFrame(.entries, entriesMax: entriesMax) }

    /// Moves `position` to the end of what comes next. There must be 16 zero bytes after `end`.
    mutating func next(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ limits: EntryLimits
    ) -> Step {
        switch frame.advance(&position, end, names: []) {
        case .entry: break
        case .needsMore: return .needsMore
        case .end: return .end
        case .serverError: return .serverError
        default: return .malformed
        }
        switch skim.advance(position, end, limits) {
        case .complete: break
        case .needsMore: return .needsMore
        case .malformed: return .malformed
        case .tooLarge, .tooLong, .hugeValue:
            return ReplyFrame.entryID(position, end).map { .tooLarge($0) } ?? .malformed
        }
        guard let id = ReplyFrame.entryID(position, end) else { return .malformed }
        let bytes = skim.length
        position += bytes
        skim = EntrySkim(isActive: true)
        frame.entriesLeft -= 1
        return .entry(id, bytes: bytes)
    }
}
