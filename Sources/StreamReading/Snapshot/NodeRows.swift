// SPDX-License-Identifier: Apache-2.0
// Entries as they are stored, straight into the columns of a batch: a number that is stored as one
// goes into a column of numbers without becoming a text in between.

import ArrowColumns
import CPlatform
import RedcolBase
import StreamSnapshots

/// The node whose entries become rows. Plain memory, freed by `free()`.
struct NodeRows {
    private(set) var node: StoredNode?
    /// The names that its entries share, each with its column once that was looked up.
    var fields: [StoredNode.Field] = []
    private var names = IntegerTexts()
    /// The id and the numbers of the row in hand, where texts of them are needed.
    var texts = IntegerTexts()
    /// The range of ids that become rows.
    let first: EntryID
    let last: EntryID
    /// An entry after `last` has come.
    var isPastLast = false
    /// The entry before, whatever became of it.
    var before: EntryID?

    static let unresolved = Int.min

    /// How much of the node is left.
    var bytesLeft: Int { node?.pack.bytesLeft ?? 0 }

    init(first: EntryID, last: EntryID) {
        self.first = first
        self.last = last
    }

    mutating func free() {
        names.free()
        texts.free()
    }

    /// Begins this node; false if its bytes make no sense.
    mutating func begin(
        _ master: EntryID, _ listpack: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        node = StoredNode(master, listpack, fields: &fields, names: &names)
        for place in fields.indices { fields[place].column = NodeRows.unresolved }
        return node != nil
    }
}

extension RowParser {
    /// Makes rows of the node's entries, up to `rowsMax` in the batch. Its end is that of a reply.
    mutating func parse(_ nodeRows: inout NodeRows, rowsMax: Int) -> ParseOutcome {
        guard var node = nodeRows.node else { return .replyEnd }
        var last = nodeRows.before ?? .smallest
        defer { nodeRows.keep(node, before: last) }
        while true {
            if batch.rowCount >= rowsMax { return .batchFull }
            let entry: StoredEntry
            switch node.next() {
            case .end: return .replyEnd
            case .deleted: continue
            case .malformed: return .failed(RowParser.damagedNode)
            case .entry(let next): entry = next
            }
            // XRANGE would never end at a stream that goes back.
            guard entry.id > last else { return .failed(RowParser.damagedNode) }
            if entry.id < nodeRows.first {
                guard node.passOver(entry) else { return .failed(RowParser.damagedNode) }
                last = entry.id
                continue
            }
            if entry.id > nodeRows.last {
                nodeRows.isPastLast = true
                return .replyEnd
            }
            let step = decode(entry, &node, &nodeRows, after: &last)
            if step <= 0, step != Step.refused { return .failed(storedFailure(step, entry.id)) }
            entriesParsed &+= 1
            if step == Step.refused {
                if !skipsRefused { return .refused(storedFailure(step, entry.id)) }
                leftOut.add(RowID(id: entry.id, stream: 0), keepsRow: keepsRowIDs)
            }
        }
    }

    /// Makes a row of an entry that has begun. Returns its bytes, or what `Step` says.
    @inline(__always)
    private mutating func decode(
        _ entry: StoredEntry, _ node: inout StoredNode, _ nodeRows: inout NodeRows,
        after last: inout EntryID
    ) -> Int {
        guard entry.fieldCount <= limits.fields else { return Step.tooLarge }
        if firstID == nil { firstID = entry.id }
        guard nodeRows.texts.begin(2 &* entry.fieldCount &+ 2) else { return Step.noMemory }
        let (idText, idLength) = nodeRows.texts.write(entry.id)
        guard beginRow(entry.id, idText, idLength, 0) else { return Step.noMemory }
        var field = 0
        while field < entry.fieldCount {
            let column: Int
            if entry.hasSameFields {
                let known = nodeRows.fields[field]
                column =
                    known.column == NodeRows.unresolved
                    ? columnOfField(known.name, known.count) : known.column
                nodeRows.fields[field].column = column
            } else {
                guard node.pack.next() else { return Step.malformed }
                let (name, count) =
                    node.pack.text.map { ($0, node.pack.count) }
                    ?? nodeRows.texts.write(node.pack.integer)
                column = columnOfField(name, count)
            }
            if column < FieldTable.ignored, column > FieldTable.firstFallback {
                failedID = Array(UnsafeBufferPointer(start: idText, count: idLength))
                return column
            }
            guard node.pack.next() else { return Step.malformed }
            if column != FieldTable.ignored, !setNumber(column, node.pack) {
                let (text, count) =
                    node.pack.text.map { ($0, node.pack.count) }
                    ?? nodeRows.texts.write(node.pack.integer)
                if column >= 0 {
                    batch.set(column, text, count)
                } else {
                    batch.setFallback(FieldTable.fallback(column), text, count)
                }
            }
            field &+= 1
        }
        guard node.end(entry) else { return Step.malformed }
        return commit(
            entry.id, idText, idLength, 0, bytes: entry.bytesBefore &- node.pack.bytesLeft,
            after: &last)
    }

    /// Sets a number that is stored as one in a column of numbers; false if a text is needed.
    @inline(__always)
    private mutating func setNumber(_ column: Int, _ pack: Listpack) -> Bool {
        pack.text == nil && column >= 0 && batch.setSigned(column, pack.integer)
    }

    /// The column of a field, `FieldTable.ignored`, or what `Step` says.
    @inline(never)
    private mutating func columnOfField(_ name: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let column = fields.column(of: name, count)
        return column == FieldTable.unknown ? addField(name, count) : column
    }

    static var damagedNode: RedcolError {
        RedcolError(.protocolViolation, "a node of the stream's entries that makes no sense")
    }

    private mutating func storedFailure(_ step: Int, _ id: EntryID) -> RedcolError {
        failure(step, of: id) ?? RowParser.damagedNode
    }
}

extension NodeRows {
    /// Passes over up to `count` entries of the range that are left in the node. How many.
    mutating func passOver(entries count: Int) throws(RedcolError) -> Int {
        guard var node else { return 0 }
        var passed = 0
        defer { self.node = node }
        while passed < count {
            switch node.next() {
            case .end: return passed
            case .deleted: continue
            case .malformed: throw RowParser.damagedNode
            case .entry(let entry):
                guard entry.id > before ?? .smallest else { throw RowParser.damagedNode }
                if entry.id > last {
                    isPastLast = true
                    return passed
                }
                guard node.passOver(entry) else { throw RowParser.damagedNode }
                before = entry.id
                if entry.id >= first { passed += 1 }
            }
        }
        return passed
    }

    fileprivate mutating func keep(_ node: StoredNode, before: EntryID) {
        self.node = node
        self.before = before
    }
}
