// SPDX-License-Identifier: Apache-2.0
// What happened to each row of a frame: sent, answered, refused, or lost with its connection. Pure:
// it knows no socket and no values.

import RedcolBase

/// What happened to a row. Empty: it has no values.
enum RowOutcome { case written, refused, empty }

/// Rows that the server refused for now, without executing anything, and what happened to those
/// after them.
struct RefusedRows {
    let first: Int
    let error: RedcolError
    var outcomes: [RowOutcome] = []

    init(first: Int, error: RedcolError) {
        self.first = first
        self.error = error
    }
}

/// A row whose commands were encoded, and that has no answer yet.
struct SentRow {
    let number: Int
    /// Where its commands end, counted as `Connection.bytesSent` counts.
    let end: Int
    let kind: EncodedRow
}

/// The rows of a frame, from the first to the last that was encoded.
struct SentRows {
    private var underWay: [SentRow] = []
    /// The first of `underWay` that is not answered.
    private var head = 0
    /// The row that is encoded next.
    private(set) var next = 0
    private var encodedEnd = 0
    /// Where the commands of the last row that was answered end.
    private var answeredEnd = 0
    /// Rows before this one were sent on a connection that was lost before their answers came: they
    /// may be written, although they are sent again.
    private var mayBeWrittenEnd = 0
    /// Rows that will be sent again.
    private(set) var refusedForNow: RefusedRows?

    /// Rows, or keys, that the server has confirmed.
    private(set) var written = 0
    /// Rows that the server has refused: the first of them ends the write, and the others were sent
    /// already.
    private(set) var refused = RowRanges()
    /// Rows that have no values.
    private(set) var empty = 0

    /// Leading rows whose outcome is known.
    var known: Int { refusedForNow?.first ?? first?.number ?? next }

    /// Rows after those that were sent and have no answer: they may be written or not. `sent`: how
    /// many bytes the connection has sent.
    func unknown(sent: Int) -> Int {
        var last: Int?
        for row in underWay[head...] {
            // A row's commands do nothing before the server has the last byte of them.
            guard row.end <= sent else { break }
            if row.kind != .nothing { last = row.number }
        }
        return max(last.map { $0 - known + 1 } ?? 0, mayBeWrittenEnd - known, 0)
    }

    /// The row whose answer comes next.
    @inline(__always)
    var first: SentRow? { head < underWay.count ? underWay[head] : nil }

    /// Bytes of commands that are encoded and not answered.
    var bytesUnderWay: Int { encodedEnd - answeredEnd }

    // MARK: Events

    /// A connection is used from here on; it has sent so many bytes.
    mutating func begin(sent: Int) {
        encodedEnd = sent
        answeredEnd = sent
    }

    /// The next row was encoded, as so many bytes.
    @inline(__always)
    mutating func encoded(_ kind: EncodedRow, bytes: Int) {
        encodedEnd += bytes
        underWay.append(SentRow(number: next, end: encodedEnd, kind: kind))
        next += 1
    }

    /// The first row was answered, or has no answer. The number of rows without values that come
    /// next, and are counted with it.
    @inline(__always)
    mutating func removeFirst() -> Int {
        answeredEnd = underWay[head].end
        head += 1
        return settleEmpty()
    }

    /// Counts the rows without values that come next: nothing answers them. Their number, except
    /// for those that come after one that was refused for now.
    @inline(__always)
    mutating func settleEmpty() -> Int {
        var settled = 0
        while head < underWay.count, underWay[head].kind == .nothing {
            if refusedForNow != nil {
                refusedForNow?.outcomes.append(.empty)
            } else {
                empty += 1
                settled += 1
            }
            answeredEnd = underWay[head].end
            head += 1
        }
        return settled
    }

    /// Gives back the memory of rows that were answered.
    mutating func forgetAnswered() {
        if head == underWay.count {
            underWay.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 32_768 {
            underWay.removeFirst(head)
            head = 0
        }
    }

    /// The outcome of `row` is known.
    @inline(__always)
    mutating func count(_ row: Int, _ outcome: RowOutcome) {
        switch outcome {
        case .written: written += 1
        case .refused: refused.add(row)
        case .empty: empty += 1
        }
    }

    /// The server refused `row` for now: it will be sent again, with those after it.
    mutating func refuseForNow(_ row: Int, _ error: RedcolError) {
        if refusedForNow == nil { refusedForNow = RefusedRows(first: row, error: error) }
        refusedForNow?.outcomes.append(.refused)
    }

    /// The server executed a row after one that it refused for now: it is sent again, too.
    mutating func executedAfterRefused() { refusedForNow?.outcomes.append(.written) }

    /// The rows that were refused for now are not sent again: they are counted, and returned.
    mutating func giveUpRefused() -> RefusedRows? {
        guard let rows = refusedForNow else { return nil }
        refusedForNow = nil
        for (index, outcome) in rows.outcomes.enumerated() { count(rows.first + index, outcome) }
        return rows
    }

    /// The connection is gone, and has sent so many bytes: the first row whose outcome is not known
    /// is the next again. How many rows from it on may be written.
    mutating func connectionLost(sent: Int) -> Int {
        let first = known
        var unknown = unknown(sent: sent)
        if let rows = refusedForNow, rows.outcomes.contains(.written) {
            unknown = max(unknown, rows.outcomes.count)
        }
        refusedForNow = nil
        mayBeWrittenEnd = first + unknown
        underWay.removeAll(keepingCapacity: true)
        head = 0
        next = first
        return unknown
    }
}
