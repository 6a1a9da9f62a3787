// SPDX-License-Identifier: Apache-2.0
// What stands around the entries of a reply: which streams they belong to, how many there are, and
// what follows them.

import RedcolBase
import RedisConnection

/// The replies that hold entries.
enum ReplyShape {
    /// XRANGE, XREVRANGE: entries.
    case entries
    /// XREAD, XREADGROUP: streams, each with its name and entries; null when there are none.
    case streams
    /// XAUTOCLAIM of one stream: a cursor, entries and, since Redis 7.0, the ids of deleted ones.
    case claimed(stream: Int)
}

/// How far a reply has been read, apart from its entries. It never goes back: each piece is taken
/// when it is complete.
struct ReplyFrame {
    enum Outcome {
        /// The next thing is an entry.
        case entry
        case needsMore, end, serverError
        case malformed(String)
        /// What stands here is not such a reply.
        case unreadable(UnsafePointer<UInt8>)
    }

    private enum Phase {
        case start, stream, entryCount, claimCursor, deletedCount, deletedID, done
    }

    private let shape: ReplyShape
    /// How many entries may come together.
    private let entriesMax: Int
    private var phase = Phase.start
    private var partsLeft = 0
    private var deletedLeft = 0

    /// Entries that come next, one after the other; counted down by the parser.
    var entriesLeft = 0
    /// How many streams the reply has entries of, if it has begun and tells that.
    private(set) var streamCount = 0
    /// Of how many streams it has as many entries as may come together.
    private(set) var fullStreamCount = 0
    /// Which of the reader's streams the entries belong to.
    private(set) var stream = 0
    /// Where the next XAUTOCLAIM continues; 0-0 when it has seen all.
    private(set) var claimCursor = EntryID.smallest
    /// Entries that XAUTOCLAIM found deleted, and no longer pending.
    private(set) var deletedIDs: [EntryID] = []

    init(_ shape: ReplyShape, entriesMax: Int) {
        self.shape = shape
        self.entriesMax = entriesMax
        if case .claimed(let stream) = shape { self.stream = stream }
    }

    var hasBegun: Bool { phase != .start }
    /// Nothing of the reply is still to come.
    var hasEnded: Bool { phase == .done && entriesLeft == 0 }

    /// Reads on until an entry, the end or a lack of bytes. `names`: the streams that were asked
    /// for.
    mutating func advance(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, names: [[UInt8]]
    ) -> Outcome {
        while true {
            if entriesLeft > 0 { return .entry }
            let before = position
            switch phase {
            case .start:
                guard position < end else { return .needsMore }
                if position[0] == 0x2D { return .serverError }  // -
                if case .entries = shape {
                    phase = .entryCount
                    continue
                }
                let count = readLength(&position, end, 0x2A)
                if count == Length.needsMore { return .needsMore }
                switch shape {
                case .streams where count == Length.null || count == 0: phase = .done
                case .streams where count > 0 && count <= names.count:
                    streamCount = count
                    partsLeft = count
                    phase = .stream
                case .claimed where count == 2 || count == 3:
                    partsLeft = count - 2
                    phase = .claimCursor
                default: return .unreadable(before)
                }
            case .stream:
                var next = position
                let pair = readLength(&next, end, 0x2A)
                if pair == Length.needsMore { return .needsMore }
                let length = pair == 2 ? readLength(&next, end, 0x24) : Length.malformed
                if length == Length.needsMore { return .needsMore }
                guard length >= 0, length <= ProtocolLimits.bulkBytes else {
                    return .unreadable(before)
                }
                guard end - next >= length + 2 else { return .needsMore }
                guard endsLine(next + length) else {
                    return .unreadable(before)
                }
                let name = UnsafeBufferPointer(start: next, count: length)
                guard let index = names.firstIndex(where: { $0.elementsEqual(name) }) else {
                    return .malformed("a stream that was not asked for")
                }
                stream = index
                partsLeft -= 1
                position = next + length + 2
                phase = .entryCount
            case .claimCursor:
                switch ReplyFrame.readID(&position, end) {
                case .id(let id): claimCursor = id
                case .needsMore: return .needsMore
                case .malformed: return .unreadable(before)
                }
                phase = .entryCount
            case .entryCount:
                let count = readLength(&position, end, 0x2A)
                if count == Length.needsMore { return .needsMore }
                if count > entriesMax {
                    return .malformed("\(count) entries, but \(entriesMax) were asked for")
                }
                guard count >= 0 || count == Length.null else {
                    return .unreadable(before)
                }
                entriesLeft = max(count, 0)
                if count == entriesMax { fullStreamCount += 1 }
                switch shape {
                case .entries: phase = .done
                case .streams: phase = partsLeft > 0 ? .stream : .done
                case .claimed: phase = partsLeft > 0 ? .deletedCount : .done
                }
            case .deletedCount:
                let count = readLength(&position, end, 0x2A)
                if count == Length.needsMore { return .needsMore }
                // XAUTOCLAIM looks at ten entries for each that it may give.
                guard count >= 0, count <= entriesMax * 10 + 10 else {
                    return .unreadable(before)
                }
                deletedLeft = count
                phase = .deletedID
            case .deletedID:
                if deletedLeft == 0 {
                    phase = .done
                    continue
                }
                switch ReplyFrame.readID(&position, end) {
                case .id(let id): deletedIDs.append(id)
                case .needsMore: return .needsMore
                case .malformed: return .unreadable(before)
                }
                deletedLeft -= 1
            case .done: return .end
            }
        }
    }

    private enum IDOutcome {
        case id(EntryID)
        case needsMore, malformed
    }

    /// Reads an id that stands by itself, and moves `position` past it.
    private static func readID(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> IDOutcome {
        var next = position
        let length = readLength(&next, end, 0x24)
        if length == Length.needsMore { return .needsMore }
        guard length >= 0, length <= 41 else { return .malformed }
        guard end - next >= length + 2 else { return .needsMore }
        let text = UnsafeBufferPointer(start: next, count: length)
        guard endsLine(next + length), let id = EntryID(text, sequenceIfMissing: nil) else {
            return .malformed
        }
        position = next + length + 2
        return .id(id)
    }

    /// The id of the entry that begins at `start`; nil if it has not come.
    static func entryID(
        _ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> EntryID? {
        var position = start
        guard readLength(&position, end, 0x2A) == 2, case .id(let id) = readID(&position, end)
        else { return nil }
        return id
    }
}
