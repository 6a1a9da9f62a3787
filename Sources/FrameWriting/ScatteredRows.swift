// SPDX-License-Identifier: Apache-2.0
// What became of each row of a frame that is written to several nodes of a cluster at once: the
// answers of a node come in order, and those of different nodes in any. Pure: it knows no socket.

import RedcolBase

/// The rows of a frame, from the first to the last that was encoded.
struct ScatteredRows {
    /// Rows from the first one on whose outcome is not known; a power of two.
    static let windowRows = 1 << 17

    enum Outcome: UInt8 { case open, written, refused, empty, unknown }

    /// A row whose commands were encoded for a node, and that has no answer yet.
    struct Sent {
        var row: Int
        /// Where its commands end, counted as `Connection.bytesSent` counts.
        var end: Int
        var kind: EncodedRow
        /// A hash of its key: rows of one key come in their order.
        var key: Int
        /// ASKING stands before its commands, and has an answer of its own.
        var asks = false
    }

    /// A row that is to be sent again.
    struct Again {
        enum Reason { case refused, notSent, mayBeWritten }
        var row: Int
        var reason: Reason
        /// The node that the row's slot is moving to, which wants to be asked once.
        var asked: Int?
    }

    /// The rows under way to one node.
    struct Lane {
        fileprivate var sent: [Sent] = []
        fileprivate var head = 0
        fileprivate var encodedEnd = 0
        fileprivate var answeredEnd = 0

        /// The row whose answer comes next.
        var first: Sent? { head < sent.count ? sent[head] : nil }
        /// Bytes of commands that are encoded and not answered.
        var bytesUnderWay: Int { encodedEnd - answeredEnd }

        /// A connection is used from here on; it has sent so many bytes.
        mutating func begin(sent bytes: Int) {
            encodedEnd = bytes
            answeredEnd = bytes
        }

        fileprivate mutating func removeFirst() {
            answeredEnd = sent[head].end
            head += 1
            underWayChanged()
        }

        private mutating func underWayChanged() {
            if head == sent.count {
                sent.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 32_768 {
                sent.removeFirst(head)
                head = 0
            }
        }

        fileprivate mutating func takeAll() -> ArraySlice<Sent> {
            let all = sent[head...]
            sent = []
            head = 0
            return all
        }
    }

    private(set) var lanes: [Lane] = []
    private(set) var underWay = 0
    /// Leading rows whose outcome is known.
    private(set) var known = 0
    /// The row that is encoded next, but for those that are sent again.
    private(set) var next = 0
    private var outcomes = [Outcome](repeating: .open, count: windowRows)
    private var ids: [EntryID]

    /// Rows that were refused for now, or were under way on a connection that was lost. They are
    /// sent again when nothing is under way, in their order.
    private(set) var again: [Again] = []
    /// The keys of those of them that were refused.
    private var refusedKeys: Set<Int> = []
    /// The first refusal among them, and its row.
    private(set) var refusal: (row: Int, error: RedcolError)?

    private(set) var written = 0
    private(set) var refused: [Int] = []
    private(set) var empty = 0

    init(keepsIDs: Bool) {
        ids = keepsIDs ? Array(repeating: .smallest, count: ScatteredRows.windowRows) : []
    }

    /// The memory that this takes.
    static func memory(keepsIDs: Bool) -> Int {
        windowRows * (1 + (keepsIDs ? MemoryLayout<EntryID>.stride : 0))
    }

    /// The row under way to a node whose answer comes next.
    @inline(__always)
    func first(of lane: Int) -> Sent? { lanes[lane].first }
    @inline(__always)
    func bytesUnderWay(_ lane: Int) -> Int { lanes[lane].bytesUnderWay }

    var hasRoom: Bool { next - known < ScatteredRows.windowRows }

    private func place(_ row: Int) -> Int { row & (ScatteredRows.windowRows - 1) }

    func outcome(of row: Int) -> Outcome { outcomes[place(row)] }
    /// The id of a row that was written.
    func id(of row: Int) -> EntryID { ids[place(row)] }

    // MARK: Sending

    mutating func addLane() { lanes.append(Lane()) }

    mutating func begin(_ lane: Int, sent: Int) { lanes[lane].begin(sent: sent) }

    /// A row was encoded for a node, as so many bytes.
    @inline(__always)
    mutating func encoded(
        _ row: Int, _ kind: EncodedRow, to lane: Int, bytes: Int, key: Int, asks: Bool = false
    ) {
        if row == next { next += 1 }
        guard kind != .nothing else {
            outcomes[place(row)] = .empty
            empty += 1
            return
        }
        lanes[lane].encodedEnd += bytes
        lanes[lane].sent.append(
            Sent(row: row, end: lanes[lane].encodedEnd, kind: kind, key: key, asks: asks))
        underWay += 1
    }

    /// What is to be sent again, in the order of the rows; nothing is any more.
    mutating func takeAgain() -> [Again] {
        defer { forgetRefusals() }
        return sortedIndices(again.count) { again[$0].row < again[$1].row }.map { again[$0] }
    }

    /// A row is to be sent again after all.
    mutating func putBack(_ row: Again) { again.append(row) }

    private mutating func forgetRefusals() {
        again = []
        refusedKeys = []
        refusal = nil
    }

    // MARK: Answers

    /// The first row under way to a node was executed. False if an earlier row of its key was
    /// refused for now and must not be written after it.
    @inline(__always)
    mutating func executed(
        _ lane: Int, _ outcome: Outcome, id: EntryID?, isRepeatable: Bool
    ) -> Bool {
        guard let sent = lanes[lane].first else { return true }
        lanes[lane].removeFirst()
        underWay -= 1
        let isLate = !refusedKeys.isEmpty && refusedKeys.contains(sent.key)
        if isLate, isRepeatable {
            again.append(Again(row: sent.row, reason: .mayBeWritten))
            return true
        }
        outcomes[place(sent.row)] = outcome
        switch outcome {
        case .written: written += 1
        case .empty: empty += 1
        default: refused.append(sent.row)
        }
        if let id, !ids.isEmpty { ids[place(sent.row)] = id }
        return !isLate
    }

    /// The first row under way to a node was refused, and is sent again. `asked`: to this node,
    /// which wants to be asked.
    mutating func refusedForNow(_ lane: Int, _ error: RedcolError, asked: Int?) {
        guard let sent = lanes[lane].first else { return }
        lanes[lane].removeFirst()
        underWay -= 1
        if refusal.map({ sent.row < $0.row }) ?? true { refusal = (sent.row, error) }
        refusedKeys.insert(sent.key)
        again.append(Again(row: sent.row, reason: .refused, asked: asked))
    }

    /// The connection to a node is gone, and has sent so many bytes. How many rows may be written;
    /// they are sent again only if that does no harm.
    mutating func connectionLost(_ lane: Int, sent bytes: Int, isRepeatable: Bool) -> Int {
        var unknown = 0
        for sent in lanes[lane].takeAll() {
            underWay -= 1
            // A row's commands do nothing before the server has the last byte of them.
            let mayBeWritten = sent.end <= bytes
            if mayBeWritten { unknown += 1 }
            if mayBeWritten, !isRepeatable {
                outcomes[place(sent.row)] = .unknown
            } else {
                again.append(Again(row: sent.row, reason: mayBeWritten ? .mayBeWritten : .notSent))
            }
        }
        return unknown
    }

    /// Nothing is sent again: what became of those rows is known, or never will be.
    mutating func giveUpAgain() {
        for row in again {
            switch row.reason {
            case .refused:
                outcomes[place(row.row)] = .refused
                refused.append(row.row)
            case .mayBeWritten: outcomes[place(row.row)] = .unknown
            case .notSent: break
            }
        }
        forgetRefusals()
    }

    /// Counts the next leading row if its outcome is known; its number.
    @inline(__always)
    mutating func takeKnown() -> Int? {
        guard known < next else { return nil }
        switch outcomes[place(known)] {
        case .open, .unknown: return nil
        default: break
        }
        known += 1
        return known - 1
    }

    /// Forgets a row that `takeKnown` has counted.
    @inline(__always)
    mutating func forget(_ row: Int) { outcomes[place(row)] = .open }

    // MARK: At the end

    /// The rows that were refused.
    var refusedRows: RowRanges { ScatteredRows.ranges(refused) }

    private static func ranges(_ rows: [Int]) -> RowRanges {
        var ranges = RowRanges()
        for index in sortedIndices(rows.count, { rows[$0] < rows[$1] }) { ranges.add(rows[index]) }
        return ranges
    }

    /// The rows that were sent and have no answer. `sent`: how many bytes each node was sent.
    func unknown(sent bytes: (Int) -> Int) -> RowRanges {
        var rows: [Int] = []
        for row in known..<next where outcomes[place(row)] == .unknown { rows.append(row) }
        for (index, lane) in lanes.enumerated() {
            let bytes = bytes(index)
            for sent in lane.sent[lane.head...] where sent.end <= bytes { rows.append(sent.row) }
        }
        for row in again where row.reason == .mayBeWritten { rows.append(row.row) }
        return ScatteredRows.ranges(rows)
    }
}
