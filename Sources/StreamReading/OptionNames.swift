// SPDX-License-Identifier: Apache-2.0
// The names of options: which there are, for the error about one that there is not, and which of
// them say nothing in some reads.

import RedcolBase

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
}
