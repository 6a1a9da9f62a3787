// SPDX-License-Identifier: Apache-2.0
// Which reader serves a read.

import ArrowColumns
import RedcolBase
import RedisTopology

/// Makes the reader that `options` ask for. In `begin`, one that waits or is a member of a group
/// connects, creates the group and resolves "$", so that nothing that is added afterwards can be
/// missed.
public func makeReader(
    topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions
) throws(RedcolError) -> Reader {
    if streams.isEmpty { throw RedcolError(.invalidArgument, "no stream was named") }
    if Set(streams).count != streams.count { throw namedTwice }
    if let option = options.manyStreamsOption {
        throw RedcolError(
            .invalidArgument,
            "\(option) is for reading ranges of many streams, and has no effect here: leave it out")
    }
    if !options.deadLetter.isEmpty, streams.contains(options.deadLetter) {
        throw RedcolError(
            .invalidArgument,
            "dead_letter is a stream that is read: its entries would come again as dead letters, "
                + "without end; name another one")
    }
    if options.waits || !options.group.isEmpty {
        if let file = topology.file, options.endsWithoutWaiting {
            return try FileReader.make(
                file, topology, .named(streams), isOfMany: streams.count > 1, schema: schema,
                options: options)
        }
        try topology.requireServer()
        if FanIn.isNeeded(topology, streams) {
            return try FanIn.make(
                topology: topology, streams: streams, schema: schema, options: options)
        }
        return try makeMember(
            topology: topology, streams: streams, schema: schema, options: options)
    }
    guard streams.count == 1 else {
        throw RedcolError(
            .invalidArgument,
            "several streams are read by following them, or as a group's member; ranges of several "
                + "streams have a function of their own")
    }
    if let file = topology.file {
        return try FileReader.make(
            file, topology, .named(streams), schema: schema, options: options)
    }
    if let newest = options.last {
        return try NewestReader.make(
            topology: topology, stream: streams[0], schema: schema, options: options,
            newest: newest)
    }
    if options.dumps {
        return try DumpReader.make(
            topology: topology, stream: streams[0], schema: schema, options: options)
    }
    return try RangeReader.make(
        topology: topology, stream: streams[0], schema: schema, options: options)
}

/// A reader of streams that one command can name: by following them, or as a group's member.
func makeMember(
    topology: Topology, streams: [[UInt8]], schema: [RequestedColumn]?, options: ReadOptions,
    statistics: Statistics? = nil
) throws(RedcolError) -> StreamReader {
    if options.group.isEmpty {
        return try TailReader.make(
            topology: topology, streams: streams, schema: schema, options: options,
            statistics: statistics)
    }
    return try GroupReader.make(
        topology: topology, streams: streams, schema: schema, options: options,
        statistics: statistics)
}

private var namedTwice: RedcolError {
    RedcolError(.invalidArgument, "a stream was named twice: name each of them once")
}

/// Makes a reader of the same range of many streams.
public func makeReader(
    topology: Topology, rangesOf streams: ChosenStreams, schema: [RequestedColumn]?,
    options: ReadOptions
) throws(RedcolError) -> Reader {
    if options.waits || !options.group.isEmpty {
        throw RedcolError(
            .invalidArgument,
            "ranges of many streams are read without waiting and without a group; to follow "
                + "several streams, or to read them as a group's member, name them")
    }
    if options.last != nil {
        throw RedcolError(
            .invalidArgument, "last is for reading one stream: leave it out, or read one stream")
    }
    if options.dumps {
        throw RedcolError(
            .invalidArgument,
            "transfer \"dump\" is for reading one stream: leave it out, or read one stream")
    }
    if case .named(let names) = streams, Set(names).count != names.count { throw namedTwice }
    if let file = topology.file {
        return try FileReader.make(
            file, topology, streams, isOfMany: true, schema: schema, options: options)
    }
    return try ManyRangesReader.make(
        topology: topology, streams: streams, schema: schema, options: options)
}

/// Makes a reader that claims entries of a group for a consumer.
public func makeReader(
    topology: Topology, claiming entries: ClaimedEntries, of stream: [UInt8],
    schema: [RequestedColumn]?, options: ReadOptions
) throws(RedcolError) -> Reader {
    let isPlain =
        !options.waits && !options.autoAck && options.afterAcknowledging == .keep
        && options.heartbeatMs == nil
        && options.createGroup && options.groupStartID == "0"
        && options.deadLetter.isEmpty && options.manyStreamsOption == nil
        && !options.raisesMissingStreams
    guard !options.group.isEmpty, isPlain else {
        throw RedcolError(
            .invalidArgument,
            "claiming needs group and consumer, and takes no options about waiting, acknowledging, "
                + "creating the group, dead letters, several streams or missing ones")
    }
    if entries == .idle, options.claimIdleMs == nil {
        throw RedcolError(
            .invalidArgument, "give the ids of the entries, or claim_idle_ms, or both")
    }
    return try ClaimReader.make(
        topology: topology, stream: stream, entries: entries, schema: schema, options: options)
}

extension Reader {
    /// Throws if there is no memory to acknowledge so many entries, or all that are in hand.
    public func requireMemory(acknowledging ids: Int) throws(RedcolError) {
        for member in members {
            try Memory.require(
                member.pendingEntries?.memory(for: ids) ?? 0, for: "acknowledging entries")
        }
    }

    /// What was handed over as a group's member and not acknowledged, stream by stream. Any thread.
    public func handedOver() -> [Acknowledgement.Part] {
        members.flatMap { $0.parts($0.pendingEntries?.handedOver() ?? []) }
    }

    /// What is acknowledged with these entries, since it gave no row in their batches. Any thread.
    public func leftOut(with ids: [EntryID], of stream: [UInt8]) -> [Acknowledgement.Part] {
        members.flatMap { $0.leftOutByMember(with: ids, of: stream) }
    }

    /// These entries are no longer in hand; `acknowledged` of them were pending. Any thread.
    public func released(_ parts: [Acknowledgement.Part], acknowledged: Int64) {
        for member in members {
            member.pendingEntries?.acknowledged(
                parts.flatMap { member.rows($0.ids, of: $0.stream) ?? [] })
        }
        if !options.group.isEmpty { statistics.add(.acknowledged, Int(clamping: acknowledged)) }
    }

    /// Whether nothing is left to acknowledge, since the group is gone and is created again without
    /// it. The reader's own acknowledgements treat this error in the same way. Any thread.
    public func acknowledgesNothing(after error: RedcolError) -> Bool {
        guard error.cause == .noGroup, options.createGroup else { return false }
        let member = GroupMember(
            streams: streams, group: options.group, consumer: options.consumer
        )
        .shown
        Log.write(.warning, .group, about: member) {
            "nothing was acknowledged: \(member) is gone, and is created again with the next read"
        }
        return true
    }

    /// Lets the reader itself acknowledge these entries, with its next requests; nil: all that were
    /// handed over. Any thread.
    public func acknowledgeLater(
        _ entries: (stream: [UInt8], ids: [EntryID])?
    ) throws(RedcolError) {
        if options.group.isEmpty { return }
        try requireMemory(acknowledging: entries?.ids.count ?? 0)
        if let stream = entries?.stream { try requireStream(stream) }
        for member in members {
            guard let pending = member.pendingEntries else { continue }
            var named: [RowID]?
            if let (stream, ids) = entries {
                named = member.rows(ids, of: stream)
                if named == nil { continue }
            }
            let isQueued = named.map { pending.queue($0) } ?? pending.queueHeld()
            guard isQueued else {
                throw RedcolError(
                    .closed,
                    "this read was closed and sends nothing more: acknowledge without it")
            }
        }
    }

    /// Entries that the reader itself acknowledges and that have no answer yet. Any thread.
    public var acknowledging: Int {
        members.reduce(0) { $0 + ($1.pendingEntries?.unansweredCount ?? 0) }
    }

    /// The columns of every batch; nil if more of them may be found.
    public var fixedColumns: [RequestedColumn]? {
        members.first?.parser.pointee.fixedColumns ?? ownFixedColumns
    }

    /// Whether it comes to an end by itself.
    public var hasEnd: Bool {
        !options.follows || options.count != nil || options.endID != "+" || options.onIdle == .stop
            || options.endsNow || options.windowMs != nil
    }

    /// Whether asking for a batch acknowledges the one before.
    public var acknowledgesByItself: Bool { options.autoAck }

    /// What happens to its entries when they are acknowledged.
    public var afterAcknowledging: AfterAcknowledging { options.afterAcknowledging }

    /// Whether what it returns could be read again, so that it may be kept.
    public var isRepeatable: Bool { !options.follows && membership == nil }

    /// The group that is read as a member of, and its streams; nil without a group.
    public var membership: (group: [UInt8], streams: [[UInt8]])? {
        options.group.isEmpty ? nil : (options.group, streams)
    }
}

extension StreamReader {
    /// See `leftOut`.
    fileprivate func leftOutByMember(
        with ids: [EntryID], of stream: [UInt8]
    ) -> [Acknowledgement.Part] {
        guard let pendingEntries, let rows = rows(ids, of: stream) else { return [] }
        return parts(pendingEntries.rowless(with: rows))
    }

    /// Nil if it does not read this stream.
    fileprivate func rows(_ ids: [EntryID], of stream: [UInt8]) -> [RowID]? {
        streams.firstIndex(of: stream).map { index in
            ids.map { RowID(id: $0, stream: Int32(truncatingIfNeeded: index)) }
        }
    }

    fileprivate func parts(_ rows: [RowID]) -> [Acknowledgement.Part] {
        var ids: [[EntryID]] = Array(repeating: [], count: rows.isEmpty ? 0 : streams.count)
        for row in rows { ids[Int(row.stream)].append(row.id) }
        var parts: [Acknowledgement.Part] = []
        for (place, ids) in ids.enumerated() where !ids.isEmpty {
            parts.append((stream: streams[place], ids: ids))
        }
        return parts
    }
}
