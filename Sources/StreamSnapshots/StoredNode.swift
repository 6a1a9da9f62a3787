// SPDX-License-Identifier: Apache-2.0
// A node of a stream as it is stored: a listpack that holds a few dozen entries. The node's first
// entry gives the fields' names; entries that have the same ones leave them out.

import CPlatform
import RedcolBase

/// Goes through the entries of a node.
public struct StoredNode {
    /// What comes next of it.
    public enum Step {
        /// An entry, whose values come next.
        case entry(StoredEntry)
        /// An entry that was deleted, and has been passed over.
        case deleted
        case end
        case malformed
    }

    /// A name that the node's entries share.
    public struct Field {
        public let name: UnsafePointer<UInt8>
        public let count: Int
        /// For whoever looks the name up once for all entries of a node.
        public var column: Int
    }

    private let master: EntryID
    public var pack: Listpack
    private var entriesLeft: Int
    private var deletedLeft: Int
    private let fieldCount: Int
    /// How many elements were read.
    private var elements: Int

    private static let isDeleted: Int64 = 1
    private static let hasSameFields: Int64 = 2

    /// Reads the node's first entry, which is none of the stream's. `fields` gets the names, which
    /// lie in the listpack, or in `names` if they are stored as integers. Nil if it makes no sense.
    public init?(
        _ master: EntryID, _ bytes: UnsafeBufferPointer<UInt8>, fields: inout [Field],
        names: inout IntegerTexts
    ) {
        guard var pack = Listpack(bytes), let count = pack.nextInteger(),
            let deleted = pack.nextInteger(), let fieldCount = pack.nextInteger(),
            count >= 0, deleted >= 0, fieldCount >= 0,
            // An entry has four elements at least, and an element two bytes.
            count <= pack.bytesLeft / 8, deleted <= pack.bytesLeft / 8,
            fieldCount <= pack.bytesLeft / 2
        else { return nil }
        fields.removeAll(keepingCapacity: true)
        guard fields.makeRoom(for: Int(fieldCount)), names.begin(Int(fieldCount)) else {
            return nil
        }
        for _ in 0..<Int(fieldCount) {
            guard pack.next() else { return nil }
            let (text, count) = pack.text.map { ($0, pack.count) } ?? names.write(pack.integer)
            fields.append(Field(name: text, count: count, column: 0))
        }
        guard pack.nextInteger() == 0 else { return nil }
        self.master = master
        self.pack = pack
        self.fieldCount = Int(fieldCount)
        elements = 4 + Int(fieldCount)
        entriesLeft = Int(count)
        deletedLeft = Int(deleted)
    }

    /// Begins the next entry; the one before must have been taken in full.
    @inline(__always)
    public mutating func next() -> Step {
        if pack.isAtEnd {
            let isWhole =
                entriesLeft == 0 && deletedLeft == 0 && pack.claimed ?? elements == elements
            return isWhole ? .end : .malformed
        }
        let before = pack.bytesLeft
        guard let flags = pack.nextInteger(), flags >= 0, flags <= 3,
            let milliseconds = pack.nextInteger(), let sequence = pack.nextInteger()
        else { return .malformed }
        let isSame = flags & StoredNode.hasSameFields != 0
        var fields = fieldCount
        if !isSame {
            guard let count = pack.nextInteger(), count >= 0, count <= pack.bytesLeft / 4 else {
                return .malformed
            }
            fields = Int(count)
        }
        let entry = StoredEntry(
            id: EntryID(
                master.milliseconds &+ UInt64(bitPattern: milliseconds),
                master.sequence &+ UInt64(bitPattern: sequence)),
            fieldCount: fields, hasSameFields: isSame, bytesBefore: before)
        if flags & StoredNode.isDeleted == 0 {
            entriesLeft -= 1
            return entriesLeft >= 0 ? .entry(entry) : .malformed
        }
        deletedLeft -= 1
        return deletedLeft >= 0 && passOver(entry) ? .deleted : .malformed
    }

    /// Passes over the values of an entry that has begun; false if they make no sense.
    public mutating func passOver(_ entry: StoredEntry) -> Bool {
        pack.passOver(entry.hasSameFields ? entry.fieldCount : 2 * entry.fieldCount)
            && end(entry)
    }

    /// Takes what stands after an entry's values: how many elements it has. False if it has others.
    @inline(__always)
    public mutating func end(_ entry: StoredEntry) -> Bool {
        let count = entry.hasSameFields ? 3 &+ entry.fieldCount : 4 &+ 2 &* entry.fieldCount
        elements &+= count &+ 1
        return pack.nextInteger() == Int64(count)
    }
}

/// An entry that has begun.
public struct StoredEntry {
    public let id: EntryID
    public let fieldCount: Int
    /// Only its values follow; else each is preceded by its name.
    public let hasSameFields: Bool
    /// What was left of the node before it.
    public let bytesBefore: Int
}

/// Integers as texts, which keep their places until `begin`.
public struct IntegerTexts {
    private static let bytesEach = 48
    private var memory: UnsafeMutablePointer<UInt8>?
    private var capacity = 0
    private var used = 0

    public init() {}

    public mutating func free() {
        CPlatform.free(memory)
        memory = nil
        capacity = 0
    }

    /// Makes room for `count` of them, and forgets those before. False when there is no memory.
    @inline(__always)
    public mutating func begin(_ count: Int) -> Bool {
        used = 0
        return count &* IntegerTexts.bytesEach < capacity || grow(count)
    }

    @inline(never)
    private mutating func grow(_ count: Int) -> Bool {
        let (bytes, overflow) = (count + 1).multipliedReportingOverflow(
            by: 2 * IntegerTexts.bytesEach)
        guard !overflow, let grown = realloc(memory, bytes) else { return false }
        memory = grown.assumingMemoryBound(to: UInt8.self)
        capacity = bytes
        return true
    }

    /// Writes one of those that there is room for. 16 bytes can be read after its end.
    @inline(__always)
    public mutating func write(_ value: Int64) -> (UnsafePointer<UInt8>, Int) {
        guard let memory, used < capacity else { return (IntegerTexts.nothing.utf8Start, 0) }
        let start = memory + used
        used &+= IntegerTexts.bytesEach
        return (UnsafePointer(start), writeSigned(value, to: start))
    }

    /// The same for an id, which takes the room of two.
    public mutating func write(_ id: EntryID) -> (UnsafePointer<UInt8>, Int) {
        guard let memory, used &+ IntegerTexts.bytesEach < capacity else {
            return (IntegerTexts.nothing.utf8Start, 0)
        }
        let start = memory + used
        used &+= 2 &* IntegerTexts.bytesEach
        var count = writeDecimal(id.milliseconds, to: start)
        start[count] = UInt8(ascii: "-")
        count &+= 1
        count &+= writeDecimal(id.sequence, to: start + count)
        return (UnsafePointer(start), count)
    }

    private static let nothing: StaticString = "                "
}
