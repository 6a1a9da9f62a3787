// SPDX-License-Identifier: Apache-2.0
// The plan of a write to several nodes of a cluster: when rows are sent, sent again, given up or
// over. Pure: time, answers and losses are told to it.

import RedcolBase

/// A write to several nodes without its connections, its frame and its encoder.
struct ScatteredPlan {
    private(set) var state = WriteState.connecting(notBefore: nil)
    var rows: ScatteredRows
    private var retries: RetryWindow
    /// Nothing is sent before.
    private(set) var notBefore: Int64?
    /// Whether rows may be written twice without harm.
    let isRepeatable: Bool
    private let kind: WrittenRows
    /// Rows that may be written or not, when the write is over.
    private(set) var unknown = RowRanges()

    init(isRepeatable: Bool, kind: WrittenRows, silenceMs: Int64, retryMs: Int64) {
        self.isRepeatable = isRepeatable
        self.kind = kind
        rows = ScatteredRows(keepsIDs: kind == .entries)
        retries = RetryWindow(limitMs: silenceMs, longestMs: retryMs)
    }

    // MARK: The caller's

    mutating func begin() { state.connected(probes: 0) }
    mutating func stop() { state.stop() }
    mutating func close() { state.close() }
    mutating func frameEnded() { state.frameEnded() }

    /// Keeps the first error. Nothing more is sent; what is under way is still awaited.
    mutating func fail(_ error: RedcolError) { state.fail(error) }

    // MARK: What to do

    enum Sending: Equatable {
        /// Rows of the frame, as far as there is room.
        case new
        /// What is to be sent again.
        case again
        case nothing
    }

    /// What may be sent now. `isRepeating`: rows are being sent again.
    mutating func sending(_ now: Int64, isRepeating: Bool) -> Sending {
        guard state.mayTryAgain else { return .nothing }
        if let notBefore {
            guard now >= notBefore else { return .nothing }
            self.notBefore = nil
        }
        if isRepeating { return .again }
        if !rows.again.isEmpty { return rows.underWay == 0 ? .again : .nothing }
        if case .writing = state, rows.hasRoom { return .new }
        return .nothing
    }

    // MARK: Answers

    /// The first row under way to a node was executed. An error and its row, if rows before it are
    /// too late now: rows of one key come in their order or not at all.
    @inline(__always)
    mutating func executed(
        _ lane: Int, _ outcome: ScatteredRows.Outcome, id: EntryID?
    ) -> (row: Int, error: RedcolError)? {
        retries.succeeded()
        if rows.executed(lane, outcome, id: id, isRepeatable: isRepeatable) { return nil }
        defer { rows.giveUpAgain() }
        return rows.refusal
    }

    /// The first row under way to a node was refused. Whether it is sent again: to `asked`, a node
    /// that wants to be asked, or to the one that has its slot then.
    mutating func refused(
        _ lane: Int, _ error: RedcolError, asked: Int?, _ now: Int64
    ) -> Bool {
        guard error.isRefusalForNow, state.mayTryAgain, tryAgain(now, isFirst: rows.refusal == nil)
        else {
            _ = rows.executed(lane, .refused, id: nil, isRepeatable: false)
            return false
        }
        rows.refusedForNow(lane, error, asked: asked)
        return true
    }

    private mutating func tryAgain(_ now: Int64, isFirst: Bool) -> Bool {
        guard isFirst else { return true }
        guard let next = retries.failed(now) else { return false }
        notBefore = max(next, notBefore ?? next)
        return true
    }

    /// A connection is gone, after it had sent so many bytes. Whether the write goes on.
    mutating func connectionLost(
        _ lane: Int, _ error: RedcolError, sent: Int, wasReady: Bool, _ now: Int64
    ) -> Bool {
        let wasIdle = wasReady && rows.lanes[lane].first == nil
        let unknown = rows.connectionLost(lane, sent: sent, isRepeatable: isRepeatable)
        if wasIdle { return true }
        return state.mayTryAgain && error.isWorthAnotherTry && (isRepeatable || unknown == 0)
            && tryAgain(now, isFirst: true)
    }

    // MARK: The end

    /// Looks whether the write is over. `repeated`: rows that were to be sent again, and were not.
    /// `sent`: how many bytes each node was sent.
    mutating func isOver(
        repeated: ArraySlice<ScatteredRows.Again>, sent bytes: (Int) -> Int
    ) -> Bool {
        guard rows.underWay == 0 else { return false }
        if state.mayTryAgain {
            guard rows.again.isEmpty, repeated.isEmpty else { return false }
        } else {
            for row in repeated { rows.putBack(row) }
            unknown = rows.unknown(sent: bytes)
            rows.giveUpAgain()
        }
        let progress = progress
        return state.allAnswered(progress)
    }

    // MARK: For people

    /// How much was written, and what was refused.
    var told: String {
        let written = "; " + kind.told(rows.written)
        guard rows.refused.count > 1 else { return written }
        return written + "; the server refused rows " + rows.refusedRows.text(limit: 100)
    }

    /// What completes the error, if there is one.
    private var progress: WriteState.Progress {
        if state.error == nil { return WriteState.Progress() }
        var words = told
        if unknown.count > 0 {
            words +=
                ", and of \(unknown.count) more, rows \(unknown.text(limit: 100)), it is unknown: "
                + "they were sent, and no answer came"
        }
        return WriteState.Progress(
            words: words, refusedRows: rows.refusedRows.text(limit: .max),
            unknownRows: unknown.text(limit: .max))
    }
}
