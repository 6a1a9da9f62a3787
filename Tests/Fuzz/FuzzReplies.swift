// SPDX-License-Identifier: Apache-2.0
// A libFuzzer target for every small reply: bytes become an answer to XACK, XPENDING, XAUTOCLAIM,
// XINFO, SCAN, XREVRANGE, EXEC or HELLO, and go to what takes it, whole and in pieces. Nothing may
// trap, and no number may pass that the server cannot mean. scripts/fuzz.sh builds and runs it.

import RedcolBase
import RedisConnection
import RedisTopology
import TestSupport

@testable import FrameWriting
@testable import StreamReading

/// What an input's first byte chooses.
private enum Asked: UInt8, CaseIterable {
    case acknowledge, pendingSummary, pendingEntries, claim, info, scan, lastEntry, execute, hello
    case deadLetters

    init(_ byte: UInt8) {
        self = Asked.allCases[Int(byte) % Asked.allCases.count]
    }
}

/// The replies at the beginning of the bytes, one after the other.
func replies(in bytes: UnsafeBufferPointer<UInt8>) -> [Reply] {
    var found: [Reply] = []
    var rest = bytes
    while found.count < 8, case .complete(let count) = scanReply(rest),
        let reply = try? parseReply(UnsafeBufferPointer(rebasing: rest[..<count]))
    {
        found.append(reply)
        rest = UnsafeBufferPointer(rebasing: rest[count...])
    }
    return found
}

private func acknowledge(_ replies: [Reply], _ ids: Int) {
    let all = (0..<ids).map { EntryID(1, UInt64($0)) }
    var acknowledgement = Acknowledgement(stream: [], group: [], ids: all)
    _ = acknowledgement.takeCommands()
    var before: Int64 = 0
    for reply in replies {
        let isTaken = acknowledgement.take(reply)
        let now = acknowledgement.acknowledged
        require(isTaken ? now >= before && now <= Int64(ids) : now == before, "\(now) of \(ids)")
        before = now
    }
}

private func pending(_ replies: [Reply]) {
    for reply in replies {
        guard case .array(let lines) = reply else { continue }
        for line in lines {
            guard let entry = PendingLine(line) else { continue }
            require(entry.deliveries >= 0, "\(entry.deliveries) deliveries")
            _ = (entry.id.next, entry.id.previous, entry.id.text)
        }
    }
}

/// An answer to XAUTOCLAIM in pieces, apart from its entries.
private func claim(_ bytes: UnsafeBufferPointer<UInt8>, _ most: Int, _ pieceBytes: Int) {
    var frame = ReplyFrame(.claimed(stream: 0), entriesMax: most)
    var received = ReceiveBuffer()
    var start = 0
    while start < bytes.count {
        let end = min(start + pieceBytes, bytes.count)
        let piece = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start..<end]))
        require(received.append(piece), "no memory")
        start = end
        let waiting = received.waiting
        guard let begin = waiting.baseAddress else { continue }
        var position = begin
        let outcome = frame.advance(&position, begin + waiting.count, names: [[]])
        require(position >= begin && position <= begin + waiting.count, "beyond the end")
        require(frame.entriesLeft >= 0 && frame.entriesLeft <= most, "\(frame.entriesLeft) entries")
        require(frame.deletedIDs.count <= most * 10 + 10, "\(frame.deletedIDs.count) deleted")
        received.consume(position - begin)
        guard case .needsMore = outcome else { return }
    }
}

/// The answer to the question for a last entry, in pieces.
private func lastEntry(_ bytes: UnsafeBufferPointer<UInt8>, _ piece: Int) {
    for reply in replies(in: bytes) { _ = reply.firstEntry }
    var received = ReceiveBuffer()
    var answer = PageSkim(entriesMax: 1)
    for start in stride(from: 0, to: bytes.count, by: max(1, piece)) {
        let end = min(start + max(1, piece), bytes.count)
        let part = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start..<end]))
        require(received.append(part), "no memory")
        guard case .needsMore(let used) = answer.parse(received.waiting) else { return }
        require(used >= 0 && used <= received.count, "beyond the end")
        received.consume(used)
    }
}

/// Entries become dead letters, each of them at most once.
private func moveToDeadLetters(_ replies: [Reply], _ count: Int) {
    let member = GroupMember(streams: [utf8("s")], group: utf8("g"), consumer: utf8("c"))
    var letters = DeadLetterTransaction(member, to: utf8("dead"))
    for number in 0..<count {
        letters.add(
            DeadLetter(row: RowID(id: EntryID(1, UInt64(number)), stream: 0), consumer: utf8("2")))
    }
    var ended = 0
    var ledger = DeliveryLedger()
    for reply in replies {
        _ = letters.next()
        if case .ended(let letter, _) = letters.take(reply).0 {
            ended += 1
            ledger.forget(letter.row)
        }
        guard case .array(let lines) = reply else { continue }
        ledger.beginPage(isOwn: true)
        for line in lines {
            guard let entry = PendingLine(line) else { continue }
            let had = ledger.counted(
                RowID(id: entry.id, stream: 0), entry.deliveries, isOwnPage: true, isOwn: true,
                isInHand: false
            ).had
            require(had >= 0 && had <= entry.deliveries, "\(had) of \(entry.deliveries)")
        }
        ledger.askedForOwn()
        ledger.hasBegun(0)
    }
    require(ended <= count, "\(ended) of \(count) letters")
}

private func scan(_ replies: [Reply]) {
    var scan = KeyScan(pattern: utf8("*"), count: 10, countsOthers: replies.count % 2 == 0)
    for reply in replies where !scan.isDone {
        if scan.take(reply) { _ = scan.commands }
    }
    _ = scan.sortedKeys()
}

/// Answers as the writer reads them: each is the same whether it came whole or in part.
private func execute(_ bytes: UnsafeBufferPointer<UInt8>, _ commands: Int, _ most: Int) {
    for count in [bytes.count, bytes.count / 2, bytes.count / 3] {
        var received = ReceiveBuffer()
        let part = UnsafeBufferPointer(rebasing: bytes[..<count])
        require(received.append(UnsafeRawBufferPointer(part)), "no memory")
        var cursor = AnswerCursor(received.waiting)
        do throws(AnswerError) {
            _ = try cursor.transaction(commands, most: most)
            require(cursor.offset > 0 && cursor.offset <= count, "beyond the end")
        } catch {}
        var single = AnswerCursor(received.waiting)
        do throws(AnswerError) {
            while true {
                if case .integer(let number) = try single.next(),
                    let value = number.count(most: most)
                {
                    require(value >= 0 && value <= most, "\(value) of \(most)")
                }
                require(single.offset <= count, "beyond the end")
            }
        } catch {}
    }
}

/// Whatever a server says, no message shows the password it was sent.
private func hello(_ bytes: UnsafeBufferPointer<UInt8>, _ replies: [Reply]) {
    guard let endpoint = try? Endpoint(url: "redis://app:s3cr3t-w0rd@host") else { return }
    for limit in [0, 1, 7, 40, .max] {
        let shown = endpoint.secrets.shown(bytes, limit: limit, mayGoOn: limit == 40)
        require(!shown.contains("s3cr3t-w0rd"), "the password is shown")
    }
    for case .error(let text) in replies {
        let error = RedcolError.server(text, endpoint: endpoint, asked: "logging in")
        require(!error.message.contains("s3cr3t-w0rd"), "the password is shown")
    }
}

/// One input.
func fuzzReplies(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > 3 else { return }
    let text = UnsafeBufferPointer(rebasing: bytes[3...])
    let most = Int(bytes[1])
    switch Asked(bytes[0]) {
    case .acknowledge: acknowledge(replies(in: text), most * 16)
    case .pendingSummary, .pendingEntries: pending(replies(in: text))
    case .claim: claim(text, most, max(1, Int(bytes[2])))
    case .info:
        for reply in replies(in: text) { _ = reply.entryID(named: "last-generated-id") }
    case .scan: scan(replies(in: text))
    case .lastEntry: lastEntry(text, Int(bytes[2]))
    case .execute: execute(text, most % 4, Int(bytes[2]))
    case .hello: hello(text, replies(in: text))
    case .deadLetters: moveToDeadLetters(replies(in: text), most % 4)
    }
}

/// Replies as servers give them, and near misses.
func replySeeds() -> [[UInt8]] {
    let texts = [
        ":1000\r\n:1000\r\n:500\r\n", ":9223372036854775807\r\n:9223372036854775807\r\n", ":-5\r\n",
        "*4\r\n:2\r\n$3\r\n1-1\r\n$3\r\n2-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n",
        "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n",
        "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:5\r\n:1\r\n",
        "*1\r\n*4\r\n$3\r\n1-2\r\n$1\r\nc\r\n:5\r\n:-1\r\n",
        "*3\r\n$3\r\n0-0\r\n*0\r\n*2\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n",
        "*2\r\n$3\r\n5-1\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*0\r\n",
        "*4\r\n$6\r\nlength\r\n:1\r\n$17\r\nlast-generated-id\r\n$3\r\n5-1\r\n",
        "*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\n0\r\n*0\r\n",
        "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n", ":1\r\n:0\r\n:-1\r\n",
        "-NOPERM no\r\n+OK\r\n*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\n2\r\n:5\r\n:1\r\n"
            + "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n:0\r\n"
            + "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$3\r\n7-0\r\n:1\r\n",
        "+OK\r\n+QUEUED\r\n-ERR no\r\n-EXECABORT\r\n",
        "*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:2\r\n",
        "-WRONGPASS s3cr3t-w0rd\r\n", "-NOPERM app may not\r\n", "+s3cr3t",
    ]
    return texts.flatMap { text in
        Asked.allCases.map { [$0.rawValue, 200, 6] + utf8(text) }
    }
}
