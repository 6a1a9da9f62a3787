// SPDX-License-Identifier: Apache-2.0
// A libFuzzer target for what servers store: bytes become a compressed string, a node of entries,
// a stream's value, an answer to DUMP, a backup file or a pattern of keys. Nothing may trap or read
// beyond its end, and the rows of a node must be those of XRANGE's answer with the same entries.
// scripts/fuzz.sh runs it.

import ArrowColumns
import CArrowData
import Foundation
import RedcolBase
import RedisConnection
import TestSupport

@testable import StreamReading
@testable import StreamSnapshots

/// A copy with 16 digits after its end, as far as may be read there, and not a byte more.
private func withPadding(_ bytes: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count + 16)
    defer { memory.deallocate() }
    _ = memory.initialize(from: bytes + [UInt8](repeating: UInt8(ascii: "9"), count: 16))
    body(UnsafeBufferPointer(rebasing: memory[..<bytes.count]))
}

// MARK: Compressed strings

/// The same as `expandLZF`, byte by byte.
private func expanded(_ packed: [UInt8]) -> [UInt8]? {
    var (out, rest) = ([UInt8](), packed[...])
    while let control = rest.popFirst().map(Int.init) {
        if control < 32 {
            guard rest.count > control else { return nil }
            out += rest.prefix(control + 1)
            rest = rest.dropFirst(control + 1)
            continue
        }
        var length = control >> 5 + 2
        if control >> 5 == 7 {
            guard let more = rest.popFirst() else { return nil }
            length += Int(more)
        }
        guard let low = rest.popFirst() else { return nil }
        let distance = (control & 31) << 8 + Int(low) + 1
        guard distance <= out.count else { return nil }
        for _ in 0..<length { out.append(out[out.count - distance]) }
    }
    return out
}

private func expand(_ packed: [UInt8], claimed: Int) {
    let wanted = expanded(packed)
    for size in Set([claimed, wanted?.count ?? 0]) where !packed.isEmpty {
        let out = UnsafeMutablePointer<UInt8>.allocate(capacity: size)
        let input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: packed.count)
        defer {
            out.deallocate()
            input.deallocate()
        }
        _ = input.initialize(from: packed)
        guard let start = input.baseAddress else { return }
        let isRight = expandLZF(UnsafePointer(start), packed.count, into: out, size)
        require(isRight == (wanted?.count == size), "\(size) bytes of \(packed)")
        if isRight { require(Array(UnsafeBufferPointer(start: out, count: size)) == wanted, "LZF") }
    }
}

// MARK: Nodes

/// A listpack's elements as texts; nil if it is none. An element's size is not read from the end.
private func elements(_ pack: [UInt8]) -> [[UInt8]]? {
    guard pack.count > 6, pack.last == 0xFF else { return nil }
    var (rest, found) = (pack[6..<(pack.count - 1)], [[UInt8]]())
    while let first = rest.first.map(Int.init) {
        func number(_ count: Int) -> UInt64? {
            guard rest.count > count else { return nil }
            return rest.dropFirst().prefix(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        var (header, length) = (1, 0)
        var integer: Int64?
        switch first {
        case ..<0x80: integer = Int64(first)
        case ..<0xC0: length = first & 0x3F
        case ..<0xE0:
            guard let low = number(1) else { return nil }
            let raw = Int64(first & 0x1F) << 8 | Int64(low)
            (header, integer) = (2, raw >= 4096 ? raw - 8192 : raw)
        case ..<0xF0:
            guard let low = number(1) else { return nil }
            (header, length) = (2, (first & 15) << 8 | Int(low))
        case 0xF0:
            guard let long = number(4) else { return nil }
            (header, length) = (5, Int(long))
        case 0xF1...0xF4:
            let bytes = [2, 3, 4, 8][first - 0xF1]
            guard let raw = number(bytes) else { return nil }
            let unused = Int64(64 - 8 * bytes)
            (header, integer) = (1 + bytes, Int64(bitPattern: raw << UInt64(unused)) >> unused)
        default: return nil
        }
        let size = header + length
        guard rest.count > size else { return nil }
        found.append(integer.map { utf8("\($0)") } ?? Array(rest.dropFirst(header).prefix(length)))
        let back = [127, 16_382, 2_097_150, 268_435_454].firstIndex { size <= $0 } ?? 4
        rest = rest.dropFirst(size + back + 1)
    }
    return found
}

/// A node's entries; nil if it makes no sense.
private func entries(_ master: EntryID, _ pack: [UInt8]) -> [(EntryID, SampleEntry)]? {
    guard var rest = elements(pack)?[...] else { return nil }
    func integer() -> Int? { rest.popFirst().flatMap { Int(String(decoding: $0, as: UTF8.self)) } }
    guard integer() != nil, integer() != nil, let count = integer(),
        (0...rest.count).contains(count)
    else {
        return nil
    }
    let names = Array(rest.prefix(count))
    rest = rest.dropFirst(count + 1)
    var found: [(EntryID, SampleEntry)] = []
    while !rest.isEmpty {
        guard let flags = integer(), let milliseconds = integer(), let sequence = integer() else {
            return nil
        }
        let id = EntryID(
            master.milliseconds &+ UInt64(bitPattern: Int64(milliseconds)),
            master.sequence &+ UInt64(bitPattern: Int64(sequence)))
        var entry = SampleEntry("\(id.milliseconds)-\(id.sequence)", [])
        if flags & 2 != 0 {
            guard rest.count > names.count else { return nil }
            entry.fields = zip(names, rest).map { (name: $0, value: $1) }
            rest = rest.dropFirst(names.count)
        } else {
            guard let fields = integer(), (0...rest.count / 2).contains(fields) else { return nil }
            for _ in 0..<fields {
                guard let name = rest.popFirst(), let value = rest.popFirst() else { return nil }
                entry.fields.append((name, value))
            }
        }
        guard integer() != nil else { return nil }
        if flags & 1 == 0 { found.append((id, entry)) }
    }
    return found
}

/// What became of entries.
private struct Read: Equatable {
    var rows: [[[UInt8]: Cell]] = []
    var refused = 0
    var hasFailed = false
}

private func makeParser(_ flags: UInt8) -> RowParser {
    var schema: [RequestedColumn]?
    if flags & 1 != 0 {
        schema = ["a", "b", "7"].map { RequestedColumn(name: utf8($0), type: .string) }
        schema?.append(RequestedColumn(name: utf8("n"), type: .int64))
        if let unsigned = try? ColumnType(format: "L") {
            schema?.append(RequestedColumn(name: utf8("c"), type: unsigned))
        }
    }
    var options = [("on_error", flags & 2 != 0 ? "null" : "raise")]
    options.append(("include_sequence", flags & 4 != 0 ? "true" : "false"))
    options.append(("include_timestamp", "false"))
    do {
        let options = try ReadOptions(options)
        return try ReadColumns(options, schema: schema).makeParser(options, streams: [utf8("s")])
    } catch {
        fatalError("\(error)")
    }
}

private func takeBatch(_ parser: inout RowParser, _ read: inout Read) {
    var (array, schema) = (ArrowArray(), ArrowSchema())
    require(parser.withBatch { $0.finish(array: &array, schema: &schema) }, "no memory")
    defer {
        array.release?(&array)
        schema.release?(&schema)
    }
    do {
        read.rows += try readTable(&array, &schema).present
    } catch {
        fatalError("\(error)")
    }
}

/// The rows of XRANGE's answer with these entries.
private func answered(_ entries: [SampleEntry], _ flags: UInt8) -> Read {
    var (read, parser) = (Read(), makeParser(flags))
    var received = ReceiveBuffer()
    defer { parser.free() }
    parser.expect(.entries, entriesMax: .max)
    Resp.entries(entries).withUnsafeBytes { require(received.append($0), "no memory") }
    while true {
        let (used, outcome) = parser.parse(received.waiting, rowsMax: .max)
        received.consume(used)
        switch outcome {
        case .refused: read.refused += 1
        case .batchFull: break
        case .replyEnd:
            takeBatch(&parser, &read)
            return read
        case .needsMore, .serverError, .failed:
            read.hasFailed = true
            return read
        }
    }
}

/// The rows of nodes.
private func decode(
    _ nodes: [(EntryID, UnsafeBufferPointer<UInt8>)], _ flags: UInt8, rowsMax: Int,
    _ first: EntryID = .smallest, _ last: EntryID = .largest
) -> Read {
    var (read, parser) = (Read(), makeParser(flags))
    var rows = NodeRows(first: first, last: last)
    defer {
        parser.free()
        rows.free()
    }
    for (master, pack) in nodes {
        guard rows.begin(master, pack) else {
            read.hasFailed = true
            break
        }
        node: while true {
            let outcome = parser.parse(&rows, rowsMax: rowsMax)
            require(parser.batch.rowCount <= rowsMax, "too many rows")
            switch outcome {
            case .batchFull: takeBatch(&parser, &read)
            case .replyEnd: break node
            case .refused: read.refused += 1
            case .failed, .needsMore, .serverError:
                read.hasFailed = true
                break node
            }
        }
        if read.hasFailed || rows.isPastLast { break }
    }
    takeBatch(&parser, &read)
    return read
}

private func decodeNode(_ body: [UInt8], _ flags: UInt8, rowsMax: Int, range: UInt8) {
    let size = UInt32(truncatingIfNeeded: body.count + 7)
    let header = (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * UInt32($0))) }
    // The size, no number of elements, and the end: the fuzzer need not find them.
    let pack = header + [0xFF, 0xFF] + body + [0xFF]
    let master = EntryID(flags & 8 == 0 ? 1_700_000_000_000 : .max, UInt64(flags >> 4))
    let known = entries(master, pack)
    withPadding(pack) { pack in
        let whole = decode([(master, pack)], flags, rowsMax: .max)
        let pieces = decode([(master, pack)], flags, rowsMax: rowsMax)
        require(whole == pieces, "batches have other rows: \(whole) and \(pieces)")
        guard !whole.hasFailed else { return }
        guard let known else { fatalError("rows of what is no node: \(whole)") }
        let wanted = answered(known.map(\.1), flags)
        require(wanted == whole, "XRANGE gives \(wanted), the node \(whole)")
        guard known.count > 1 else { return }
        let first = Int(range & 15) % known.count
        let last = min(first + Int(range >> 4), known.count - 1)
        let part = decode([(master, pack)], flags, rowsMax: rowsMax, known[first].0, known[last].0)
        let some = answered(known[first...last].map(\.1), flags)
        require(part == some, "of a range XRANGE gives \(some), the node \(part)")
    }
}

// MARK: Values

/// Goes through a stream's value twice: reading its nodes, and passing over them.
private func decodeValue(_ type: UInt8, _ value: UnsafeBufferPointer<UInt8>, _ flags: UInt8) {
    let types = [StreamType.first, .withCounts, .withActivity]
    let type = StreamType(rawValue: type) ?? types[Int(type) % 3]
    var (scratch, masters) = (ScratchBytes(), [EntryID]())
    defer { scratch.free() }
    var failure: RedcolError?
    do throws(RedcolError) {
        var stream = try StoredStream(type, StoredBytes(value))
        while let ahead = try stream.peekMaster(), let node = try stream.nextNode(&scratch) {
            require(ahead == node.master, "\(ahead) comes, \(node.master) came")
            masters.append(ahead)
            _ = decode([(node.master, node.listpack)], flags, rowsMax: 3)
        }
        _ = try stream.state()
        try stream.passOverGroups()
        let isAtEnd = stream.bytes.left == 0
        let whole = try StoredStream(type, StoredBytes(value))
        let isWhole = (try? whole.checkEnd()) != nil
        require(isWhole == isAtEnd, "its end is another one")
    } catch {
        failure = error
    }
    guard failure == nil else { return }
    do throws(RedcolError) {
        var stream = try StoredStream(type, StoredBytes(value))
        var passed: [EntryID] = []
        while let master = try stream.passOverNode() { passed.append(master) }
        require(passed == masters, "\(masters) are read, \(passed) passed over")
        _ = try stream.state()
        try stream.passOverGroups()
    } catch {
        fatalError("passing over fails: \(error.message)")
    }
}

/// Goes through a backup file, and through each stream that it has.
private func walk(_ file: UnsafeBufferPointer<UInt8>, _ flags: UInt8) {
    var walk = SnapshotWalk(file)
    guard
        let places = try? walk.streams(of: UInt64(flags >> 7), verifies: flags & 64 != 0)
    else { return }
    for place in places {
        let (start, end) = (place.offset, place.offset + place.count)
        require(start <= end && end <= file.count, "a stream beyond the end of the file")
        let value = UnsafeBufferPointer(rebasing: file[start..<end])
        decodeValue(place.type.rawValue, value, flags)
        guard var stream = try? StoredStream(place.type, StoredBytes(value)) else {
            fatalError("a stream that was passed over cannot be read")
        }
        if let first = try? stream.firstEntry() { _ = try? stream.entries(after: first) }
        _ = try? stream.lastEntry()
        while (try? stream.passOverNode()) != nil {}
        guard (try? stream.state()) != nil, let groups = try? stream.groups() else { continue }
        require(stream.bytes.left == 0, "groups end before their stream")
        for group in groups {
            let held = group.consumers.reduce(0) { $0 + $1.pending }
            require(held >= group.pending.count { $0.consumer != nil }, "an entry without a member")
        }
    }
}

/// The same as `matches`, for each way that a star can go.
private func matchesSlowly(_ key: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return key.isEmpty }
    guard first == UInt8(ascii: "*") else {
        return !key.isEmpty && (first == UInt8(ascii: "?") || key.first == first)
            && matchesSlowly(key.dropFirst(), pattern.dropFirst())
    }
    return matchesSlowly(key, pattern.dropFirst())
        || !key.isEmpty && matchesSlowly(key.dropFirst(), pattern)
}

private func match(_ bytes: [UInt8], _ length: Int) {
    let pattern = bytes.prefix(length)
    let key = bytes.dropFirst(length)
    let isThere = matches(key, pattern)
    guard !pattern.contains(where: { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "\\") }),
        pattern.count { $0 == UInt8(ascii: "*") } < 4, key.count < 40
    else { return }
    require(isThere == matchesSlowly(key, pattern), "\(key) and the pattern \(pattern)")
}

/// One input: its first byte says what it is, the next three how it is read.
func fuzzSnapshots(_ input: UnsafeBufferPointer<UInt8>) {
    guard input.count > 4 else { return }
    let (flags, size, range) = (input[1], Int(input[2]), input[3])
    let bytes = Array(input[4...])
    let before = platformLiveObjects()
    switch input[0] % 6 {
    case 0: expand(bytes, claimed: size << 4 | Int(range))
    case 1: decodeNode(bytes, flags, rowsMax: 1 + size, range: range)
    case 2:
        // With the checksum that it should have, which the fuzzer cannot find.
        var checksum = Checksum()
        let counted = bytes + [11, 0]
        counted.withUnsafeBufferPointer { checksum.add($0) }
        let sum = checksum.value
        let payload = counted + (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
        withPadding(payload) {
            guard let dump = DumpPayload($0) else { fatalError("a right checksum is refused") }
            decodeValue(dump.type, dump.value, flags)
        }
    case 3:
        withPadding(bytes) {
            guard let dump = DumpPayload($0) else { return }
            decodeValue(dump.type, dump.value, flags)
        }
    case 4: withPadding(bytes) { walk($0, flags) }
    default: match(bytes, size)
    }
    require(platformLiveObjects() == before, "objects are left over")
}

/// The bytes that hex digits stand for.
private func fromHex(_ text: String) -> [UInt8] {
    var (bytes, rest) = ([UInt8](), text.split(separator: " ").joined()[...])
    while let byte = UInt8(rest.prefix(2), radix: 16) {
        bytes.append(byte)
        rest = rest.dropFirst(2)
    }
    return bytes
}

func snapshotSeeds() -> [[UInt8]] {
    var seeds: [[UInt8]] = [
        [0, 0, 0, 5, 2, 97, 98, 99, 32, 2], [0, 0, 0, 12, 0, 97, 0xE0, 1, 0], [0, 0, 0, 1, 32, 0],
        [5, 0, 4, 0] + utf8("a*?babcbb"), [5, 0, 7, 0] + utf8("[^a-c]*xyz"),
    ]
    for file in recordedFiles.map(fromHex) {
        for flags: UInt8 in [0, 128] { seeds.append([4, flags, 2, 0] + file) }
    }
    for bytes in recordedDumps.map(fromHex) {
        seeds += [[2, 1, 2, 0] + bytes.dropLast(10), [3, 0, 2, 0] + bytes]
        bytes.withUnsafeBufferPointer { payload in
            guard let dump = DumpPayload(payload), let type = StreamType(rawValue: dump.type),
                var stream = try? StoredStream(type, StoredBytes(dump.value))
            else { fatalError("a seed that is no dump") }
            var scratch = ScratchBytes()
            defer { scratch.free() }
            while let node = try? stream.nextNode(&scratch) {
                let body = Array(node.listpack[6..<(node.listpack.count - 1)])
                seeds += (UInt8(0)..<8).map { [1, $0, 2, 0x11] + body }
            }
        }
    }
    return seeds
}
