// SPDX-License-Identifier: Apache-2.0
// Messages of channels, parsed where they were received and committed to a batch row by row. One
// that is cut short is parsed again. Nothing is allocated per message.
// https://redis.io/docs/latest/develop/pubsub/#format-of-pushed-messages

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection

/// Parses what a server sends to a subscriber. Plain memory, freed by `free()`.
struct MessageParser {
    enum Outcome {
        case needsMore, batchFull
        /// A channel is listened to from here on.
        case confirmed
        /// The server has ended a subscription.
        case unsubscribed
        case pong
        /// An error answer comes next.
        case serverError
        /// A message that does not fit: it was passed over.
        case refused(Refusal)
        case tooLarge(Int)
        case noMemory
        case malformed
    }

    /// What a message that became no row was.
    struct Refusal {
        let channel: [UInt8]
        /// -1: it is not a JSON object.
        let column: Int
        /// Cut at 81 bytes.
        let text: [UInt8]
        let nested: NestedRefusal?
    }

    private let columns: MessageColumns
    private let onError: RefusalPolicy
    private let bytesMax: Int
    private var json: JSONRow?
    /// When the bytes came that are parsed now, in the unit of the column, and as text with zeros
    /// after it.
    private var moment: UInt64 = 0
    private var momentText = InlineArray<64, UInt8>(repeating: 0)
    private var momentCount = 0
    private let momentKind: ColumnType.Kind
    private let momentUnit: ColumnType.Unit
    /// Messages that were not JSON objects and became nulls.
    private var nulled = 0

    init(_ columns: MessageColumns, _ options: MessageOptions) throws(RedcolError) {
        self.columns = columns
        onError = options.read.onError
        bytesMax = options.messageBytesMax
        momentKind = options.timestampType.kind
        momentUnit = options.timestampType.unit
        guard columns.format == .json else { return }
        json = JSONRow(
            Array(columns.columns[columns.message...]), firstColumn: columns.message)
        if json == nil { throw RedcolError(.memory, "no memory for the names of the columns") }
    }

    mutating func free() { json?.free() }

    /// What is parsed from now on came at this time, in microseconds since 1970.
    mutating func received(at microseconds: Int64) {
        if columns.timestamp < 0 { return }
        let time = UInt64(max(0, microseconds))
        switch momentUnit {
        case _ where momentKind == .float64: break
        case .second: moment = time / 1_000_000
        case .millisecond: moment = time / 1_000
        case .microsecond: moment = time
        case .nanosecond: moment = time &* 1_000
        }
        // Seconds, a point and six digits. 24 bytes are written at once.
        let (seconds, part) = (time / 1_000_000, time % 1_000_000)
        let isFloat = momentKind == .float64
        let value = isFloat ? seconds : moment
        var span = momentText.mutableSpan
        momentCount = span.withUnsafeMutableBufferPointer { text in
            guard let start = text.baseAddress else { return 0 }
            memset(start, 0, text.count)
            var count = 0
            count = writeDecimal(value, to: start)
            guard isFloat else { return count }
            // A digit before them keeps their zeros.
            _ = writeDecimal(1_000_000 + part, to: start + count)
            start[count] = UInt8(ascii: ".")
            return count + 7
        }
    }

    /// How many messages became nulls as a whole. Counting starts again from here.
    mutating func takeNulled() -> Int {
        defer { nulled = 0 }
        return nulled
    }

    /// Parses as much of `bytes` as it can, up to `rowsMax` rows in the batch or up to what is not
    /// a message, and says how many bytes were used. `bytes` must have `ReceiveBuffer.slack` zero
    /// bytes after its end.
    mutating func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, rowsMax: Int, _ batch: inout BatchBuilder
    ) -> (used: Int, outcome: Outcome) {
        guard let start = bytes.baseAddress else {
            return (0, batch.rowCount >= rowsMax ? .batchFull : .needsMore)
        }
        let end = start + bytes.count
        var position = start
        while true {
            if batch.rowCount >= rowsMax { return (position - start, .batchFull) }
            if let outcome = parseOne(&position, end, &batch) {
                return (position - start, outcome)
            }
        }
    }

    /// Parses one message; nil if it became a row. `position` moves past what is done with.
    @inline(__always)
    private mutating func parseOne(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        _ batch: inout BatchBuilder
    ) -> Outcome? {
        guard position < end else { return .needsMore }
        if position[0] == UInt8(ascii: "-") { return .serverError }
        // "+PONG", where nothing is subscribed yet.
        var at = position
        let elements = readLength(&at, end, UInt8(ascii: "*"))
        if elements < 0 { return fault(elements) }
        let kind = readText(&at, end, most: 16)
        guard let kindStart = kind.start else { return kind.outcome }
        guard elements == 3 || elements == 4 else {
            guard elements == 2, isWord(kindStart, kind.count, "pong") else { return .malformed }
            let text = readText(&at, end, most: ProtocolLimits.lineBytes)
            guard text.start != nil else { return text.outcome }
            position = at
            return .pong
        }
        let isPattern = elements == 4
        guard isMessage(kindStart, kind.count, isPattern: isPattern) else {
            return parseState(kindStart, kind.count, &position, at, end)
        }
        var pattern = Text()
        if isPattern {
            pattern = readText(&at, end, most: ProtocolLimits.bulkBytes)
            if pattern.start == nil { return pattern.outcome }
        }
        let channel = readText(&at, end, most: ProtocolLimits.bulkBytes)
        guard let channelStart = channel.start else { return channel.outcome }
        let message = readText(&at, end, most: bytesMax)
        guard let messageStart = message.start else { return message.outcome }

        guard batch.beginRow() else { return .noMemory }
        if columns.channel >= 0 { batch.set(columns.channel, channelStart, channel.count) }
        if columns.pattern >= 0, let patternStart = pattern.start {
            batch.set(columns.pattern, patternStart, pattern.count)
        }
        if columns.timestamp >= 0 { setMoment(&batch) }
        if json != nil {
            switch json?.fill(&batch, messageStart, message.count) {
            case .noMemory: return .noMemory
            case .notAnObject:
                guard onError == .null else {
                    position = at
                    return .refused(
                        Refusal(
                            channel: copy(channelStart, channel.count), column: -1,
                            text: copy(messageStart, min(message.count, 81)), nested: nil))
                }
                nulled += 1
                json?.fillNull(&batch)
            case .filled, nil: break
            }
        } else {
            batch.set(columns.message, messageStart, message.count)
        }
        switch batch.commitRow() {
        case .committed:
            position = at
            return nil
        case .refused(let column, let text):
            position = at
            return .refused(
                Refusal(
                    channel: copy(channelStart, channel.count), column: column,
                    text: text.map { Array($0.prefix(81)) } ?? [],
                    nested: batch.nestedRefusal(column)))
        case .noMemory: return .noMemory
        }
    }

    @inline(__always)
    private mutating func setMoment(_ batch: inout BatchBuilder) {
        let (column, value, count) = (columns.timestamp, moment, momentCount)
        let isFloat = momentKind == .float64
        let span = momentText.span
        span.withUnsafeBufferPointer { text in
            guard let start = text.baseAddress else { return }
            if isFloat {
                batch.set(column, start, count)
            } else {
                batch.setInteger(column, value, text: start, count)
            }
        }
    }

    /// Bytes of a text in a reply.
    private struct Text {
        /// Nil: `outcome` says why.
        var start: UnsafePointer<UInt8>?
        var count = 0
        var outcome = Outcome.needsMore
    }

    @inline(__always)
    private func readText(
        _ at: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, most: Int
    ) -> Text {
        let count = readLength(&at, end, UInt8(ascii: "$"))
        if count < 0 { return Text(outcome: fault(count)) }
        guard count <= most else { return Text(outcome: .tooLarge(count)) }
        guard end - at >= count &+ 2 else { return Text() }
        let start = at
        guard endsLine(start + count) else { return Text(outcome: .malformed) }
        at += count &+ 2
        return Text(start: start, count: count)
    }

    private func fault(_ length: Int) -> Outcome {
        length == Length.needsMore ? .needsMore : .malformed
    }

    @inline(__always)
    private func isMessage(
        _ kind: UnsafePointer<UInt8>, _ count: Int, isPattern: Bool
    ) -> Bool {
        if isPattern { return isWord(kind, count, "pmessage") }
        return isWord(kind, count, "message") || isWord(kind, count, "smessage")
    }

    @inline(__always)
    private func isWord(
        _ text: UnsafePointer<UInt8>, _ count: Int, _ word: StaticString
    ) -> Bool {
        count == word.utf8CodeUnitCount && memcmp(text, word.utf8Start, count) == 0
    }

    /// Parses the rest of an answer to SUBSCRIBE and its like: a channel and a number.
    @inline(never)
    private func parseState(
        _ kind: UnsafePointer<UInt8>, _ count: Int, _ position: inout UnsafePointer<UInt8>,
        _ rest: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> Outcome {
        let begins =
            isWord(kind, count, "subscribe") || isWord(kind, count, "psubscribe")
            || isWord(kind, count, "ssubscribe")
        let ends =
            isWord(kind, count, "unsubscribe") || isWord(kind, count, "punsubscribe")
            || isWord(kind, count, "sunsubscribe")
        guard begins || ends else { return .malformed }
        var at = rest
        let channel = readText(&at, end, most: ProtocolLimits.bulkBytes)
        guard channel.start != nil else { return channel.outcome }
        guard at < end else { return .needsMore }
        guard at[0] == UInt8(ascii: ":") else { return .malformed }
        at += 1
        switch readNumber(&at, end, digitsMax: 19) {
        case .needsMore: return .needsMore
        case .malformed: return .malformed
        case .value: break
        }
        position = at
        return begins ? .confirmed : .unsubscribed
    }

    private func copy(_ start: UnsafePointer<UInt8>, _ count: Int) -> [UInt8] {
        Array(UnsafeBufferPointer(start: start, count: min(count, 1_024)))
    }
}
