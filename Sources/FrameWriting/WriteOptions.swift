// SPDX-License-Identifier: Apache-2.0
// How a frame is written, from string keys and values, each checked before anything is sent.

import RedcolBase

/// What becomes of a hash that exists already.
enum ExistingKey {
    /// It goes, whatever it held.
    case replace
    /// It stays, and gets the row's fields besides its own.
    case append
    /// It stays as it is, and that is an error.
    case fail
}

/// How rows become hashes; the defaults are those of the C header.
public struct HashOptions {
    var keyColumn: [UInt8] = Array("_key".utf8)
    var keyPrefix: [UInt8] = []
    var ttlMs: Int?
    var ifExists = ExistingKey.replace

    static var names: [String] { ["key_column", "key_prefix", "ttl_ms", "if_exists"] }

    public init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        for (key, value) in pairs {
            switch key {
            case "key_column": keyColumn = Array(value.utf8)
            case "key_prefix": keyPrefix = Array(value.utf8)
            // More is refused by servers, which add the time of day in milliseconds.
            case "ttl_ms": ttlMs = try OptionValue.integer(key, value, 1...(1 << 52))
            case "if_exists":
                switch value {
                case "replace": ifExists = .replace
                case "append": ifExists = .append
                case "fail": ifExists = .fail
                default:
                    throw OptionValue.wrong(
                        key, value, "\"replace\", \"append\" or \"fail\"")
                }
            default: throw OptionValue.unknown(key, "writing hashes", known: HashOptions.names)
            }
        }
    }
}

/// How rows become entries of streams; the defaults are those of the C header.
public struct EntryOptions {
    var stream: [UInt8]?
    var streamColumn: [UInt8]?
    var idColumn: [UInt8]?
    var lengthMost: Int?
    var idLeast: [UInt8] = []
    var isApproximate = true
    var metadata = MetadataRule.check

    static var names: [String] {
        ["stream_column", "id_column", "maxlen", "min_id", "approximate", "metadata"]
    }

    public init(
        stream: [UInt8]?, _ pairs: [(key: String, value: String)]
    ) throws(RedcolError) {
        self.stream = stream
        for (key, value) in pairs {
            switch key {
            case "stream_column": streamColumn = Array(value.utf8)
            case "id_column": idColumn = Array(value.utf8)
            case "maxlen": lengthMost = try OptionValue.integer(key, value, 0...Int.max)
            case "min_id":
                guard EntryID(value.utf8, sequenceIfMissing: 0) != nil else {
                    throw OptionValue.wrong(key, value, "an entry id, such as 1704067200000-0")
                }
                idLeast = Array(value.utf8)
            case "approximate": isApproximate = try OptionValue.boolean(key, value)
            case "metadata":
                switch value {
                case "check": metadata = .check
                case "omit": metadata = .omit
                case "write": metadata = .write
                default: throw OptionValue.wrong(key, value, "\"check\", \"omit\" or \"write\"")
                }
            default: throw OptionValue.unknown(key, "writing to streams", known: EntryOptions.names)
            }
        }
        guard (stream == nil) != (streamColumn == nil) else {
            throw RedcolError(
                .invalidArgument,
                "give either a stream, or stream_column, whose values name each row's stream")
        }
        if lengthMost != nil, !idLeast.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "maxlen and min_id are two ways of trimming: give one of them")
        }
    }
}
