// SPDX-License-Identifier: Apache-2.0
// How far a write has come, to be asked for from any thread, also while it is under way.

import CPlatform
import RedcolBase

/// What a write counts. One thread, which writes, sets them.
public final class WriteProgress: @unchecked Sendable {
    public enum Counter: Int32, CaseIterable, Sendable {
        case written, refused, empty, known, bytesSent, receivers

        public var name: StaticString {
            switch self {
            case .written: return "written"
            case .refused: return "refused"
            case .empty: return "empty"
            case .known: return "known"
            case .bytesSent: return "bytes_sent"
            case .receivers: return "receivers"
            }
        }
    }

    private let counters: OpaquePointer

    static func make() throws(RedcolError) -> WriteProgress {
        guard let counters = platform_counters_new(Int32(Counter.allCases.count)) else {
            throw RedcolError(.memory, "no memory for the statistics of a write")
        }
        return WriteProgress(counters)
    }

    private init(_ counters: OpaquePointer) { self.counters = counters }

    deinit { platform_counters_free(counters) }

    func set(_ counter: Counter, _ value: Int) {
        platform_counters_set(counters, counter.rawValue, Int64(value))
    }

    func addSent(bytes: Int) {
        platform_counters_add(counters, Counter.bytesSent.rawValue, Int64(bytes))
    }

    /// So many clients have received a message.
    func addReceivers(_ count: Int) {
        platform_counters_add(counters, Counter.receivers.rawValue, Int64(count))
    }

    public func value(_ counter: Counter) -> Int64 {
        platform_counters_get(counters, counter.rawValue)
    }
}
