// SPDX-License-Identifier: Apache-2.0
// What all reads do with an answer: parse it, name the stream of an error, count what was left out.

import ArrowColumns
import RedcolBase
import RedisConnection

extension StreamReader {
    /// Parses what has come of the reply that `parser` expects. Bytes are taken.
    func parse(rowsMax: Int) -> ParseOutcome {
        let (used, outcome) = parse(connection.incoming.waiting, rowsMax: rowsMax)
        connection.consume(used)
        answerBytes &+= used
        return noted(outcome)
    }

    /// Parses bytes that are kept elsewhere, with zeros after them as in a `ReceiveBuffer`.
    func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, rowsMax: Int
    ) -> (used: Int, outcome: ParseOutcome) {
        var used = 0
        let outcome = counting(entriesIn: bytes.count) {
            let (count, outcome) = parser.pointee.parse(bytes, rowsMax: rowsMax)
            used = count
            return outcome
        }
        return (used, outcome)
    }

    /// Counts what `parse` makes of so many bytes of entries.
    func counting(entriesIn bytes: Int, _ parse: () -> ParseOutcome) -> ParseOutcome {
        guard parser.pointee.makeRoom(forEntriesIn: bytes) else {
            return .failed(RedcolError(.memory, "no memory for the ids of the entries"))
        }
        let rows = parser.pointee.batch.rowCount
        let outcome = parse()
        let taken = parser.pointee.batch.rowCount - rows
        if taken > 0 {
            noteProgress()
            statistics.add(.rowsRead, taken)
        }
        if parser.pointee.leftOut.uncounted > 0 { noteLeftOut() }
        return naming(outcome)
    }

    /// Says which stream an entry belongs to that is an error.
    private func naming(_ outcome: ParseOutcome) -> ParseOutcome {
        guard let frame = parser.pointee.replyFrame else { return outcome }
        switch outcome {
        case .refused(let error): return .refused(error.naming(frame.stream, of: streams))
        case .failed(let error) where error.cause == .tooLarge:
            return .failed(error.naming(frame.stream, of: streams))
        default: return outcome
        }
    }

    private func noteLeftOut() {
        let count = parser.pointee.leftOut.takeCount()
        noteProgress()
        leftOut += count
        statistics.add(.skipped, count)
        leftOutOf = streamInHand ?? streams[parser.pointee.replyFrame?.stream ?? 0]
        leftOutTooLarge = nil
        sayLeftOut(about: "")
    }

    /// An entry that is too large was left out. No batch has it, so it is never taken back.
    func noteTooLargeLeftOut(_ id: EntryID, _ reason: String) {
        statistics.add(.skipped, 1)
        leftOutOf = streams[parser.pointee.replyFrame?.stream ?? 0]
        leftOutTooLarge = "entry \(id.text), which has \(reason), of stream "
        sayLeftOut(about: "")
    }

    /// Says how many entries were left out of all streams, if the last line did not.
    func sayLeftOutAtEnd() {
        let count = statistics.value(.skipped)
        // A subject of its own: a line of less than a second ago does not keep this one out.
        if count > 0, count != leftOutSaid { sayLeftOut(about: " \(count)") }
    }

    private func sayLeftOut(about end: String) {
        let count = statistics.value(.skipped)
        let isSaid = Log.write(
            .warning, .value, about: escaped(streams.first ?? [], limit: 200) + end
        ) {
            let stream = shownStream(leftOutOf)
            return "left out \(count) entries so far, the last of them "
                + (leftOutTooLarge.map { "\($0)\"\(stream)\"" }
                    ?? parser.pointee.lastLeftOut(of: stream))
        }
        if isSaid { leftOutSaid = count }
    }

    /// Passes over the answer to XRANGE for a page that is not wanted any more; false when it has
    /// not come in full.
    func passOverPage() throws(RedcolError) -> Bool {
        // Every entry lies after this bound.
        parser.pointee.upperBound = .smallest
        switch parse(rowsMax: .max) {
        case .needsMore, .batchFull: return false
        case .replyEnd: return true
        // The error comes again with the next page.
        case .serverError: return try serverError("XRANGE") != nil
        case .refused(let error), .failed(let error): throw error
        }
    }

    /// A page ends where it was asked to: the next one begins there.
    func requireWithin(_ page: RangePlan.Page) throws(RedcolError) {
        guard let last = parser.pointee.lastID, last > page.last else { return }
        throw connection.violation(
            "entry \(last.text) where none after \(page.last.text) was asked for")
    }

    /// Tells the connection when an answer has ended.
    func noted(_ outcome: ParseOutcome) -> ParseOutcome {
        guard case .replyEnd = outcome else { return outcome }
        do throws(RedcolError) {
            try connection.answered()
            return outcome
        } catch {
            return .failed(error)
        }
    }

    /// The error answer that stands where entries were expected; nil when it has not come in full.
    func serverError(_ asked: String) throws(RedcolError) -> RedcolError? {
        guard let reply = try connection.nextReply() else { return nil }
        guard case .error(let text) = reply else {
            return connection.violation("an answer that is not an error")
        }
        return .server(text, endpoint: connection.endpoint, asked: asked)
    }
}

extension RedcolError {
    /// Says which of several streams it is about.
    func naming(_ stream: Int, of streams: [[UInt8]]) -> RedcolError {
        guard streams.count > 1 else { return self }
        let name = escaped(streams[stream], limit: 200)
        return adding("stream \"\(name)\": ", .stream, name)
    }
}
