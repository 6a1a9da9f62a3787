// SPDX-License-Identifier: Apache-2.0
// Listens to channels (SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE): each message is a row. What comes while
// there is no connection is lost, since the server keeps nothing; those times are counted.
// https://redis.io/docs/latest/develop/pubsub/

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// What a subscription is made from.
public struct Channels: Equatable {
    /// The names of channels, and patterns of such names.
    public var names: [[UInt8]]
    public var patterns: [[UInt8]]

    public init(names: [[UInt8]], patterns: [[UInt8]]) {
        self.names = names
        self.patterns = patterns
    }

    /// What the commands take, at most.
    fileprivate var commandBytes: Int {
        var total = 0
        for name in names { total = min(total + name.count, .max / 8) }
        for pattern in patterns { total = min(total + pattern.count, .max / 8) }
        return 2 * total + 512 * (names.count + patterns.count)
    }

    /// One command for each of them: each has an answer of its own.
    fileprivate func commands(isSharded: Bool) -> [Command] {
        var commands: [Command] = []
        commands.reserveCapacity(names.count + patterns.count)
        for name in names {
            var command = Command(isSharded ? "SSUBSCRIBE" : "SUBSCRIBE")
            command.add(name)
            commands.append(command)
        }
        for pattern in patterns {
            var command = Command("PSUBSCRIBE")
            command.add(pattern)
            commands.append(command)
        }
        return commands
    }
}

/// A subscription: does what `MessagePlan` says.
final class MessageReader: StreamReader {
    private let channels: Channels
    private let isSharded: Bool
    private let names: MessageColumns
    private var plan: MessagePlan
    private var messages: MessageParser

    static func make(
        topology: Topology, channels: Channels, schema: [RequestedColumn]?,
        options pairs: [(key: String, value: String)]
    ) throws(RedcolError) -> MessageReader {
        let options = try MessageOptions(pairs)
        let columns = try MessageColumns(options, schema: schema)
        try Memory.require(3 * channels.commandBytes, for: "the channels")
        let all = channels.names + channels.patterns
        if all.isEmpty {
            throw RedcolError(
                .invalidArgument, "no channel was named: give channels, patterns or both")
        }
        guard Set(channels.names).count == channels.names.count,
            Set(channels.patterns).count == channels.patterns.count
        else {
            throw RedcolError(
                .invalidArgument, "a channel or a pattern was named twice: name each of them once")
        }
        if options.isSharded { try requireOneSlot(channels) }
        var parser = try MessageParser(columns, options)
        do throws(RedcolError) {
            let parts = try ReaderParts(
                topology: topology, channels: all, key: options.isSharded ? all[0] : nil,
                columns: columns.columns, options: options.read)
            return MessageReader(parts, channels, options, columns, parser)
        } catch {
            parser.free()
            throw error
        }
    }

    private static func requireOneSlot(_ channels: Channels) throws(RedcolError) {
        guard channels.patterns.isEmpty else {
            throw RedcolError(
                .invalidArgument,
                "sharded channels have no patterns: name the channels, or leave out sharded")
        }
        let slots = Set(channels.names.map { Topology.slot(of: $0) })
        guard slots.count == 1 else {
            throw RedcolError(
                .invalidArgument,
                "the sharded channels are in \(slots.count) slots, and one subscription is in one "
                    + "slot: give them the same {tag}, or subscribe to each by itself")
        }
    }

    private init(
        _ parts: ReaderParts, _ channels: Channels, _ options: MessageOptions,
        _ columns: MessageColumns, _ parser: MessageParser
    ) {
        self.channels = channels
        isSharded = options.isSharded
        names = columns
        messages = parser
        plan = MessagePlan(
            channels: parts.streams.count, options: options,
            silenceMs: parts.topology.timeouts.silenceMs)
        super.init(parts)
        if plan.remaining == 0 { isDone = true }
    }

    deinit { messages.free() }

    override public func discard() {
        super.discard()
        messages.free()
    }

    /// Connects and names the channels. What is published after that comes.
    override func begin() throws(RedcolError) {
        if isDone || plan.isSubscribed { return }
        try askNow(
            channels.commands(isSharded: isSharded), askMore: noteAsked,
            take: { (_: Int) throws(RedcolError) in try confirmNext() })
    }

    private func noteAsked() {
        connection.hearsMessages = true
        messages.received(at: platform_wall_clock_us())
        plan.asked()
    }

    /// Whether one more channel is confirmed, or the first batch is full before that.
    private func confirmNext() throws(RedcolError) -> Bool {
        while true {
            switch try take() {
            case .confirmed, .batchFull: return true
            case .needsMore: guard try receive() else { return false }
            case .passedOver: continue
            }
        }
    }

    // MARK: What the reader is asked

    /// A connection that listens is of no use for anything else.
    override var awaitsReply: Bool { true }
    override var givesEmptyBatch: Bool { false }
    override var streamInHand: [UInt8]? { nil }
    override var endsAt: Int64? { plan.endsAt }
    override var wakeAt: Int64? { plan.wakeAt(rows: parser.pointee.batch.rowCount) }
    override func nextIsAsked() { plan.isAsked(platform_monotonic_ms()) }

    override func willHandOver(rows: Int) {
        plan.handedOver(rows: rows, platform_monotonic_ms())
        statistics.add(.nulled, messages.takeNulled())
    }

    override func couldNotHandOver(rows: Int) {
        super.couldNotHandOver(rows: rows)
        plan.handedOver(rows: rows, platform_monotonic_ms())
    }

    override func connectionLost() {
        guard plan.connectionLost(platform_monotonic_ms()) else { return }
        statistics.add(.gaps, 1)
        Log.write(.warning, .gap, about: shownChannels) {
            "the subscription to \(shownChannels) was lost, and what is published until it is "
                + "there again"
        }
    }

    private var shownChannels: String {
        let first = "\"\(escaped(streams.first ?? [], limit: 200))\""
        return streams.count > 1 ? "\(first) and \(streams.count - 1) other channels" : first
    }

    // MARK: The exchange

    private enum Taken {
        case needsMore, batchFull, confirmed
        /// Something that is no row.
        case passedOver
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            if plan.remaining == 0 {
                isDone = true
                return true
            }
            if heldError != nil { return true }
            switch try take() {
            case .batchFull:
                if parser.pointee.batch.rowCount >= plan.remaining { isDone = true }
                return true
            case .confirmed, .passedOver: continue
            case .needsMore: if try receive() { continue }
            }
            switch plan.next(platform_monotonic_ms(), rows: parser.pointee.batch.rowCount) {
            case .subscribe:
                try Memory.require(channels.commandBytes, for: "subscribing again")
                for command in channels.commands(isSharded: isSharded) {
                    connection.enqueue(command)
                }
                noteAsked()
                try connection.flush()
            case .ping:
                connection.enqueue(Command("PING"))
                plan.pinged()
                try connection.flush()
            case .handOver: return true
            case .end:
                isDone = true
                return true
            case .wait: return false
            }
        }
    }

    private func receive() throws(RedcolError) -> Bool {
        guard connection.isReady, try connection.receive() else { return false }
        messages.received(at: platform_wall_clock_us())
        plan.heard(platform_monotonic_ms())
        return true
    }

    /// Takes the messages that have come, up to something else.
    private func take() throws(RedcolError) -> Taken {
        let bytes = connection.incoming.waiting
        let before = parser.pointee.batch.rowCount
        let rowsMax = plan.rowsMax
        let (used, outcome) = parser.pointee.withBatch {
            messages.parse(bytes, rowsMax: rowsMax, &$0)
        }
        connection.consume(used)
        let rows = parser.pointee.batch.rowCount - before
        if rows > 0 {
            statistics.add(.rowsRead, rows)
            plan.gotMessages(platform_monotonic_ms())
            noteProgress()
        }
        switch outcome {
        case .needsMore: return .needsMore
        case .batchFull: return .batchFull
        case .confirmed:
            try connection.answered()
            // No progress yet: a server that confirms and goes is not asked again at once.
            if let gapMs = plan.confirmed(platform_monotonic_ms()) { noteGap(gapMs) }
            return .confirmed
        case .pong:
            try connection.answered()
            plan.ponged()
            noteProgress()
            return .passedOver
        case .unsubscribed:
            throw RedcolError(
                .connection,
                "\(connection.endpoint.shown) has ended the subscription to \(shownChannels)")
        case .serverError: return try takeError() ? .passedOver : .needsMore
        case .refused(let refusal):
            noteProgress()
            try refuse(refusal)
            return .passedOver
        case .tooLarge(let count):
            throw RedcolError(
                .tooLarge,
                "a message of \(count) bytes, more than message_bytes_max allows: the subscription "
                    + "begins again without it")
        case .noMemory: throw RedcolError(.memory, "no memory for another message")
        case .malformed:
            let text = UnsafeBufferPointer(rebasing: connection.incoming.waiting.prefix(41))
            throw connection.violation(
                "\"\(connection.endpoint.secrets.shown(text, limit: 40))\" where messages were "
                    + "expected")
        }
    }

    /// Takes an error answer; false when it has not come in full.
    private func takeError() throws(RedcolError) -> Bool {
        guard let reply = try connection.nextReply() else { return false }
        guard case .error(let text) = reply else {
            throw connection.violation("an answer that is not an error")
        }
        if plan.awaitsPong, !plan.awaitsConfirmation {
            plan.ponged()
            noteProgress()
            return true
        }
        throw .server(
            text, endpoint: connection.endpoint,
            asked: isSharded
                ? "SSUBSCRIBE" : channels.names.isEmpty ? "PSUBSCRIBE" : "SUBSCRIBE")
    }

    private func noteGap(_ gapMs: Int64) {
        statistics.add(.gapMs, Int(clamping: gapMs))
        let message =
            "there was no subscription to \(shownChannels) for \(gapMs) ms: what was published in "
            + "that time is lost"
        Log.write(.warning, .gap, about: shownChannels + " again") { message }
        if options.raisesGaps, heldError == nil { heldError = RedcolError(.gap, message) }
    }

    private func refuse(_ refusal: MessageParser.Refusal) throws(RedcolError) {
        let secrets = connection.endpoint.secrets
        let channel = secrets.shown(refusal.channel, limit: 200, keeping: .names)
        var what = "it is not a JSON object"
        var wayOut = "leave the schema out to read raw messages"
        var details: [(RedcolError.Detail, String)] = [(.stream, channel)]
        if refusal.column >= 0, refusal.column < columns.count {
            let column = columns[refusal.column]
            let name = secrets.shown(column.name, limit: 200, keeping: .names)
            what =
                "column \"\(name)\": "
                + parser.pointee.reason(refusal.text, refusal.nested, column, isField: false)
            wayOut = "give the column another type"
            details.append((.field, name))
            details.append((.dtype, String(decoding: column.type.format, as: UTF8.self)))
        }
        if options.onError == .skip {
            statistics.add(.skipped, 1)
            leftOut += 1
            leftOutSaid = statistics.value(.skipped)
            Log.write(.warning, .value, about: shownChannels) {
                "left out \(statistics.value(.skipped)) messages so far, the last of them of "
                    + "channel \"\(channel)\""
            }
            return
        }
        details.append(
            (.value, secrets.shown(refusal.text, limit: 80, mayGoOn: refusal.text.count > 80)))
        heldError = RedcolError(
            .value,
            "a message of channel \"\(channel)\": \(what); \(wayOut), or "
                + "on_error=\"null\" to read such values as null, or \"skip\" to leave such "
                + "messages out", details: details)
    }
}

/// Makes a reader of what is published to channels.
public func makeReader(
    topology: Topology, channels: Channels, schema: [RequestedColumn]?,
    options: [(key: String, value: String)]
) throws(RedcolError) -> Reader {
    try MessageReader.make(
        topology: topology, channels: channels, schema: schema, options: options)
}
