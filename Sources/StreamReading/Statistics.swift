// SPDX-License-Identifier: Apache-2.0
// What a read has done so far, to be asked for from any thread.

import CPlatform
import RedcolBase

/// Counters that only grow, except for `idleAnswers`.
public final class Statistics: @unchecked Sendable {
    public enum Counter: Int, CaseIterable, Sendable {
        case delivered, acknowledged, redelivered, claimed, reconnects, deleted, deadLettered
        case nulled, skipped
        case bytesReceived
        /// Those in the batch that is being read, too.
        case rowsRead
        case resets, emptyAnswers
        /// Of `emptyAnswers`, those since the last batch was handed over.
        case idleAnswers
        case streams, emptyStreams, wrongTypes

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
            case .resets: return "resets"
            case .emptyAnswers: return "empty_answers"
            case .idleAnswers: return "idle_answers"
            case .streams: return "streams"
            case .emptyStreams: return "empty_streams"
            case .wrongTypes: return "wrong_types"
            }
        }
    }

    private let counters: OpaquePointer

    static func make() throws(RedcolError) -> Statistics {
        guard let counters = platform_counters_new(Int32(Counter.allCases.count)) else {
            throw RedcolError(.memory, "no memory for a read's statistics")
        }
        return Statistics(counters)
    }

    private init(_ counters: OpaquePointer) { self.counters = counters }

    deinit { platform_counters_free(counters) }

    func add(_ counter: Counter, _ change: Int) {
        platform_counters_add(counters, Int32(counter.rawValue), Int64(change))
    }

    /// The server has said that there is nothing to read.
    func addEmptyAnswer() {
        add(.emptyAnswers, 1)
        add(.idleAnswers, 1)
    }

    func addBatch(rows: Int) {
        add(.delivered, rows)
        add(.idleAnswers, -Int(clamping: value(.idleAnswers)))
    }

    /// Rows of a batch that was handed over will be read again.
    func takeBack(rows: Int) {
        add(.delivered, -rows)
        add(.rowsRead, -rows)
    }

    public func value(_ counter: Counter) -> Int64 {
        platform_counters_get(counters, Int32(counter.rawValue))
    }
}
