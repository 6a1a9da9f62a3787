// SPDX-License-Identifier: Apache-2.0
// A time zone's offsets from UTC, read from the system's time zone data: what a local time without
// an offset needs to become a moment.
// https://www.rfc-editor.org/rfc/rfc8536

import CPlatform

/// How a text in a timestamp column becomes a moment.
enum TimestampZone {
    /// The column has no time zone: a text with an offset does not fit.
    case none
    /// Local time is so many seconds ahead of UTC.
    case fixed(Int64)
    /// Local time is that of a time zone.
    case table(UnsafeMutablePointer<ZoneTable>)
    /// The time zone is not known here: a text without an offset does not fit.
    case unknown

    /// The zone of a timestamp column, from its Arrow format; `free` returns the memory it has
    /// taken.
    init(format: [UInt8]) {
        let name = Array(format.dropFirst(4))
        if name.isEmpty {
            self = .none
        } else if name == Array("UTC".utf8) {
            self = .fixed(0)
        } else if name[0] == UInt8(ascii: "+") || name[0] == UInt8(ascii: "-") {
            let offset = name.withUnsafeBufferPointer { bytes in
                withPadding(bytes) { parseOffset($0, bytes.count) }
            }
            self = offset.map { .fixed($0) } ?? .unknown
        } else if let table = ZoneTable.load(name) {
            let memory = UnsafeMutablePointer<ZoneTable>.allocate(capacity: 1)
            memory.initialize(to: table)
            self = .table(memory)
        } else {
            self = .unknown
        }
    }

    func free() {
        guard case .table(let table) = self else { return }
        table.deinitialize(count: 1)
        table.deallocate()
    }
}

/// When a zone's offset changes, and to what. Polars has the same data up to the end of 2099.
struct ZoneTable {
    private struct Span {
        /// The first second of UTC that has this offset.
        var begin: Int64
        /// Seconds that local time is ahead of UTC.
        var offset: Int64
    }

    private static let fileBytesMax = 1 << 20
    /// 2100-01-01 as seconds, where Polars' data ends.
    private static let lastSecond: Int64 = 4_102_444_800

    private var spans: [Span] = []
    /// Whether the offset keeps changing after the last span.
    private var goesOn = false
    /// The local seconds that were looked up last and have one offset.
    private var known: Range<Int64> = 0..<0
    private var knownOffset: Int64 = 0

    /// The table of a zone's name; nil if the system has no data for it.
    static func load(_ name: [UInt8]) -> ZoneTable? {
        guard isName(name) else { return nil }
        if let folder = getenv("TZDIR") { return read(copyBytes(folder), name) }
        let folders: [StaticString] = [
            "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo",
        ]
        for folder in folders {
            let start = UnsafeRawPointer(folder.utf8Start).assumingMemoryBound(to: CChar.self)
            if let table = read(copyBytes(start), name) { return table }
        }
        return nil
    }

    /// A name that leads to no other folder.
    private static func isName(_ name: [UInt8]) -> Bool {
        let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return name.count < 256
            && parts.allSatisfy { part in
                part.first.map { $0 != UInt8(ascii: ".") } ?? false
                    && part.allSatisfy { byte in
                        let letter = byte | 0x20
                        return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")
                            || digitValue(byte) != nil || byte == UInt8(ascii: "_")
                            || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
                    }
            }
    }

    private static func read(_ folder: [UInt8], _ name: [UInt8]) -> ZoneTable? {
        let path = folder + [UInt8(ascii: "/")] + name + [0]
        guard let buffer = malloc(fileBytesMax) else { return nil }
        defer { free(buffer) }
        let count = path.withUnsafeBufferPointer { bytes -> Int in
            guard let start = bytes.baseAddress else { return -1 }
            let text = UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)
            return platform_read_file(text, buffer, fileBytesMax)
        }
        guard count > 0 else { return nil }
        return ZoneTable(UnsafeRawBufferPointer(start: buffer, count: count))
    }

    /// Reads a TZif file of version 2 or later.
    init?(_ file: UnsafeRawBufferPointer) {
        var data = ZoneData(file)
        guard let first = data.header(), first.version >= UInt8(ascii: "2"),
            data.skip(first.size(timeWidth: 4)), let header = data.header(),
            header.typeCount > 0,
            let times = data.take(header.timeCount * 8), let indices = data.take(header.timeCount),
            let types = data.take(header.typeCount * 6),
            data.skip(
                header.charCount + header.leapCount * 12 + header.standardCount + header.utCount)
        else { return nil }
        func offset(_ type: Int) -> Int64? {
            guard type < header.typeCount else { return nil }
            return Int64(types.int32(at: type * 6))
        }
        guard let beginning = offset(0) else { return nil }
        spans = [Span(begin: .min, offset: beginning)]
        for index in 0..<header.timeCount {
            guard let offset = offset(Int(indices[index])) else { return nil }
            spans.append(Span(begin: times.int64(at: index * 8), offset: offset))
        }
        guard let rule = ZoneRule(data.rest) else { return }
        let last = spans[spans.count - 1]
        var year = rule.year(of: last.begin)
        while year < 2_100 {
            defer { year += 1 }
            for (begin, offset) in rule.changes(in: year) where begin > last.begin {
                spans.append(Span(begin: begin, offset: offset))
                goesOn = true
            }
        }
    }

    /// The moment of a local second; nil if that does not exist, or exists twice.
    mutating func moment(local: Int64) -> Int64? {
        if known.contains(local) { return local &- knownOffset }
        guard local > Int64.min / 2, local < Int64.max / 2,
            !goesOn || local < ZoneTable.lastSecond
        else { return nil }
        var found: Int64?
        // Offsets are less than a day, so that all that may hold are near.
        var index = max(0, spanIndex(at: local &- 100_000))
        while index < spans.count, spans[index].begin < local &+ 100_000 {
            let moment = local &- spans[index].offset
            let end = index + 1 < spans.count ? spans[index + 1].begin : Int64.max
            if moment >= spans[index].begin, moment < end {
                if found != nil { return nil }
                found = moment
                remember(index, end)
            }
            index += 1
        }
        return found
    }

    /// The last span that begins at or before a moment.
    private func spanIndex(at moment: Int64) -> Int {
        var (low, high) = (0, spans.count)
        while low + 1 < high {
            let middle = (low + high) / 2
            if spans[middle].begin <= moment { low = middle } else { high = middle }
        }
        return low
    }

    /// Remembers a span, except for its ends, where another may hold too.
    private mutating func remember(_ index: Int, _ end: Int64) {
        let begin = max(spans[index].begin, Int64.min / 2) &+ 200_000
        let last = max(min(end, ZoneTable.lastSecond), Int64.min / 2) &- 200_000
        if begin < last {
            known = begin..<last
            knownOffset = spans[index].offset
        }
    }
}

/// The bytes of a TZif file, from the front.
private struct ZoneData {
    struct Header {
        var version: UInt8
        var utCount: Int
        var standardCount: Int
        var leapCount: Int
        var timeCount: Int
        var typeCount: Int
        var charCount: Int

        func size(timeWidth: Int) -> Int {
            timeCount * (timeWidth + 1) + typeCount * 6 + charCount + leapCount * (timeWidth + 4)
                + standardCount + utCount
        }
    }

    private let file: UnsafeRawBufferPointer
    private var at = 0

    init(_ file: UnsafeRawBufferPointer) { self.file = file }

    mutating func header() -> Header? {
        guard let bytes = take(44), bytes.starts(with: "TZif".utf8) else { return nil }
        var counts: [Int] = []
        for index in 0..<6 {
            let count = bytes.int32(at: 20 + index * 4)
            guard count >= 0, count <= 1 << 20 else { return nil }
            counts.append(Int(count))
        }
        return Header(
            version: bytes[4], utCount: counts[0], standardCount: counts[1], leapCount: counts[2],
            timeCount: counts[3], typeCount: counts[4], charCount: counts[5])
    }

    mutating func take(_ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= file.count - at else { return nil }
        defer { at += count }
        return UnsafeRawBufferPointer(rebasing: file[at..<(at + count)])
    }

    mutating func skip(_ count: Int) -> Bool { take(count) != nil }

    /// What comes after the second block: a rule between two line ends.
    var rest: [UInt8] {
        Array(file[at...].drop { $0 == 0x0A }.prefix { $0 != 0x0A })
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func int32(at offset: Int) -> Int32 {
        Int32(bigEndian: loadUnaligned(fromByteOffset: offset, as: Int32.self))
    }

    fileprivate func int64(at offset: Int) -> Int64 {
        Int64(bigEndian: loadUnaligned(fromByteOffset: offset, as: Int64.self))
    }
}
