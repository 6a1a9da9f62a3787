// SPDX-License-Identifier: Apache-2.0
// The states of a write, and what leads from one to the next. Pure: it knows no socket and no rows.

import RedcolBase

/// Where a write is.
enum WriteState {
    /// There is no connection yet, or none any more. The next attempt is not made before
    /// `notBefore`, in milliseconds of the monotonic clock.
    case connecting(notBefore: Int64?)
    /// The server was asked whether this user may use transactions; so many answers are missing.
    case probing(answersLeft: Int)
    /// Rows are encoded, sent and answered.
    case writing
    /// The frame was read to its end; the rows that were sent are answered.
    case confirming
    /// No more rows are sent; what was sent is answered.
    case draining(Ending, probesLeft: Int)
    /// Nothing is awaited any more. nil: all rows were written.
    case finished(Ending?)
    /// The caller has closed the connection.
    case closed

    /// Why a write ends before its frame does.
    enum Ending {
        case failed(RedcolError)
        /// The caller has stopped it. The error is the first one before or after that.
        case stopped(RedcolError?)

        var error: RedcolError? {
            switch self {
            case .failed(let error): return error
            case .stopped(let error): return error
            }
        }
    }

    /// How far a write has come when it ends with an error.
    struct Progress {
        var words = ""
        var refusedRows = ""
        /// Empty also where they are the rows after the last that is known.
        var unknownRows = ""

        func completing(_ error: RedcolError) -> RedcolError {
            var error = error.saying(words)
            if !refusedRows.isEmpty { error = error.adding("", .refusedRows, refusedRows) }
            if !unknownRows.isEmpty { error = error.adding("", .unknownRows, unknownRows) }
            return error
        }
    }

    // MARK: Questions

    /// Whether rows may be sent again on another connection.
    var mayTryAgain: Bool {
        switch self {
        case .connecting, .probing, .writing, .confirming: return true
        case .draining, .finished, .closed: return false
        }
    }

    /// Whether there is nothing left to do.
    var isOver: Bool {
        switch self {
        case .finished, .closed: return true
        default: return false
        }
    }

    /// Answers that are awaited to the question whether transactions are allowed.
    var probesLeft: Int {
        switch self {
        case .probing(let count): return count
        case .draining(_, let count): return count
        default: return 0
        }
    }

    /// Whether answers that come now are those of rows.
    var awaitsRows: Bool {
        switch self {
        case .writing, .confirming: return true
        case .draining: return probesLeft == 0
        case .connecting, .probing, .finished, .closed: return false
        }
    }

    private var ending: Ending? {
        switch self {
        case .draining(let ending, _): return ending
        case .finished(let ending): return ending
        default: return nil
        }
    }

    /// The first error, once there is one.
    var error: RedcolError? { ending?.error }

    /// Whether the caller has stopped the write before it ended.
    var isStopped: Bool {
        if case .stopped = ending { return true }
        return false
    }

    // MARK: Events

    /// The connection is ready. `probes`: how many answers tell whether transactions are allowed.
    mutating func connected(probes: Int) {
        guard case .connecting = self else { return }
        self = probes > 0 ? .probing(answersLeft: probes) : .writing
    }

    /// A probe was answered. `refusal`: with this error, which will come again.
    mutating func probeAnswered(_ refusal: RedcolError?) {
        switch self {
        case .probing(let count):
            self = count > 1 ? .probing(answersLeft: count - 1) : .writing
        case .draining(let ending, let count) where count > 0:
            self = .draining(ending, probesLeft: count - 1)
        default: return
        }
        if let refusal { fail(refusal) }
    }

    /// The frame has no more rows.
    mutating func frameEnded() {
        if case .writing = self { self = .confirming }
    }

    /// No more rows are sent. The first error is kept.
    mutating func fail(_ error: RedcolError) {
        switch self {
        case .connecting, .probing, .writing, .confirming:
            self = .draining(.failed(error), probesLeft: probesLeft)
        case .draining(.stopped(nil), let probes):
            self = .draining(.stopped(error), probesLeft: probes)
        case .draining, .finished, .closed: return
        }
    }

    /// The caller wants no more rows to be sent.
    mutating func stop() {
        switch self {
        case .connecting: self = .finished(.stopped(nil))
        case .probing, .writing, .confirming:
            self = .draining(.stopped(nil), probesLeft: probesLeft)
        case .draining(let ending, let probes):
            self = .draining(.stopped(ending.error), probesLeft: probes)
        case .finished, .closed: return
        }
    }

    /// The connection is gone, and rows may be sent again on another one.
    mutating func tryAgain(notBefore: Int64) {
        if mayTryAgain { self = .connecting(notBefore: notBefore) }
    }

    /// Nothing is under way. True if the write is over; `progress` then completes its error.
    mutating func allAnswered(_ progress: Progress) -> Bool {
        switch self {
        case .confirming: self = .finished(nil)
        case .draining(let ending, let probesLeft):
            guard probesLeft == 0 else { return false }
            finish(ending, progress)
        case .connecting, .probing, .writing, .finished, .closed: break
        }
        return isOver
    }

    /// The connection is gone for good, after `fail`.
    mutating func connectionGone(_ progress: Progress) {
        if case .draining(let ending, _) = self { finish(ending, progress) }
    }

    private mutating func finish(_ ending: Ending, _ progress: Progress) {
        switch ending {
        case .failed(let error): self = .finished(.failed(progress.completing(error)))
        case .stopped(let error): self = .finished(.stopped(error.map(progress.completing)))
        }
    }

    /// The caller closes the connection.
    mutating func close() { self = .closed }
}
