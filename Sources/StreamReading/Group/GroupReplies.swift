// SPDX-License-Identifier: Apache-2.0
// What the answers to a group's questions mean, apart from those that bring entries: what is
// pending, whether the group was made, and errors.

import CPlatform
import RedcolBase
import RedisConnection

extension GroupReader {
    func takeReply(
        _ request: GroupPlan.Request, _ asked: Int, _ reply: Reply
    ) throws(RedcolError) {
        let now = platform_monotonic_ms()
        if case .array(let parts) = reply, parts.count > max(1, asked) {
            throw connection.violation("\(parts.count) lines, but \(asked) were asked for")
        }
        switch request {
        case .wasReset(let stream):
            // Where all is known to have been handled; or the beginning, if the stream was begun
            // anew.
            var position = handled[stream]
            if let oldest = held.oldest(stream: stream) {
                position = min(position, oldest.previous ?? .smallest)
            }
            for row in refused.keys where Int(row.stream) == stream {
                position = min(position, row.id.previous ?? .smallest)
            }
            if case .error(let text) = reply {
                let failure = error(text, "asking for the stream's entries")
                guard failure.cause == .permission else { throw failure }
                position = .smallest
            } else if wasReset(stream, isLastThere: reply.firstEntry != nil) {
                position = .smallest
            }
            plan.create(stream, at: position)
        case .create(let stream, let id):
            if case .error(let text) = reply, !text.starts(with: Array("BUSYGROUP".utf8)) {
                throw error(text, "creating the group \"\(escaped(options.group, limit: 200))\"")
            }
            // One that is there after all may still count as pending what is in hand.
            if case .error = reply {
            } else {
                held.forget(stream: stream)
                ledger.forget(stream: stream)
                handled[stream] = id
                hasHandled[stream] = false
                statistics.add(.resets, 1)
            }
            plan.created(stream, now)
        case .deliveries(let stream, _, let isOwn):
            let (page, dead) = try findDeadLetters(reply, stream, isOwn: isOwn)
            if isOwn {
                let isFull = page.count >= asked
                ownMost = isFull ? page.count - dead : .max
                plan.countedOwn(stream, next: ownMost == 0 ? page.last?.id : nil)
            } else {
                findClaimable(page, stream, asked: asked, now)
            }
        case .look(let stream, let after):
            try look(reply, stream, after: after, asked: asked, now)
        default: break
        }
        if awaited.isEmpty { connection.expectNothing() }
    }

    /// Whether the stream may have been deleted and begun anew since this reader had its entries.
    /// In doubt it was, and some entries come a second time: a new stream can give ids again that
    /// the old one has given in the same millisecond.
    private func wasReset(_ stream: Int, isLastThere: Bool) -> Bool {
        guard let first = firstIDs[stream] else { return true }
        if first.milliseconds >= handled[stream].milliseconds { return true }
        return hasHandled[stream] && !isLastThere
    }

    private func look(
        _ reply: Reply, _ stream: Int, after: EntryID, asked: Int, _ now: Int64
    ) throws(RedcolError) {
        if case .error(let text) = reply { return try takeError(error(text, "XPENDING")) }
        guard case .array(let lines) = reply else {
            throw connection.violation("a strange XPENDING")
        }
        // Once for all pages: with many entries in hand it takes longer than to ask.
        if after == .smallest || inHandAtLook.isEmpty {
            inHandAtLook = try everythingInHand()
        }
        let inHand = inHandAtLook
        var pendingRows: Set<RowID> = []
        var last: EntryID?
        var stray: EntryID?
        for line in lines {
            guard let pending = PendingEntry(line) else {
                throw connection.violation("a strange line of XPENDING")
            }
            let row = RowID(id: pending.id, stream: Int32(truncatingIfNeeded: stream))
            pendingRows.insert(row)
            last = pending.id
            if stray == nil, !inHand.contains(row) { stray = pending.id }
        }
        let isFull = lines.count >= asked
        // What the server no longer counts as pending was acknowledged by someone else.
        held.keepOnly(
            pendingRows, stream: stream, from: after, upTo: isFull ? last ?? after : .largest)
        ledger.keepOnly(
            pendingRows, stream: stream, after: after, through: isFull ? last ?? after : .largest)
        if !isFull { inHandAtLook = [] }
        plan.looked(stream, now, isFull: isFull, last: last, stray: stray)
    }

    /// Finds the first run of entries to claim in a page of idle ones.
    private func findClaimable(
        _ page: [PendingLine], _ stream: Int, asked: Int, _ now: Int64
    ) {
        var run: GroupPlan.Claimable?
        let most = min(options.batchRows, GroupReader.pageRows, max(1, wanted))
        if let first = page.firstIndex(where: { $0.isFree }) {
            let end = page[first...].firstIndex { !$0.isFree } ?? page.endIndex
            let last = min(end - 1, first + most - 1)
            run = GroupPlan.Claimable(
                first: page[first].id, last: page[last].id, count: last - first + 1)
        }
        plan.countedIdle(stream, now, run: run, last: page.count < asked ? nil : page.last?.id)
    }

    /// One look at `handled` for each run of rows of one stream: as a class's property it is far
    /// from the cheapest thing to look at.
    func noteHandled(_ rows: [RowID]) {
        var next = 0
        while next < rows.count {
            let stream = rows[next].stream
            var largest = rows[next].id
            while next < rows.count, rows[next].stream == stream {
                if rows[next].id > largest { largest = rows[next].id }
                next += 1
            }
            if largest > handled[Int(stream)] { handled[Int(stream)] = largest }
            hasHandled[Int(stream)] = true
        }
    }

    // MARK: Errors

    func takeError(_ error: RedcolError) throws(RedcolError) {
        let isUnblocked = error.details.contains { $0.0 == .serverCode && $0.1 == "UNBLOCKED" }
        // The key is gone, or a cluster's slot has moved: the next request tells which.
        if isUnblocked { return }
        guard error.cause == .noGroup else { throw error }
        var lost = streams.indices.filter { error.mentions("'\(name($0))'") }
        if lost.isEmpty || streams.count == 1 { lost = Array(streams.indices) }
        guard plan.groupLost(lost, platform_monotonic_ms()) else { throw error }
    }

    private func name(_ stream: Int) -> String {
        escaped(streams[stream], limit: .max)
    }
}
