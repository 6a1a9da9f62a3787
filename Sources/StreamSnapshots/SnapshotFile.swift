// SPDX-License-Identifier: Apache-2.0
// A backup file of a server (RDB): which streams it holds, and where each of them lies.

import CPlatform
import RedcolBase

/// A backup file that is mapped into memory. Any thread: it does not change.
///
/// A stream whose time to live is over is there as any other: a server would drop it when it loads
/// the file, and whoever looks at a backup wants to see what it holds.
public final class SnapshotFile: Sendable {
    /// A stream of the file.
    struct Place: Sendable {
        let key: [UInt8]
        let type: StreamType
        /// Where its value begins, and how many bytes it has.
        let offset: Int
        let count: Int
        let marks: [StoredStream.Mark]
    }

    public let path: String
    /// When the server saved it, in milliseconds since 1970; nil if it does not say.
    public let savedAt: UInt64?
    private let start: UInt
    private let size: Int
    private let database: UInt64
    /// Sorted by key.
    private let places: [Place]

    /// Bytes that can be read after the file's.
    private static let slack = 64 * 1024

    /// Goes through the whole file once, for the streams of one database. `verifies`: also for its
    /// checksum.
    public static func open(
        _ path: String, database: UInt64, verifies: Bool
    ) throws(RedcolError) -> SnapshotFile {
        var size = 0
        var start: UnsafeMutableRawPointer?
        let code = path.withCString { platform_map_file($0, slack, &start, &size) }
        guard let memory = start else {
            throw RedcolError(
                .connection,
                "the backup file \(shown(path)) cannot be read: \(systemMessage(code))")
        }
        do throws(RedcolError) {
            let bytes = UnsafeBufferPointer(
                start: UnsafePointer(memory.assumingMemoryBound(to: UInt8.self)), count: size)
            var walk = SnapshotWalk(bytes)
            var places = try walk.streams(of: database, verifies: verifies)
            places.sort { isBefore($0.key, $1.key) }
            return SnapshotFile(
                path, memory, size, places, database: database, savedAt: walk.savedAt)
        } catch {
            platform_unmap_file(memory, size, slack)
            throw error.adding("the backup file \(shown(path)): ")
        }
    }

    private init(
        _ path: String, _ memory: UnsafeMutableRawPointer, _ size: Int, _ places: [Place],
        database: UInt64, savedAt: UInt64?
    ) {
        self.database = database
        self.savedAt = savedAt
        self.path = path
        start = UInt(bitPattern: memory)
        self.size = size
        self.places = places
    }

    deinit {
        platform_unmap_file(UnsafeMutableRawPointer(bitPattern: start), size, SnapshotFile.slack)
    }

    /// How messages name it.
    public var shown: String { SnapshotFile.shown(path) }

    private static func shown(_ path: String) -> String { escaped(Array(path.utf8), limit: 500) }

    public var count: Int { places.count }

    public func key(_ index: Int) -> [UInt8] { places[index].key }

    /// The place of a stream among them; nil if it is not there.
    public func find(_ key: [UInt8]) -> Int? {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(places[middle].key, key) { low = middle + 1 } else { high = middle }
        }
        return low < places.count && places[low].key == key ? low : nil
    }

    /// The streams whose keys match a pattern, as SCAN's MATCH has them.
    public func find(matching pattern: [UInt8]) -> [Int] {
        places.indices.filter { matches(places[$0].key[...], pattern[...]) }
    }

    /// The first of these keys that holds something else than a stream. The file is gone through
    /// once more for it.
    public func firstOfOtherType(_ keys: [[UInt8]]) throws(RedcolError) -> [UInt8]? {
        var found: [UInt8]?
        try forEachOther { key in
            if found == nil { found = keys.first { $0.elementsEqual(key) } }
        }
        return found
    }

    /// How many keys match a pattern and hold something else than a stream.
    public func countOfOtherTypes(matching pattern: [UInt8]) throws(RedcolError) -> Int {
        var count = 0
        try forEachOther { if matches(Array($0)[...], pattern[...]) { count += 1 } }
        return count
    }

    private func forEachOther(
        _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) throws(RedcolError) {
        let bytes = UnsafeBufferPointer(
            start: UnsafePointer<UInt8>(bitPattern: start), count: size)
        var walk = SnapshotWalk(bytes)
        _ = try walk.streams(of: database, verifies: false, other: body)
    }

    /// A stream, from its beginning, or from a node that begins at an id or somewhat before. It is
    /// valid while the file is held.
    public func stream(
        _ index: Int, from id: EntryID = .smallest
    ) throws(RedcolError) -> StoredStream {
        let place = places[index]
        let first = UnsafePointer<UInt8>(bitPattern: start).map { $0 + place.offset }
        // Texts may be read past the end of the value, not past the end of the memory.
        let bytes = UnsafeBufferPointer(start: first, count: place.count)
        do throws(RedcolError) {
            var stream = try StoredStream(place.type, StoredBytes(bytes))
            stream.jump(to: id, place.marks)
            return stream
        } catch {
            throw damaged(error, index)
        }
    }

    /// The id of a mark, counted from the stream's end; nil if there are fewer.
    public func mark(_ index: Int, beforeEnd count: Int) -> EntryID? {
        let marks = places[index].marks
        return count <= marks.count ? marks[marks.count - count].master : nil
    }

    /// The error as its caller sees it.
    public func damaged(_ error: RedcolError, _ index: Int) -> RedcolError {
        guard error.cause == .protocolViolation else { return error }
        return error.adding(
            "the backup file \(shown), stream at byte \(places[index].offset): ")
    }
}

/// Whether a key comes before another one in the order of their bytes.
private func isBefore(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    one.withUnsafeBufferPointer { one in
        other.withUnsafeBufferPointer { other in
            guard let first = one.baseAddress, let second = other.baseAddress else {
                return one.count < other.count
            }
            let order = memcmp(first, second, min(one.count, other.count))
            return order != 0 ? order < 0 : one.count < other.count
        }
    }
}

/// The system's words for an errno value.
private func systemMessage(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let start = buffer.baseAddress else { return "error \(code)" }
        platform_error_text(code, start, buffer.count)
        return String(cString: start)
    }
}
