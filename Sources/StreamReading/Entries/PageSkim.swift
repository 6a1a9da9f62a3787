// SPDX-License-Identifier: Apache-2.0
// What an answer of entries has, seen without looking at their values: how many entries, and the
// ids of the first and the last.

import RedcolBase
import RedisConnection

/// One answer to XRANGE or XREVRANGE, as far as it has come.
struct PageSkim {
    enum Outcome {
        case needsMore(used: Int)
        case end(used: Int)
        case serverError, malformed
        case tooLarge(EntryID)
    }

    private var frame: ReplyFrame
    private var skim = EntrySkim(isActive: true)
    private(set) var entries = 0
    /// Known when the answer has ended.
    private(set) var first: EntryID?
    private(set) var last: EntryID?

    init(entriesMax: Int) { frame = ReplyFrame(.entries, entriesMax: entriesMax) }

    /// Looks on through what has come, which needs 16 zero bytes after it. What was used is not to
    /// come again.
    mutating func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Outcome {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return .needsMore(used: 0) }
        let end = start + bytes.count
        let limits = EntryLimits()
        var position = start
        while true {
            switch frame.advance(&position, end, names: []) {
            case .entry:
                while frame.entriesLeft > 0 {
                    switch skim.advance(position, end, limits) {
                    case .complete: break
                    case .needsMore: return .needsMore(used: position - start)
                    case .malformed: return .malformed
                    case .tooLarge, .tooLong, .hugeValue:
                        return ReplyFrame.entryID(position, end).map { .tooLarge($0) }
                            ?? .malformed
                    }
                    if first == nil || frame.entriesLeft == 1 {
                        guard let id = ReplyFrame.entryID(position, end) else { return .malformed }
                        if first == nil { first = id }
                        last = id
                    }
                    position += skim.length
                    skim = EntrySkim(isActive: true)
                    entries += 1
                    frame.entriesLeft -= 1
                }
            case .needsMore: return .needsMore(used: position - start)
            case .end: return .end(used: position - start)
            case .serverError: return .serverError
            default: return .malformed
            }
        }
    }
}
