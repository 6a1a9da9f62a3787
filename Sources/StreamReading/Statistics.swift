// SPDX-License-Identifier: Apache-2.0
// What a read has done so far, to be asked for from any thread.

import CPlatform
import RedcolBase

/// Counters that only grow, except for `idleAnswers`, and the entry that was handed over last.
public final class Statistics: @unchecked Sendable {
    public enum Counter: Int, CaseIterable, Sendable {
        case delivered, acknowledged, redelivered, claimed, reconnects, deleted, deadLettered
        case nulled, skipped
        case bytesReceived
        /// Those in the batch that is being read, too.
        case rowsRead
        /// Entries that were gone before they were read, as far as that was noticed.
        case lostEntries
        /// When it was made, in milliseconds since 1970.
        case startedAt
        case resets, emptyAnswers
        /// Of `emptyAnswers`, those since the last batch was handed over.
        case idleAnswers
        case streams, emptyStreams, wrongTypes
        /// Times without a subscription, and how many milliseconds they took together.
        case gaps, gapMs

        public var name: StaticString {
            switch self {
            case .delivered: return "delivered"
            case .acknowledged: return "acknowledged"
            case .redelivered: return "redelivered"
            case .claimed: return "claimed"
            case .reconnects: return "reconnects"
            case .deleted: return "deleted"
            case .deadLettered: return "dead_lettered"
            case .nulled: return "nulled"
            case .skipped: return "skipped"
            case .bytesReceived: return "bytes_received"
            case .rowsRead: return "rows_read"
            case .lostEntries: return "lost_entries"
            case .startedAt: return "started_at"
            case .resets: return "resets"
            case .emptyAnswers: return "empty_answers"
            case .idleAnswers: return "idle_answers"
            case .streams: return "streams"
            case .emptyStreams: return "empty_streams"
            case .wrongTypes: return "wrong_types"
            case .gaps: return "gaps"
            case .gapMs: return "gap_ms"
            }
        }
    }

    private let counters: OpaquePointer
    private let locked: Lock
    private var last: EntryID?
    private var beforeLast: EntryID?

    static func make() throws(RedcolError) -> Statistics {
        guard let counters = platform_counters_new(Int32(Counter.allCases.count)) else {
            throw RedcolError(.memory, "no memory for a read's statistics")
        }
        do throws(RedcolError) {
            return Statistics(counters, try Lock(for: "a read's statistics"))
        } catch {
            platform_counters_free(counters)
            throw error
        }
    }

    private init(_ counters: OpaquePointer, _ lock: consuming Lock) {
        self.counters = counters
        locked = lock
        add(.startedAt, Int(platform_wall_clock_ms()))
    }

    deinit { platform_counters_free(counters) }

    func add(_ counter: Counter, _ change: Int) {
        platform_counters_add(counters, Int32(counter.rawValue), Int64(change))
    }

    /// The server has said that there is nothing to read.
    func addEmptyAnswer() {
        add(.emptyAnswers, 1)
        add(.idleAnswers, 1)
    }

    /// `last`: the id of its last entry, if that is known.
    func addBatch(rows: Int, last id: EntryID?) {
        add(.delivered, rows)
        if let id { locked { (beforeLast, last) = (last, id) } }
        add(.idleAnswers, -Int(clamping: value(.idleAnswers)))
    }

    /// Rows of a batch that was handed over will be read again.
    func takeBack(rows: Int) {
        add(.delivered, -rows)
        add(.rowsRead, -rows)
    }

    /// The last batch was taken back.
    func takeBatchBack() { locked { last = beforeLast } }

    /// The last entry that was handed over, of whatever stream.
    public var lastEntry: EntryID? { locked { last } }

    public func value(_ counter: Counter) -> Int64 {
        platform_counters_get(counters, Int32(counter.rawValue))
    }
}
