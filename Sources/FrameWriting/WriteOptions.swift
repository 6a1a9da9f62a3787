// SPDX-License-Identifier: Apache-2.0
// How a frame is written, from string keys and values, each checked before anything is sent.

import RedcolBase

/// What happens to a hash that exists already.
enum ExistingKey: String, CaseIterable {
    /// It goes, whatever it held.
    case replace
    /// It stays, and gets the row's fields in addition to its own.
    case append
    /// It stays as it is, and that is an error.
    case fail
}

/// How rows become hashes; the defaults are those of the table.
public struct HashOptions {
    var keyColumn: [UInt8] = Array("_key".utf8)
    var keyPrefix: [UInt8] = []
    var ttlMs: Int?
    var ifExists = ExistingKey.replace

    public init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        for (key, text) in pairs {
            let (name, value) = try HashOption.given(key, text)
            switch name {
            case .keyColumn: keyColumn = value.bytes
            case .keyPrefix: keyPrefix = value.bytes
            case .timeToLiveMs: ttlMs = try value.integer()
            case .ifExists: ifExists = try value.word(as: ExistingKey.self)
            }
        }
    }
}

/// How rows become messages of channels; the defaults are those of the table.
public struct PublishOptions {
    /// What a row becomes.
    enum Format: String, CaseIterable {
        /// A JSON object, whose keys are the columns.
        case json
        /// The value of the one column that there is.
        case raw
    }

    var channel: [UInt8]?
    var channelColumn: [UInt8]?
    var format = Format.json
    var isSharded = false

    public init(
        channel: [UInt8]?, _ pairs: [(key: String, value: String)]
    ) throws(RedcolError) {
        self.channel = channel
        for (key, text) in pairs {
            let (name, value) = try PublishOption.given(key, text)
            switch name {
            case .channelColumn: channelColumn = value.bytes
            case .messageFormat: format = try value.word(as: Format.self)
            case .sharded: isSharded = try value.boolean()
            }
        }
        guard (channel == nil) != (channelColumn == nil) else {
            throw RedcolError(
                .invalidArgument,
                "give either a channel, or channel_column, whose values name each row's channel")
        }
    }
}

/// How rows become entries of streams; the defaults are those of the table.
public struct EntryOptions {
    var stream: [UInt8]?
    var streamColumn: [UInt8]?
    var idColumn: [UInt8]?
    var lengthMax: Int?
    var idMin: [UInt8] = []
    var isApproximate = true
    var metadata = MetadataRule.check
    var fence: Fence?

    public init(
        stream: [UInt8]?, _ pairs: [(key: String, value: String)]
    ) throws(RedcolError) {
        self.stream = stream
        var hasApproximate = false
        var fence = Fence(key: [])
        var hasFence = false
        for (key, text) in pairs {
            let (name, value) = try EntryOption.given(key, text)
            switch name {
            case .streamColumn: streamColumn = value.bytes
            case .idColumn: idColumn = value.bytes
            case .maxLength: lengthMax = try value.integer()
            case .minID:
                guard EntryID(value.text.utf8, sequenceIfMissing: 0) != nil else {
                    throw value.wrong
                }
                idMin = value.bytes
            case .approximate:
                isApproximate = try value.boolean()
                hasApproximate = true
            case .metadata: metadata = try value.word(as: MetadataRule.self)
            case .fenceKey: fence.key = try value.name()
            case .fenceField: fence.field = value.bytes
            case .fenceEpoch: fence.epoch = try value.integer()
            case .fenceRow: fence.firstRow = try value.integer()
            }
            switch name {
            case .fenceField, .fenceEpoch, .fenceRow: hasFence = true
            default: break
            }
        }
        guard (stream == nil) != (streamColumn == nil) else {
            throw RedcolError(
                .invalidArgument,
                "give either a stream, or stream_column, whose values name each row's stream")
        }
        if hasFence, fence.key.isEmpty {
            throw RedcolError(
                .invalidArgument, "fence_field, fence_epoch and fence_row need a fence_key")
        }
        if !fence.key.isEmpty {
            guard stream != nil else {
                throw RedcolError(
                    .invalidArgument, "a fence is for one stream: give it, and no stream_column")
            }
            self.fence = fence
        }
        if lengthMax != nil, !idMin.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "maxlen and min_id are two ways of trimming: give one of them")
        }
        if hasApproximate, lengthMax == nil, idMin.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "approximate says how a stream is trimmed: give maxlen or min_id too")
        }
    }
}
