// SPDX-License-Identifier: Apache-2.0
// What a member of a consumer group may ask of its server.

import RedcolBase

/// A request of a member, as it is sent.
enum GroupRequest: Equatable {
    /// XRANGE: where the stream begins.
    case firstEntry(stream: Int)
    /// XRANGE: whether this entry is there.
    case entry(stream: Int, id: EntryID)
    /// XGROUP CREATE … MKSTREAM.
    case create(stream: Int, at: EntryID)
    /// XPENDING with counts: which entries were delivered too often, and which may be claimed.
    /// Those that are idle for so long, of any consumer; nil: those of this consumer.
    case deliveries(stream: Int, after: EntryID, count: Int, idleMs: Int64?)
    /// XREADGROUP with an id: this consumer's pending entries after it.
    case own(stream: Int, after: EntryID, count: Int)
    /// XPENDING of this consumer: are there entries that nobody has in hand?
    case look(stream: Int, after: EntryID, count: Int)
    /// XAUTOCLAIM of idle entries, none of which is in hand.
    case claim(stream: Int, first: EntryID, last: EntryID, count: Int, idleMs: Int64)
    /// XREADGROUP with ">". The server is asked to wait for so long; nil: not at all.
    case new(streams: [Int], count: Int, blockMs: Int64?)

    /// Which stream it is about; nil if there are several.
    var stream: Int? {
        switch self {
        case .firstEntry(let stream), .entry(let stream, _), .create(let stream, _),
            .deliveries(let stream, _, _, _), .own(let stream, _, _), .look(let stream, _, _),
            .claim(let stream, _, _, _, _):
            return stream
        case .new(let streams, _, _): return streams.count == 1 ? streams[0] : nil
        }
    }

    /// How many entries may come in answer to it; nil if it asks for none.
    var entriesMax: Int? {
        switch self {
        case .own(_, _, let count), .claim(_, _, _, let count, _): return count
        // At most 10^6 times 10^5.
        case .new(let streams, let count, _): return count &* streams.count
        default: return nil
        }
    }

    /// Of which streams it is asked before whether entries are gone that the group has not read:
    /// with the first page of own pending entries, as after each connect, and at the looks that
    /// come now and then; of a backlog once a second, if that `isDue`.
    func gapLooks(isDue: Bool) -> [Int] {
        switch self {
        case .own(let stream, .smallest, _), .look(let stream, .smallest, _): return [stream]
        case .new(let streams, _, nil) where isDue: return streams
        default: return []
        }
    }

    /// How many lines of XPENDING may come in answer to it.
    var linesMax: Int {
        switch self {
        case .deliveries(_, _, let count, _), .look(_, _, let count): return count
        default: return 0
        }
    }
}
