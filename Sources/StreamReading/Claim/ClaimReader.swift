// SPDX-License-Identifier: Apache-2.0
// Claims pending entries of a group for a consumer, and reads them.

import ArrowColumns
import RedcolBase
import RedisConnection
import RedisTopology

/// A claim in progress: does what `ClaimPlan` says.
final class ClaimReader: StreamReader {
    private var plan: ClaimPlan
    private var request: ClaimPlan.Request?
    private let idleMs: Int64

    /// Nothing is sent before the first `next`.
    static func make(
        topology: Topology, stream: [UInt8], entries: ClaimedEntries, schema: [RequestedColumn]?,
        options: ReadOptions
    ) throws(RedcolError) -> ClaimReader {
        if case .named(let ids) = entries {
            try Memory.require(3 * ids.count * MemoryLayout<EntryID>.stride, for: "the ids")
        }
        let parts = try ReaderParts(
            topology: topology, streams: [stream], schema: schema, options: options)
        return ClaimReader(parts, ClaimPlan(entries, count: options.count))
    }

    private init(_ parts: ReaderParts, _ plan: ClaimPlan) {
        self.plan = plan
        idleMs = parts.options.claimIdleMs ?? 0
        super.init(parts)
    }

    override var awaitsReply: Bool { request != nil }

    /// An answer that was lost had entries that are this consumer's now, and no longer idle: asking
    /// again would leave them out.
    override var mayAskAgain: Bool { request == nil }

    override func failed(_ error: RedcolError) -> RedcolError {
        guard !mayAskAgain, error.isConnectionLoss else { return super.failed(error) }
        return super.failed(
            error.saying(
                "; entries may be the consumer's by now: they are pending for it, and come when it "
                    + "reads as a member of the group"))
    }

    override func connectionLost() {
        request = nil
        answerBytes = 0
        parser.pointee.forgetPosition()
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            guard let asked = try askedNow() else {
                isDone = true
                connection.expectNothing()
                return true
            }
            let rows = parser.pointee.batch.rowCount
            let outcome = parse(rowsMax: options.batchRows)
            let more = parser.pointee.batch.rowCount - rows
            statistics.add(.claimed, more)
            statistics.add(.redelivered, more)
            switch outcome {
            case .needsMore: guard try connection.receive() else { return false }
            case .batchFull: return true
            case .replyEnd: try pageEnded(asked)
            case .serverError:
                guard let error = try serverError("claiming entries") else { return false }
                throw error
            case .refused(let error), .failed(let error): throw error
            }
        }
    }

    /// What is under way, or is now; nil when all is claimed.
    private func askedNow() throws(RedcolError) -> ClaimPlan.Request? {
        if let request { return request }
        guard let next = plan.next else { return nil }
        var command: Command
        switch next {
        case .named(let ids):
            command = Command("XCLAIM")
            addMember(to: &command)
            for id in ids { command.add(id) }
            parser.pointee.expect(
                .entries, entriesMax: ids.count, after: ids.first?.previous ?? .smallest)
        case .idle(let from, let count):
            command = Command("XAUTOCLAIM")
            addMember(to: &command)
            command.add(from)
            for word in ["COUNT", String(count)] { command.add(word) }
            parser.pointee.expect(
                .claimed(stream: 0), entriesMax: count, after: from.previous ?? .smallest)
        }
        connection.enqueue(command)
        request = next
        answerBytes = 0
        try connection.flush()
        return next
    }

    private func addMember(to command: inout Command) {
        for name in [streams[0], options.group, options.consumer] { command.add(name) }
        command.add(String(idleMs))
    }

    private func pageEnded(_ asked: ClaimPlan.Request) throws(RedcolError) {
        if case .named(let ids) = asked, let last = parser.pointee.lastID, let most = ids.last,
            last > most
        {
            throw connection.violation("entry \(last.text), which was not asked for")
        }
        let (_, nameless) = parser.pointee.takeDeleted()
        statistics.add(.deleted, nameless + (parser.pointee.replyFrame?.deletedIDs.count ?? 0))
        let goesOn = plan.ended(
            asked, entries: parser.pointee.entriesParsed, bytes: answerBytes,
            cursor: parser.pointee.replyFrame?.claimCursor ?? .smallest)
        guard goesOn else { throw connection.violation("a cursor of XAUTOCLAIM that goes back") }
        request = nil
        noteProgress()
        parser.pointee.forgetPosition()
    }
}
