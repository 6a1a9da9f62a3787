// SPDX-License-Identifier: Apache-2.0
// The handles of reads and writes: one call at a time, and how they are closed, also after a call
// that will never end.

import ArrowColumns
import CPlatform
import FrameWriting
import RedcolBase
import RedisTopology
import StreamReading

/// What serves one call at a time: a second one is refused, and does not wait.
final class Turn {
    private let turn: OpaquePointer
    private let name: StaticString

    /// `name`: what messages call it.
    static func make(_ name: StaticString) throws(RedcolError) -> Turn {
        guard let turn = platform_turn_new() else {
            throw RedcolError(.memory, "no memory for one more \(name)")
        }
        return Turn(name, turn)
    }

    private init(_ name: StaticString, _ turn: OpaquePointer) {
        self.turn = turn
        self.name = name
    }

    deinit { platform_turn_free(turn) }

    /// Whether a call was left that will never end, by pthread_cancel or longjmp.
    private(set) var wasAbandoned = false

    /// Ends the call that was left, if there is one. Returns whether there was.
    func endAbandoned() -> Bool {
        guard platform_turn_is_left(turn) else { return false }
        wasAbandoned = true
        platform_turn_end(turn)
        return true
    }

    /// Runs `body` unless another thread is inside one already.
    func exclusively<Result>(
        _ body: () throws(RedcolError) -> Result
    ) throws(RedcolError) -> Result {
        try begin()
        defer { platform_turn_end(turn) }
        return try body()
    }

    private func begin() throws(RedcolError) {
        guard platform_turn_begin(turn) else {
            throw RedcolError(
                .busy,
                "another call is under way on this \(name), of another thread or task; one at a "
                    + "time")
        }
    }
}

/// A read or a write that uses connections of a client.
class WorkHandle: Handle {
    /// Also for acknowledging, which needs a connection of its own; freed with the last of its
    /// holders.
    final let client: ClientHandle
    fileprivate final let turn: Turn

    final var topology: Topology { client.topology }

    init(_ kind: Kind, _ client: ClientHandle, _ turn: Turn) {
        self.client = client
        self.turn = turn
        super.init(kind)
    }

    /// Ends a wait on another thread.
    func cancel() {}

    /// Closes it while no call uses it.
    func closeUnused() {}

    /// Closes it after a call that will never end has used it.
    func closeAbandoned() {}

    /// Frees what is large, though a call that will never end still has it.
    func discard() {}

    /// Closes it. If another thread is inside a call, that call is cancelled, and the caller must
    /// close again.
    final func close() throws(RedcolError) {
        do throws(RedcolError) {
            try turn.exclusively { closeUnused() }
        } catch {
            if endAbandoned() { return }
            cancel()
            throw error
        }
    }

    private final func endAbandoned() -> Bool {
        guard turn.endAbandoned() else { return false }
        closeAbandoned()
        return true
    }

    override final func discardAbandoned() -> Bool {
        guard endAbandoned() || turn.wasAbandoned else { return false }
        discard()
        // The call that was left holds this object forever, but the client can go.
        Unmanaged.passUnretained(client).release()
        return true
    }
}

/// redcol_iter
final class IterHandle: WorkHandle {
    let reader: Reader
    /// Tells it apart from the client's other iterators, also from those that are gone.
    private let number: Int
    /// What redcol_iter_collect has read so far; touched inside `exclusively` only.
    var collected = TableBuilder()

    static func make(
        _ reader: Reader, _ client: ClientHandle
    ) throws(RedcolError) -> IterHandle {
        IterHandle(reader, client, try Turn.make("iterator"))
    }

    private init(_ reader: Reader, _ client: ClientHandle, _ turn: Turn) {
        self.reader = reader
        number = client.nextNumber()
        super.init(.iter, client, turn)
    }

    /// Runs `body` unless another thread is inside one already.
    func exclusively<Result>(
        _ body: (Reader) throws(RedcolError) -> Result
    ) throws(RedcolError) -> Result {
        try turn.exclusively { () throws(RedcolError) in try body(reader) }
    }

    /// The group that this iterator reads as a member of, and its streams.
    func membership() throws(RedcolError) -> (group: [UInt8], streams: [[UInt8]]) {
        guard let membership = reader.membership else {
            throw RedcolError(
                .invalidArgument,
                "this iterator reads without a group, where nothing is acknowledged: give group "
                    + "and consumer to read as a group's member")
        }
        return membership
    }

    /// Acknowledges these entries, and what was left out of their batches. How many were pending is
    /// added to `total`, also with an error.
    func acknowledge(_ named: Acknowledgement, _ total: inout Int64) throws(RedcolError) {
        try reader.requireMemory(acknowledging: named.ids.count)
        var acknowledgement = named
        acknowledgement.others = reader.leftOut(with: named.ids, of: named.stream)
        try run(acknowledgement, everythingOf: nil, &total)
    }

    private func run(
        _ acknowledgement: Acknowledgement, everythingOf iter: Int?, _ total: inout Int64
    ) throws(RedcolError) {
        let done: Acknowledgement
        var acknowledgement = acknowledgement
        acknowledgement.then = reader.afterAcknowledging
        do throws(RedcolError) {
            done = try client.acknowledge(acknowledgement, everythingOf: iter, &total)
        } catch {
            guard reader.acknowledgesNothing(after: error) else { throw error }
            return reader.released(acknowledgement.parts, acknowledged: 0)
        }
        reader.released(done.parts, acknowledged: done.acknowledged)
    }

    /// Acknowledges all that was handed over; first what a signal has interrupted, since more may
    /// have been handed over meanwhile.
    func acknowledgeEverything(_ group: [UInt8], _ total: inout Int64) throws(RedcolError) {
        while let unfinished = client.unfinishedAcknowledgement(ofEverythingOf: number) {
            try run(unfinished, everythingOf: number, &total)
        }
        try reader.requireMemory(acknowledging: 0)
        for (stream, ids) in reader.handedOver() {
            try run(
                Acknowledgement(stream: stream, group: group, ids: ids), everythingOf: number,
                &total)
        }
    }

    override func cancel() { reader.cancel() }
    override func closeUnused() { reader.close() }
    override func closeAbandoned() { reader.closeAbandoned() }

    override func discard() {
        reader.discard()
        collected = TableBuilder()
    }
}

/// redcol_writer
final class WriterHandle: WorkHandle {
    let writer: FrameWriter

    static func make(
        _ writer: FrameWriter, _ client: ClientHandle
    ) throws(RedcolError) -> WriterHandle {
        WriterHandle(writer, client, try Turn.make("writer"))
    }

    private init(_ writer: FrameWriter, _ client: ClientHandle, _ turn: Turn) {
        self.writer = writer
        super.init(.writer, client, turn)
    }

    /// Runs `body` unless another thread is inside one already.
    func exclusively<Result>(
        _ body: (FrameWriter) throws(RedcolError) -> Result
    ) throws(RedcolError) -> Result {
        try turn.exclusively { () throws(RedcolError) in try body(writer) }
    }

    override func cancel() { writer.cancel() }
    override func closeUnused() { writer.close() }
    override func closeAbandoned() { writer.close() }
    override func discard() { writer.discard() }
}
