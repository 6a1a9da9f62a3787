// SPDX-License-Identifier: Apache-2.0
// Goes through a backup file (RDB) from its beginning to its end: streams are noted, and every
// other kind of value is passed over. The formats are those of Redis 5 to 8 and of Valkey.

import CPlatform
import RedcolBase

/// A backup file that is gone through.
struct SnapshotWalk {
    private let all: UnsafeBufferPointer<UInt8>
    private var bytes: StoredBytes
    private var scratch = ScratchBytes()
    private var isValkey = false
    /// When the file was saved, in milliseconds since 1970.
    private(set) var savedAt: UInt64?

    /// There must be 16 readable bytes after their end.
    init(_ all: UnsafeBufferPointer<UInt8>) {
        self.all = all
        bytes = StoredBytes(all)
    }

    /// The streams of one database. `other` is told the database's keys of other types.
    mutating func streams(
        of database: UInt64, verifies: Bool, other: (UnsafeBufferPointer<UInt8>) -> Void = { _ in }
    ) throws(RedcolError) -> [SnapshotFile.Place] {
        defer { scratch.free() }
        let version = try header()
        var found: [SnapshotFile.Place] = []
        var selected: UInt64 = 0
        while true {
            let code = try bytes.byte()
            switch code {
            case Code.end:
                if version >= 5 { try checkEnd(verifies: verifies) }
                return found
            case Code.database: selected = try bytes.number()
            case Code.expirySeconds: _ = try bytes.take(4)
            case Code.expiryMilliseconds: _ = try bytes.take(8)
            case Code.sizes:
                for _ in 0..<2 { _ = try bytes.number() }
            case Code.slot:
                for _ in 0..<3 { _ = try bytes.number() }
            case Code.auxiliary: try auxiliary()
            case Code.frequency: _ = try bytes.byte()
            case Code.idleTime: _ = try bytes.number()
            case Code.moduleData:
                _ = try bytes.number()
                try passOverModule()
            case Code.function: try bytes.passOverString()
            default: try value(code, isWanted: selected == database, &found, other)
            }
        }
    }

    /// What stands between values.
    private enum Code {
        static let slot: UInt8 = 244
        static let function: UInt8 = 245
        static let moduleData: UInt8 = 247
        static let idleTime: UInt8 = 248
        static let frequency: UInt8 = 249
        static let auxiliary: UInt8 = 250
        static let sizes: UInt8 = 251
        static let expiryMilliseconds: UInt8 = 252
        static let expirySeconds: UInt8 = 253
        static let database: UInt8 = 254
        static let end: UInt8 = 255
    }

    /// "REDIS" and four digits, or "VALKEY" and three of them.
    private mutating func header() throws(RedcolError) -> Int {
        let text = UnsafeBufferPointer(start: try bytes.take(9), count: 9)
        isValkey = text.starts(with: "VALKEY".utf8)
        guard isValkey || text.starts(with: "REDIS".utf8) else {
            throw RedcolError(
                .protocolViolation,
                "it does not begin as a backup (RDB) of Redis or Valkey does. An append-only file "
                    + "is none: have the server save one with BGSAVE")
        }
        var version = 0
        for digit in text[(isValkey ? 6 : 5)...] {
            guard digit >= 0x30, digit <= 0x39 else { throw bytes.damaged("no version") }
            version = version * 10 + Int(digit - 0x30)
        }
        return version
    }

    /// A name and a text about the file.
    private mutating func auxiliary() throws(RedcolError) {
        let isTime = try bytes.string(&scratch).elementsEqual("ctime".utf8)
        let text = try bytes.string(&scratch)
        guard isTime, let id = EntryID(text, sequenceIfMissing: 0) else { return }
        let (product, overflow) = id.milliseconds.multipliedReportingOverflow(by: 1_000)
        if !overflow { savedAt = product }
    }

    private mutating func checkEnd(verifies: Bool) throws(RedcolError) {
        let count = bytes.offset
        let stored = try bytes.littleEndian(8)
        // Zero: the server was told not to count.
        guard verifies, stored != 0 else { return }
        var checksum = Checksum()
        checksum.add(UnsafeBufferPointer(rebasing: all[..<count]))
        guard checksum.value == stored else {
            throw RedcolError(
                .protocolViolation,
                "its checksum is wrong, so it was damaged after the server had written it; "
                    + "?verify=false reads what can be read")
        }
    }

    /// A range begins at most so many nodes after a mark.
    private static let markEvery = 64

    /// A key and its value.
    private mutating func value(
        _ type: UInt8, isWanted: Bool, _ found: inout [SnapshotFile.Place],
        _ other: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(RedcolError) {
        let name = try bytes.string(&scratch)
        guard let stream = StreamType(rawValue: type) else {
            if isWanted { other(name) }
            return try passOver(type)
        }
        guard Memory.isThere(name.count), found.hasRoom(for: 1) else {
            throw RedcolError(.memory, "no memory for the keys of a backup file")
        }
        let key = Array(name)
        let offset = bytes.offset
        var value = try StoredStream(stream, StoredBytes(bytes.rest))
        let marks = try value.passOverNodes(markEvery: SnapshotWalk.markEvery)
        _ = try value.state()
        try value.passOverGroups()
        let count = value.bytes.offset
        _ = try bytes.take(UInt64(count))
        if isWanted {
            found.append(
                SnapshotFile.Place(
                    key: key, type: stream, offset: offset, count: count, marks: marks))
        }
    }

    /// Passes over a value that is no stream. The numbers are those of the servers' rdb.h.
    private mutating func passOver(_ type: UInt8) throws(RedcolError) {
        switch type {
        case 0, 9...13, 16, 17, 20: try bytes.passOverString()
        case 1, 2, 14: try passOverStrings()
        case 3: try passOverScores()
        case 4: try passOverStrings(twice: true)
        case 5: try passOverStrings(then: 8)
        case 7:
            _ = try bytes.number()
            try passOverModule()
        case 18: try passOverNodes()
        case 22 where isValkey: try passOverStrings(twice: true, then: 8)
        case 22: try passOverTimedHash()
        case 23: try bytes.passOverString()
        case 24:
            _ = try bytes.take(8)
            try passOverTimedHash()
        case 25:
            _ = try bytes.take(8)
            try bytes.passOverString()
        default:
            throw bytes.damaged("a value of a type that is not known here (\(type))")
        }
    }

    /// As many times: a string or two, and then some bytes.
    private mutating func passOverStrings(
        twice: Bool = false, then more: UInt64 = 0
    ) throws(RedcolError) {
        var count = try bytes.number()
        while count > 0 {
            count -= 1
            try bytes.passOverString()
            if twice { try bytes.passOverString() }
            if more > 0 { _ = try bytes.take(more) }
        }
    }

    /// A sorted set whose scores are texts, or a mark for one that is no number.
    private mutating func passOverScores() throws(RedcolError) {
        var count = try bytes.number()
        while count > 0 {
            count -= 1
            try bytes.passOverString()
            let length = try bytes.byte()
            if length < 253 { _ = try bytes.take(UInt64(length)) }
        }
    }

    /// A list: of each node what it holds, and the node.
    private mutating func passOverNodes() throws(RedcolError) {
        var count = try bytes.number()
        while count > 0 {
            count -= 1
            _ = try bytes.number()
            try bytes.passOverString()
        }
    }

    /// A hash whose fields have times to live.
    private mutating func passOverTimedHash() throws(RedcolError) {
        var count = try bytes.number()
        while count > 0 {
            count -= 1
            _ = try bytes.number()
            for _ in 0..<2 { try bytes.passOverString() }
        }
    }

    /// What a module has written: values, each after its kind, up to a zero.
    private mutating func passOverModule() throws(RedcolError) {
        while true {
            switch try bytes.number() {
            case 0: return
            case 1, 2: _ = try bytes.number()
            case 3: _ = try bytes.take(4)
            case 4: _ = try bytes.take(8)
            case 5: try bytes.passOverString()
            default: throw bytes.damaged("a module's value of a kind that is not known")
            }
        }
    }
}
