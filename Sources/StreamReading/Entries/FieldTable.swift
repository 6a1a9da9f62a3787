// SPDX-License-Identifier: Apache-2.0
// Which column a field's value goes to: by position where entries look alike, else by name.

import ArrowColumns
import CPlatform

/// Fields by name and, for speed, by position: entries of a stream mostly have the same fields in
/// the same order, so the header `$7\r\nuser_id\r\n` expected at a position is compared in one go.
struct FieldTable {
    /// The column of a field that nobody asked for.
    static let ignored = -1
    /// The column of a name that is not in the table.
    static let unknown = -2

    /// The column of a field that gives it a value only where the entry has none of its own, as
    /// one number; and back.
    @inline(__always)
    static func fallback(_ column: Int) -> Int { firstFallback &- column }
    static let firstFallback = -1 << 32

    /// What stood at a position in the entry before, as the 32 bytes that a header has at most.
    struct Header {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var masks: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        /// Bytes of the header; 0 when there is none here.
        var length = 0
        var column = FieldTable.ignored
    }

    /// Positions that are remembered; an entry's later fields are looked up by name.
    static let positions = 1024
    static let headerBytes = 32

    private var names = ByteStringTable()
    private var columns: [Int] = []
    private let headers: UnsafeMutablePointer<Header>

    init() {
        headers = .allocate(capacity: FieldTable.positions)
        headers.initialize(repeating: Header(), count: FieldTable.positions)
    }

    mutating func free() {
        names.free()
        headers.deinitialize(count: FieldTable.positions)
        headers.deallocate()
    }

    /// Says where the field `name` goes; a name that is there already keeps its place. False when
    /// there is no memory.
    mutating func add(_ name: [UInt8], column: Int) -> Bool {
        name.withUnsafeBufferPointer { bytes in
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) {
                add(bytes.baseAddress ?? $0, bytes.count, column)
            }
        }
    }

    /// Makes room for one more name of `count` bytes; false when there is no memory.
    mutating func reserve(_ count: Int) -> Bool { names.reserve(count) }

    mutating func add(_ name: UnsafePointer<UInt8>, _ count: Int, _ column: Int) -> Bool {
        guard let number = names.insert(name, count) else { return false }
        if number == columns.count { columns.append(column) }
        return true
    }

    /// The column of a field name, `ignored` or `unknown`.
    func column(of name: UnsafePointer<UInt8>, _ count: Int) -> Int {
        guard let number = names.find(name, count) else { return FieldTable.unknown }
        return columns[number]
    }

    /// The length of the header at `text` if it is the one that was at `position` before, else 0,
    /// and its column. `text` must have 32 readable bytes.
    @inline(__always)
    func match(_ position: Int, _ text: UnsafePointer<UInt8>) -> (length: Int, column: Int) {
        guard position < FieldTable.positions else { return (0, FieldTable.unknown) }
        let header = headers + position
        let raw = UnsafeRawPointer(text)
        let masks = header.pointee.masks
        let words = header.pointee.words
        var difference = raw.loadUnaligned(as: UInt64.self) & masks.0 ^ words.0
        difference |= raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self) & masks.1 ^ words.1
        if header.pointee.length > 16 {
            difference |= raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self) & masks.2 ^ words.2
            difference |= raw.loadUnaligned(fromByteOffset: 24, as: UInt64.self) & masks.3 ^ words.3
        }
        return difference == 0 ? (header.pointee.length, header.pointee.column) : (0, 0)
    }

    /// Remembers the header of `count` bytes at `text` for `position`.
    mutating func remember(
        _ position: Int, _ text: UnsafePointer<UInt8>, _ count: Int, column: Int
    ) {
        guard position < FieldTable.positions, count <= FieldTable.headerBytes else { return }
        var header = Header()
        header.length = count
        header.column = column
        withUnsafeMutableBytes(of: &header.words) {
            $0.copyMemory(from: .init(start: text, count: count))
        }
        withUnsafeMutableBytes(of: &header.masks) { masks in
            for index in 0..<count { masks[index] = 0xFF }
        }
        headers[position] = header
    }
}
