// SPDX-License-Identifier: Apache-2.0
// What is to be listed: the five lists, their columns, and their options.

import RedcolBase
import RedisTopology

/// A list that somebody asks for. Two equal ones are one call that goes on after a signal.
public struct ListRequest: Equatable {
    public enum What: Sendable {
        case streams, groups, consumers, pending, partitions
    }

    let what: What
    let chosen: ChosenStreams
    /// The group whose consumers or pending entries are listed; nil: all.
    let group: [UInt8]?
    let options: ListOptions

    public init(
        _ what: What, of chosen: ChosenStreams, group: [UInt8]? = nil, _ options: ListOptions
    ) {
        self.what = what
        self.chosen = chosen
        self.group = group
        self.options = options
    }

    /// Columns that are filled by more than one answer are named by `Place`.
    var columns: [ListColumn] {
        switch what {
        case .streams:
            [
                ListColumn("stream", .stream), ListColumn("length", .count, "length"),
                ListColumn("first_id", .id, "first-entry"),
                ListColumn("last_id", .id, "last-entry"), ListColumn("first_ts", .timeBefore),
                ListColumn("last_ts", .timeBefore),
                ListColumn("entries_added", .count, "entries-added"),
                ListColumn("groups", .count, "groups"), ListColumn("bytes", .count),
            ]
        case .groups:
            [
                ListColumn("stream", .stream), ListColumn("group", .text, "name"),
                ListColumn("consumers", .count, "consumers"),
                ListColumn("pending", .count, "pending"),
                ListColumn("last_delivered_id", .id, "last-delivered-id"),
                ListColumn("entries_read", .count, "entries-read"),
                ListColumn("lag", .count, "lag"), ListColumn("lag_exact", .count),
                ListColumn("oldest_pending_ms", .count),
            ]
        case .consumers:
            [
                ListColumn("stream", .stream), ListColumn("group", .text),
                ListColumn("consumer", .text, "name"), ListColumn("pending", .count, "pending"),
                ListColumn("idle_ms", .count, "idle"),
                ListColumn("inactive_ms", .count, "inactive"),
            ]
        case .pending:
            [
                ListColumn("_id", .id), ListColumn("_ts", .count), ListColumn("consumer", .text),
                ListColumn("idle_ms", .count), ListColumn("deliveries", .count),
            ]
        case .partitions:
            // A stream's first and last ids and its length, which its parts take the place of.
            [
                ListColumn("stream", .stream), ListColumn("start_id", .id, "first-entry"),
                ListColumn("end_id", .id, "last-entry"), ListColumn("rows", .count, "length"),
            ]
        }
    }
}

/// Places of columns that are filled by more than one answer.
enum Place {
    static let bytes = 8
    static let group = 1
    static let consumer = 2
    static let pending = 3
    static let lastDelivered = 4
    static let lagExact = 7
    static let oldestPending = 8
    static let startID = 1
    static let endID = 2
    static let rows = 3
}

/// The options of a list; the defaults are those of the table.
public struct ListOptions: Equatable {
    /// The lag of groups is counted, too.
    var isExact = false
    var consumer: [UInt8]?
    var idleMsMin = 0
    /// Nil: no id can be in the range.
    var first: EntryID? = .smallest
    var last: EntryID? = .largest
    var count = Int.max
    /// How many entries a part of a stream should have.
    var rows = 1_000_000
    /// How many entries the range has; 0: unknown. Nil: the length of the stream says it.
    var entries: Int?

    public init(
        _ pairs: [(key: String, value: String)], for what: ListRequest.What
    ) throws(RedcolError) {
        if what == .partitions {
            try takeParts(pairs)
            return
        }
        for (key, text) in pairs {
            let (name, value) = try ListOption.given(key, text)
            guard what == (name == .exact ? .groups : .pending) else {
                throw RedcolError(
                    .invalidArgument, "\(key) has no effect on this list: leave it out")
            }
            switch name {
            case .exact: isExact = try value.boolean()
            case .consumer: consumer = try value.name()
            case .minIdleMs: idleMsMin = try value.integer()
            case .startID: first = try RangeBound.lower(value.text, name: key)
            case .endID: last = try RangeBound.upper(value.text, name: key)
            case .count: count = try value.integer()
            }
        }
    }

    private mutating func takeParts(
        _ pairs: [(key: String, value: String)]
    ) throws(RedcolError) {
        for (key, text) in pairs {
            let (name, value) = try PartitionOption.given(key, text)
            switch name {
            case .rows: rows = try value.integer()
            case .startID: first = try RangeBound.lower(value.text, name: key)
            case .endID: last = try RangeBound.upper(value.text, name: key)
            case .entries: entries = try value.integer()
            }
        }
    }
}
