// SPDX-License-Identifier: Apache-2.0
// A frame on its way to where it is written, as its caller sees it: one server takes all rows, or
// each of several nodes its own.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import RedisTopology

/// A write in progress. One thread at a time, but for `cancel()` and `progress`.
public class FrameWriter {
    /// Bytes that are encoded, or sent, and not answered, of one connection.
    static let bytesUnderWayMax = 1 << 20
    /// Bytes and rows that are encoded before they are sent.
    static let chunkBytes = 1 << 16
    static let chunkRows = 16_384

    final let topology: Topology
    final let source: FrameSource
    final let owner: EncoderOwner
    final let encoder: UnsafeMutablePointer<RowEncoder>
    final let expected: ExpectedAnswers

    init(_ topology: Topology, _ source: FrameSource, _ owner: EncoderOwner) {
        self.topology = topology
        self.source = source
        self.owner = owner
        encoder = owner.encoder
        expected = owner.encoder.pointee.expectedAnswers
    }

    /// Rows as entries of streams. `stream` is taken over in every case.
    public static func make(
        topology: Topology, moving stream: UnsafeMutablePointer<ArrowArrayStream>,
        entries options: EntryOptions
    ) throws(RedcolError) -> FrameWriter {
        let source = try FrameSource.make(moving: stream)
        return try make(
            topology, source, try RowEncoder(source.schema, options), to: options.stream)
    }

    /// Rows as hashes. `stream` is taken over in every case.
    public static func make(
        topology: Topology, moving stream: UnsafeMutablePointer<ArrowArrayStream>,
        hashes options: HashOptions
    ) throws(RedcolError) -> FrameWriter {
        let source = try FrameSource.make(moving: stream)
        return try make(topology, source, try RowEncoder(source.schema, options), to: nil)
    }

    /// Rows as messages of channels. `stream` is taken over in every case.
    public static func make(
        topology: Topology, moving stream: UnsafeMutablePointer<ArrowArrayStream>,
        messages options: PublishOptions
    ) throws(RedcolError) -> FrameWriter {
        let source = try FrameSource.make(moving: stream)
        let encoder = try RowEncoder(source.schema, options)
        if options.isSharded { return try make(topology, source, encoder, to: options.channel) }
        // Whichever node is asked passes the message on to the others.
        let owner = try EncoderOwner.make(encoder)
        return ServerWriter(topology, try topology.take(for: nil, to: .writing), source, owner)
    }

    private static func make(
        _ topology: Topology, _ source: FrameSource, _ encoder: consuming RowEncoder,
        to key: [UInt8]?
    ) throws(RedcolError) -> FrameWriter {
        let owner = try EncoderOwner.make(encoder)
        if key == nil, topology.isCluster || !topology.isKnown {
            return try ClusterWriter.make(topology, source, owner)
        }
        return ServerWriter(topology, try topology.take(for: key, to: .writing), source, owner)
    }

    /// Rows, or keys, that the server has confirmed.
    public var written: Int { 0 }
    /// Rows that the server has refused.
    public var refused: Int { 0 }
    /// Rows that have no values.
    public var empty: Int { 0 }
    /// Leading rows whose outcome is known.
    public var known: Int { 0 }
    /// Rows after those, which were sent and have no answer: they may be written or not.
    public var unknown: Int { 0 }

    /// These numbers, but for `unknown`, for any thread: as of the last `noteProgress`.
    public final var progress: WriteProgress { owner.progress }

    final func noteProgress() {
        progress.set(.written, written)
        progress.set(.refused, refused)
        progress.set(.empty, empty)
        progress.set(.known, known)
    }

    /// Ends a wait on another thread.
    public func cancel() {}

    /// A file descriptor that is readable when `run` or `stop` has something to do.
    public var pollDescriptor: Int32 { -1 }

    /// Writes on for up to `waitMs` (-1: as long as it takes); true when all rows are written.
    public func run(waitMs: Int64) throws(RedcolError) -> Bool { true }

    /// Sends no more rows, and waits up to `waitMs` for the answers to those that were sent; true
    /// when all have come.
    public func stop(waitMs: Int64) throws(RedcolError) -> Bool { true }

    /// Moves the ids of the rows that are known into `array`; null where there is none.
    public final func takeIDs(
        array: UnsafeMutablePointer<ArrowArray>, schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedcolError) {
        guard encoder.pointee.writesEntries else {
            throw RedcolError(
                .invalidArgument, "only entries have ids: hashes and messages have none")
        }
        guard owner.takeIDs(array: array, schema: schema) else {
            throw RedcolError(.memory, "no memory for the ids" + told)
        }
    }

    /// How much was written, for people.
    var told: String { "" }

    /// Closes the connections, also after a call that will never end has used them, in whatever
    /// state that left them. Later calls of `run` are errors. They are not given back: a `cancel()`
    /// that comes late must not reach another writer or reader.
    public func close() {}

    /// Frees what it holds, though a call that will never end still has it. After `close`.
    public func discard() {
        source.finish()
        owner.discard()
    }

    // MARK: For both

    /// The error with the row that it is about, and the row's key.
    final func named(_ error: RedcolError, row: Int) -> RedcolError {
        // Of one stream the name is known even if the row cannot be read.
        var key = encoder.pointee.stream
        do throws(RedcolError) {
            if key == nil, let batch = try source.batch(holding: row) {
                key = encoder.pointee.keyText(row - batch.firstRow)
            }
        } catch {}
        return encoder.pointee.naming(row, key, in: error)
    }

    /// The error that a server has answered to a row.
    final func refusal(
        _ text: UnsafeBufferPointer<UInt8>, _ connection: Connection
    ) -> RedcolError {
        let line = Array(text)
        connection.redirected(line)
        return RedcolError.server(
            line, endpoint: connection.endpoint, asked: encoder.pointee.kind.asked,
            commands: encoder.pointee.commandNames)
    }
}
