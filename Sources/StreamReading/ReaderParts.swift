// SPDX-License-Identifier: Apache-2.0
// What a reader is made from: all that may fail comes before there is one.

import ArrowColumns
import RedcolBase
import RedisConnection
import RedisTopology

/// A row parser behind a pointer, where its fields are reached without the checks that a class's
/// have.
final class ParserOwner {
    let parser: UnsafeMutablePointer<RowParser>

    init(_ parser: RowParser) {
        self.parser = .allocate(capacity: 1)
        self.parser.initialize(to: parser)
    }

    /// Frees the parser's memory before this object goes.
    func discard() {
        if !isDiscarded { parser.pointee.free() }
        isDiscarded = true
    }
    private var isDiscarded = false

    deinit {
        discard()
        parser.deinitialize(count: 1)
        parser.deallocate()
    }
}

/// The parts of a reader.
struct ReaderParts {
    let topology: Topology
    let streams: [[UInt8]]
    let options: ReadOptions
    let parserOwner: ParserOwner
    let statistics: Statistics
    let state: ReadState
    let connection: Connection

    /// `statistics` nil: its own.
    init(
        topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions,
        statistics: Statistics? = nil
    ) throws(RedcolError) {
        self.topology = topology
        self.streams = streams
        self.options = options
        let columns = try ReadColumns(options, schema: schema)
        parserOwner = ParserOwner(
            try columns.makeParser(options, streams: streams, secrets: topology.secrets))
        if let statistics { self.statistics = statistics } else { self.statistics = try .make() }
        state = try ReadState.make(streams: streams.count)
        connection = try topology.take(
            // Ranges of many streams are read under one name, which is empty at first.
            for: streams.first.flatMap { $0.isEmpty ? nil : $0 },
            to: !options.group.isEmpty ? .writing : options.waits ? .following : .reading)
    }

    /// For messages, which have a parser of their own: this one has the columns. `key`: what the
    /// server must have; nil: any server will do.
    init(
        topology: Topology, channels: [[UInt8]], key: [UInt8]?, columns: [RequestedColumn],
        options: ReadOptions
    ) throws(RedcolError) {
        self.topology = topology
        streams = channels
        self.options = options
        parserOwner = ParserOwner(
            try RowParser(
                streams: [], columns: columns, idColumns: RowParser.IDColumns(), fields: [],
                reserved: [], unknown: .ignore(but: [:]), columnsMax: options.columnsMax,
                onRefused: options.onError.ofValue, secrets: topology.secrets))
        statistics = try .make()
        state = try ReadState.make(streams: channels.count)
        connection = try topology.take(for: key, to: .following)
    }
}
