// SPDX-License-Identifier: Apache-2.0
// The names of options: which there are, for the error about one that there is not, and which of
// them say nothing in some reads.

import RedisConnection

extension ReadOptions {
    static var names: [String] {
        [
            "start_id", "end_id", "count", "batch_rows", "page_rows", "include_id",
            "include_timestamp", "include_sequence", "id_column", "timestamp_column",
            "sequence_column", "on_error", "discover", "discovered", "columns_max",
            "string_layout", "categories:N", "field:N", "reserved", "stream_column",
            "count_per_stream", "scan_count", "streams_at_once",
            "count_wrong_types", "entry_bytes_max", "entry_fields_max", "follow", "block_ms",
            "connect", "on_idle", "reconnect_timeout_ms", "group", "consumer", "create_group",
            "group_start_id", "auto_ack", "claim_idle_ms", "max_deliveries", "dead_letter",
        ]
    }
}

extension Timeouts {
    static var names: [String] {
        ["connect_timeout_ms", "timeout_ms", "answer_timeout_ms", "connect"]
    }
}

extension OptionValue {
    static func needsGroup(_ key: String) -> Bool {
        switch key {
        case "create_group", "group_start_id", "auto_ack", "claim_idle_ms", "max_deliveries",
            "dead_letter":
            return true
        default: return false
        }
    }

    static func needsFollowing(_ key: String) -> Bool {
        key == "on_idle" || key == "reconnect_timeout_ms"
    }

    static func needsManyStreams(_ key: String) -> Bool {
        switch key {
        case "count_per_stream", "scan_count", "streams_at_once", "count_wrong_types": return true
        default: return false
        }
    }

    /// The error for an option that there is not. It names those that there are, and first the ones
    /// that are spelled most like it.
    public static func unknown(_ key: String, _ what: String, known: [String]) -> RedisError {
        let given = Array(key.utf8.prefix(80))
        var ranked: [(distance: Int, name: String)] = []
        for name in known {
            let distance = editDistance(given, Array(name.utf8))
            let place = ranked.firstIndex { $0.distance > distance } ?? ranked.count
            ranked.insert((distance, name), at: place)
        }
        var list = ""
        for (_, name) in ranked { list += list.isEmpty ? name : ", " + name }
        return RedisError(
            .invalidArgument,
            "there is no option \"\(escaped(Array(key.utf8), limit: 80))\" for \(what); "
                + "there are \(list)")
    }

    /// How many bytes must be added, taken away or changed to make one text of the other.
    static func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (index, byte) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, otherByte) in other.enumerated() {
                let changed = diagonal + (byte == otherByte ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }
}
