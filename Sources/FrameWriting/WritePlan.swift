// SPDX-License-Identifier: Apache-2.0
// The plan of a write: its state and its rows together decide what is sent, sent again, given up or
// over. Pure: time, answers and losses are told to it.

import RedcolBase

/// What to do about the answer to a row.
enum Settlement {
    /// The row was counted, after these, which were refused for now and are given up.
    case counted(after: RefusedRows?)
    /// The row will be sent again, with one before it that was refused for now.
    case sentAgain
}

/// What to do about a lost connection.
enum Loss {
    /// Connect again when the state says so, and write on from `SentRows.next`.
    case tryAgain
    /// The write ends with the error. It is about this row, if about one.
    case giveUp(row: Int?)
}

/// A write without its connection, its frame and its encoder.
struct WritePlan {
    private(set) var state = WriteState.connecting(notBefore: nil)
    private(set) var rows = SentRows()
    private var retries: RetryWindow
    /// Whether rows may be written twice without harm.
    let isRepeatable: Bool
    private let kind: WrittenRows

    /// MULTI and EXEC. Without the right to use them, the server would still execute the commands
    /// of a transaction, one by one.
    static let probes = 2

    /// `silenceMs`: for how long it is tried again without a success; `retryMs`: the longest wait
    /// between two attempts.
    init(
        isRepeatable: Bool, kind: WrittenRows, silenceMs: Int64,
        retryMs: Int64 = Backoff.longestMs
    ) {
        self.isRepeatable = isRepeatable
        self.kind = kind
        retries = RetryWindow(limitMs: silenceMs, longestMs: retryMs)
    }

    /// Whether the next row may be encoded.
    var mayEncode: Bool {
        if case .writing = state { return rows.refusedForNow == nil }
        return false
    }

    /// Whether no answer is awaited, so that the connection may be used by another.
    var isIdle: Bool { rows.first == nil && state.probesLeft == 0 }

    // MARK: The caller's

    mutating func stop() { state.stop() }
    mutating func close() { state.close() }

    // MARK: The connection's

    /// The connection is ready, and has sent so many bytes.
    mutating func connected(usesTransactions: Bool, sent: Int) {
        state.connected(probes: usesTransactions ? WritePlan.probes : 0)
        rows.begin(sent: sent)
    }

    /// A probe was answered. With an error that will not come again, the connection is lost.
    mutating func probeAnswered(_ error: RedcolError?, sent: Int) throws(RedcolError) {
        if let error, error.isRefusalForNow, state.error == nil { throw error }
        state.probeAnswered(error)
        rows.begin(sent: sent)
    }

    /// The connection is gone, after it had sent so many bytes.
    mutating func connectionLost(_ error: RedcolError, sent: Int, _ now: Int64) -> Loss {
        let unknown = rows.connectionLost(sent: sent)
        if state.mayTryAgain, error.isWorthAnotherTry, isRepeatable || unknown == 0,
            let next = retries.failed(now)
        {
            state.tryAgain(notBefore: next)
            return .tryAgain
        }
        return .giveUp(row: error.isRefusalForNow ? rows.next : nil)
    }

    /// The connection is not made again. After `fail`.
    mutating func connectionGone() {
        let progress = progress
        state.connectionGone(progress)
    }

    // MARK: The frame's

    @inline(__always)
    mutating func encoded(_ kind: EncodedRow, bytes: Int) { rows.encoded(kind, bytes: bytes) }

    mutating func frameEnded() { state.frameEnded() }

    /// Keeps the first error. Nothing more is sent; what is under way is still awaited.
    mutating func fail(_ error: RedcolError) { state.fail(error) }

    // MARK: Answers

    /// The server executed the first row under way.
    @inline(__always)
    mutating func executed(_ row: Int, _ outcome: RowOutcome) -> Settlement {
        guard rows.refusedForNow == nil else { return executedAfterRefused(row, outcome) }
        retries.succeeded()
        rows.count(row, outcome)
        return .counted(after: nil)
    }

    private mutating func executedAfterRefused(_ row: Int, _ outcome: RowOutcome) -> Settlement {
        if isRepeatable {
            rows.executedAfterRefused()
            return .sentAgain
        }
        // Rows come in their order or not at all: those before this one are too late.
        return countAfterRefused(row, outcome)
    }

    /// Rows that were refused for now, and then this one, are counted.
    private mutating func countAfterRefused(_ row: Int, _ outcome: RowOutcome) -> Settlement {
        let givenUp = rows.giveUpRefused()
        rows.count(row, outcome)
        return .counted(after: givenUp)
    }

    /// The server refused the first row under way.
    mutating func refused(_ row: Int, _ error: RedcolError) -> Settlement {
        if error.isRefusalForNow, state.mayTryAgain {
            rows.refuseForNow(row, error)
            return .sentAgain
        }
        return countAfterRefused(row, .refused)
    }

    /// The answer to the first row under way was settled, too. How many rows without values were
    /// counted with it.
    @inline(__always)
    mutating func removeFirst() -> Int { rows.removeFirst() }

    /// Counts leading rows without values, which nothing answers; their number.
    mutating func settleEmpty() -> Int { rows.settleEmpty() }

    mutating func forgetAnswered() { rows.forgetAnswered() }

    /// Counts and returns the rows that were refused for now, if they will not be sent again.
    /// `isLost`: the connection is lost, and nothing more is answered.
    mutating func giveUpRefused(isLost: Bool) -> RefusedRows? {
        guard !state.mayTryAgain, isLost || rows.first == nil else { return nil }
        return rows.giveUpRefused()
    }

    /// Looks whether the write is over. Throws what the server has refused for now, once all that
    /// was sent is answered: the connection is then of no use.
    mutating func isOver() throws(RedcolError) -> Bool {
        guard rows.first == nil else { return false }
        if let refused = rows.refusedForNow, state.mayTryAgain { throw refused.error }
        let progress = progress
        return state.allAnswered(progress)
    }

    // MARK: For people

    /// How much was written, and what was refused.
    var told: String {
        let written = "; " + kind.told(rows.written)
        guard rows.refused.count > 1 else { return written }
        return written + "; of the rows before row \(rows.known), the server refused rows "
            + rows.refused.text(limit: 100)
    }

    /// What completes the error, if there is one.
    private var progress: WriteState.Progress {
        if state.error == nil { return WriteState.Progress() }
        var words = told
        let unknown = rows.unknown(sent: 0)
        if unknown > 0 {
            words +=
                ", and of \(unknown) more, from row \(rows.known) on, it is unknown: they were "
                + "sent, and no answer came"
        }
        return WriteState.Progress(words: words, refusedRows: rows.refused.text(limit: .max))
    }
}
