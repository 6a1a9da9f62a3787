// SPDX-License-Identifier: Apache-2.0
// Every option of the library, once: name, kind and range, default, and what it needs. What each
// does stands in redcol.h. Tests compare redcol.h and the parameters of Python with these rows.

/// The options of redcol_open.
public enum ClientOption: OptionTable {
    case connectTimeoutMs, timeoutMs, answerTimeoutMs, keepaliveMs
    case clientName, passwordFile, connect
    // Sentinels and clusters
    case sentinelUsername, sentinelPassword, readFrom, addressMap
    // TLS
    case sslCACerts, sslCAPath, sslCertfile, sslKeyfile, sslPassword
    case sslCertReqs, sslCheckHostname, sslMinVersion

    public static var purpose: StaticString { "a client" }

    public var option: Option {
        switch self {
        case .connectTimeoutMs:
            Option("connect_timeout_ms", .integer(from: 1, to: 2_147_483_647), default: "5000")
        case .timeoutMs:
            Option("timeout_ms", .integer(from: 1, to: 2_147_483_647), default: "5000")
        case .answerTimeoutMs: Option("answer_timeout_ms", .integer(from: 1, to: 2_147_483_647))
        case .keepaliveMs:
            Option("keepalive_ms", .integer(from: 0, to: 2_147_483_647), default: "30000")
        case .clientName: Option("client_name", .name)
        case .passwordFile: Option("password_file", .name)
        case .connect: Option("connect", .word("now later"), default: "now")

        case .sentinelUsername: Option("sentinel_username", .text)
        case .sentinelPassword: Option("sentinel_password", .text)
        case .readFrom: Option("read_from", .word("primary replica any"), default: "primary")
        case .addressMap: Option("address_map", .name)

        case .sslCACerts: Option("ssl_ca_certs", .name)
        case .sslCAPath: Option("ssl_ca_path", .name)
        case .sslCertfile: Option("ssl_certfile", .name)
        case .sslKeyfile: Option("ssl_keyfile", .name)
        case .sslPassword: Option("ssl_password", .text)
        case .sslCertReqs: Option("ssl_cert_reqs", .word("required none"), default: "required")
        case .sslCheckHostname: Option("ssl_check_hostname", .boolean, default: "true")
        case .sslMinVersion:
            Option("ssl_min_version", .word("TLSv1.2 TLSv1.3"), default: "TLSv1.2")
        }
    }
}

/// The options of redcol_read_stream, redcol_read_streams and redcol_read_ranges.
public enum ReadOption: OptionTable {
    // Which entries, and how many at once
    case startID, endID, count, last, ifMissing, batchRows, pageRows, transfer, dumpEntriesMax
    // Columns
    case includeID, includeTimestamp, includeSequence, idColumn, timestampColumn, sequenceColumn
    case timestampFormat, streamColumn, stringLayout, categories, field, reserved
    // With a schema, and without one
    case missingField, discover, discovered, columnsMax
    // Values that do not fit, and limits
    case onError, entryBytesMax, entryFieldsMax
    // Ranges of many streams
    case countPerStream, scanCount, streamsAtOnce, countWrongTypes
    // Waiting
    case follow, blockMs, onIdle, onGap, reconnectTimeoutMs, startLast, until, connect
    // Consumer groups
    case group, consumer, createGroup, groupStartID, autoAck, afterAck, claimIdleMs
    case heartbeatMs, maxDeliveries, deadLetter

    public static var purpose: StaticString { "a read" }

    public var option: Option {
        switch self {
        case .startID: Option("start_id", .id, default: "-")
        case .endID: Option("end_id", .id, default: "+")
        case .count: Option("count", .integer(from: 0))
        case .last: Option("last", .integer(from: 0))
        case .ifMissing: Option("if_missing", .word("empty raise"), default: "empty")
        case .batchRows: Option("batch_rows", .integer(from: 0), default: "65536")
        case .pageRows: Option("page_rows", .integer(from: 0, to: 1_000_000), default: "0")
        case .transfer: Option("transfer", .word("entries dump"), default: "entries")
        case .dumpEntriesMax: Option("dump_entries_max", .integer(from: 0))

        case .includeID: Option("include_id", .boolean, default: "true")
        case .includeTimestamp: Option("include_timestamp", .boolean, default: "true")
        case .includeSequence: Option("include_sequence", .boolean)
        case .idColumn: Option("id_column", .text, default: "_id")
        case .timestampColumn: Option("timestamp_column", .text, default: "_ts")
        case .sequenceColumn: Option("sequence_column", .text, default: "_seq")
        case .timestampFormat: Option("timestamp_format", .text, default: "l")
        case .streamColumn: Option("stream_column", .text)
        case .stringLayout: Option("string_layout", .word("view large string"))
        case .categories: Option("categories:N", .netstrings)
        case .field: Option("field:N", .text)
        case .reserved: Option("reserved", .netstrings)

        case .missingField:
            Option("missing_field", .word("null raise"), default: "null", needs: .schema)
        case .discover:
            Option(
                "discover", .word("string binary auto"), default: "string", needs: .noSchema)
        case .discovered: Option("discovered", .netstrings)
        case .columnsMax:
            Option(
                "columns_max", .integer(from: 1, to: 1_000_000), default: "10000",
                needs: .noSchema)

        case .onError: Option("on_error", .word("raise null skip dead_letter"), default: "raise")
        case .entryBytesMax:
            Option("entry_bytes_max", .integer(from: 1, to: 2_147_483_647), default: "1073741824")
        case .entryFieldsMax:
            Option("entry_fields_max", .integer(from: 1, to: 2_147_483_647), default: "1048576")

        case .countPerStream: Option("count_per_stream", .integer(from: 0), needs: .manyStreams)
        case .scanCount:
            Option(
                "scan_count", .integer(from: 1, to: 100_000), default: "1000", needs: .manyStreams)
        case .streamsAtOnce:
            Option("streams_at_once", .integer(from: 0), default: "0", needs: .manyStreams)
        case .countWrongTypes:
            Option("count_wrong_types", .boolean, default: "false", needs: .manyStreams)

        case .follow: Option("follow", .boolean, default: "false")
        case .blockMs: Option("block_ms", .integer(from: 0, to: 2_147_483_647))
        case .onIdle: Option("on_idle", .word("wait stop empty"), default: "wait", needs: .follow)
        case .onGap: Option("on_gap", .word("log raise"), default: "log", needs: .follow)
        case .reconnectTimeoutMs:
            Option("reconnect_timeout_ms", .integer(from: 0, to: 2_147_483_647), needs: .follow)
        case .startLast: Option("start_last", .integer(from: 0), needs: .follow)
        case .until: Option("until", .word("now"), needs: .follow)
        case .connect: Option("connect", .word("now later"), default: "now")

        case .group: Option("group", .name)
        case .consumer: Option("consumer", .name)
        case .createGroup: Option("create_group", .boolean, default: "true", needs: .group)
        case .groupStartID: Option("group_start_id", .id, default: "0", needs: .group)
        case .autoAck: Option("auto_ack", .boolean, default: "false", needs: .group)
        case .afterAck:
            Option("after_ack", .word("keep delete"), default: "keep", needs: .group)
        case .claimIdleMs:
            Option("claim_idle_ms", .integer(from: 0, to: 2_147_483_647), needs: .group)
        case .heartbeatMs:
            Option("heartbeat_ms", .integer(from: 1, to: 2_147_483_647), needs: .group)
        case .maxDeliveries:
            Option("max_deliveries", .integer(from: 1, to: 2_147_483_647), needs: .group)
        case .deadLetter: Option("dead_letter", .name, needs: .group)
        }
    }
}

/// The options of redcol_subscribe.
public enum SubscribeOption: OptionTable {
    case sharded, count, batchRows, batchMs
    // When it ends, and what it does when nothing comes
    case windowMs, blockMs, onIdle, onGap, reconnectTimeoutMs, connect
    // Columns
    case messageFormat, includeChannel, includeTimestamp
    case channelColumn, patternColumn, messageColumn, timestampColumn, timestampFormat
    case categories
    // Values that do not fit, and limits
    case onError, messageBytesMax

    public static var purpose: StaticString { "a subscription" }

    public var option: Option {
        switch self {
        case .sharded: Option("sharded", .boolean, default: "false")
        case .count: Option("count", .integer(from: 0))
        case .batchRows: Option("batch_rows", .integer(from: 1), default: "65536")
        case .batchMs: Option("batch_ms", .integer(from: 0, to: 2_147_483_647), default: "0")

        case .windowMs: Option("window_ms", .integer(from: 0, to: 2_147_483_647))
        case .blockMs: Option("block_ms", .integer(from: 0, to: 2_147_483_647))
        case .onIdle: Option("on_idle", .word("wait stop empty"), default: "wait")
        case .onGap: Option("on_gap", .word("log raise"), default: "log")
        case .reconnectTimeoutMs:
            Option("reconnect_timeout_ms", .integer(from: 0, to: 2_147_483_647))
        case .connect: Option("connect", .word("now later"), default: "now")

        case .messageFormat: Option("message_format", .word("raw json"))
        case .includeChannel: Option("include_channel", .boolean, default: "true")
        case .includeTimestamp: Option("include_timestamp", .boolean, default: "true")
        case .channelColumn: Option("channel_column", .text, default: "_channel")
        case .patternColumn: Option("pattern_column", .text)
        case .messageColumn: Option("message_column", .text, default: "message")
        case .timestampColumn: Option("timestamp_column", .text, default: "_received_at")
        case .timestampFormat: Option("timestamp_format", .text, default: "g")
        case .categories: Option("categories:N", .netstrings)

        case .onError: Option("on_error", .word("raise null skip"), default: "raise")
        case .messageBytesMax:
            Option("message_bytes_max", .integer(from: 1, to: 536_870_912), default: "536870912")
        }
    }
}

/// The options of redcol_write_stream.
public enum EntryOption: OptionTable {
    case idColumn, streamColumn, maxLength, minID, approximate, metadata
    case fenceKey, fenceField, fenceEpoch, fenceRow

    public static var purpose: StaticString { "writing to streams" }

    public var option: Option {
        switch self {
        case .idColumn: Option("id_column", .text)
        case .streamColumn: Option("stream_column", .text)
        case .maxLength: Option("maxlen", .integer(from: 0))
        case .minID: Option("min_id", .id)
        case .approximate: Option("approximate", .boolean, default: "true")
        case .metadata: Option("metadata", .word("check omit write"), default: "check")
        case .fenceKey: Option("fence_key", .name)
        case .fenceField: Option("fence_field", .text, default: "")
        // Lua's numbers are whole up to here.
        case .fenceEpoch:
            Option("fence_epoch", .integer(from: 0, to: 4_503_599_627_370_496), default: "0")
        case .fenceRow:
            Option("fence_row", .integer(from: 0, to: 4_503_599_627_370_496), default: "0")
        }
    }
}

/// The options of redcol_write_hashes.
public enum HashOption: OptionTable {
    case keyColumn, keyPrefix, timeToLiveMs, ifExists

    public static var purpose: StaticString { "writing hashes" }

    public var option: Option {
        switch self {
        case .keyColumn: Option("key_column", .text, default: "_key")
        case .keyPrefix: Option("key_prefix", .text, default: "")
        // Servers add the time of day in milliseconds, and refuse more.
        case .timeToLiveMs: Option("ttl_ms", .integer(from: 1, to: 4_503_599_627_370_496))
        case .ifExists: Option("if_exists", .word("replace append fail"), default: "replace")
        }
    }
}

/// The options of redcol_write_messages.
public enum PublishOption: OptionTable {
    case channelColumn, messageFormat, sharded

    public static var purpose: StaticString { "publishing messages" }

    public var option: Option {
        switch self {
        case .channelColumn: Option("channel_column", .text)
        case .messageFormat: Option("message_format", .word("json raw"), default: "json")
        case .sharded: Option("sharded", .boolean, default: "false")
        }
    }
}

/// The options of redcol_list_groups and redcol_list_pending.
public enum ListOption: OptionTable {
    case exact
    case consumer, minIdleMs, startID, endID, count

    public static var purpose: StaticString { "a list" }

    public var option: Option {
        switch self {
        case .exact: Option("exact", .boolean, default: "false", needs: .groupList)

        case .consumer: Option("consumer", .name, needs: .pendingList)
        case .minIdleMs:
            Option("min_idle_ms", .integer(from: 0), default: "0", needs: .pendingList)
        case .startID: Option("start_id", .id, default: "-", needs: .pendingList)
        case .endID: Option("end_id", .id, default: "+", needs: .pendingList)
        case .count: Option("count", .integer(from: 0), needs: .pendingList)
        }
    }
}

/// The options of redcol_partitions.
public enum PartitionOption: OptionTable {
    case rows, startID, endID, entries

    public static var purpose: StaticString { "partitions" }

    public var option: Option {
        switch self {
        case .rows: Option("rows", .integer(from: 1), default: "1000000")
        case .startID: Option("start_id", .id, default: "-")
        case .endID: Option("end_id", .id, default: "+")
        case .entries: Option("entries", .integer(from: 0))
        }
    }
}
