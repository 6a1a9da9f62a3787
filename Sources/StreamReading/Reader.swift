// SPDX-License-Identifier: Apache-2.0
// A read as its caller sees it, whether one connection serves it or several.

import ArrowColumns
import CArrowData
import CPlatform
import RedcolBase

/// What a call for the next batch has brought.
public enum ReadOutcome: Sendable {
    case batch, end, timeout
}

/// A read in progress: a `StreamReader`, or a `FanIn` of several. One thread at a time, but for
/// `cancel()` and what says so.
public class Reader {
    final let streams: [[UInt8]]
    final let options: ReadOptions
    public final let statistics: Statistics

    init(_ streams: [[UInt8]], _ options: ReadOptions, _ statistics: Statistics) {
        self.streams = streams
        self.options = options
        self.statistics = statistics
    }

    /// The columns of every batch of one without members; nil if more of them may be found.
    var ownFixedColumns: [RequestedColumn]? { nil }

    /// Those that do the reading; none where nothing is connected. Any thread.
    var members: [StreamReader] { [] }

    // MARK: Any thread

    /// Ends a wait on another thread.
    public func cancel() {}

    /// A file descriptor that is readable when `next` has something to do.
    public var pollDescriptor: Int32 { -1 }

    /// Whether it has its connections, logged in, as far as it has looked.
    public final var isConnected: Bool { members.allSatisfy { $0.state.isConnected } }

    /// Why a connection was lost, or a server refused; nil if it was not, or is there again.
    public final var lastError: RedcolError? {
        for member in members {
            if let error = member.state.lastError { return error }
        }
        return nil
    }

    // MARK: Batches

    /// Connects now, for as long as it takes, unless that was to come later. A signal ends it as an
    /// error of the cause `interrupted`.
    public func connectNow() throws(RedcolError) {}

    /// Connects and does all that comes before the first batch, as far as that takes up to `waitMs`
    /// (-1: as long as it takes); true when it is done, now or before.
    public func connect(waitMs: Int64) throws(RedcolError) -> Bool { true }

    /// Waits up to `waitMs` (-1: as long as it takes) for the next batch, and moves it out, with
    /// texts in the layouts that were asked for or `asViews`.
    public func next(
        waitMs: Int64, array: UnsafeMutablePointer<ArrowArray>,
        schema: UnsafeMutablePointer<ArrowSchema>?, asViews: Bool = false
    ) throws(RedcolError) -> ReadOutcome { .end }

    /// Takes the last batch back, of which the caller could make nothing: it comes again. Only
    /// before the next batch is asked for.
    public func unread() throws(RedcolError) {}

    /// The columns as they were asked for or found so far.
    public var columns: [RequestedColumn] { [] }

    /// Closes the connections. Later calls of `next` are errors. They are not given back: a
    /// `cancel()` that comes late must not reach another reader.
    public func close() {}

    /// Closes it after a call that will never end has used it, in whatever state that left it.
    public func closeAbandoned() {}

    /// Frees what it holds, though a call that will never end still has it. After `closeAbandoned`.
    public func discard() {}

    /// When a call ends that waits for up to `waitMs`; nil for never.
    final func end(of waitMs: Int64) -> Int64? {
        let (sum, overflow) = platform_monotonic_ms().addingReportingOverflow(waitMs)
        return waitMs < 0 || overflow ? nil : sum
    }

    final var closed: RedcolError {
        RedcolError(.closed, "this read was closed: start another one")
    }
}
