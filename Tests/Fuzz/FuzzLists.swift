// SPDX-License-Identifier: Apache-2.0
// A libFuzzer target for what lists and steering are answered: bytes become answers to XINFO
// STREAM, GROUPS and CONSUMERS, XPENDING, MEMORY USAGE, XREVRANGE and XRANGE, and go to the plan of
// a list, whole and in pieces, with the connection lost in between if the input says so; or to the
// plan of an order. Nothing may trap, and pieces must make the same list. scripts/fuzz.sh runs it.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import RedisTopology
import TestSupport

@testable import StreamInspection
@testable import StreamSteering

/// What an input's first byte chooses.
private enum Answered: UInt8, CaseIterable {
    case streams, groups, exactGroups, consumers, consumersOfGroup, pending, pendingOfRange
    case partitions, partitionsOfRange
    case createGroup, deleteGroup, seekGroup, seekGroupToID, deleteConsumer, forceConsumer
    case trim, trimExactly, deleteEntries, release

    init(_ byte: UInt8) { self = Answered.allCases[Int(byte) % Answered.allCases.count] }
}

private let endpoint = try? Endpoint(url: "redis://app:s3cr3t-w0rd@host")

/// A list while it is answered.
private final class AnsweredList {
    private let plan: ListPlan
    private var asks: [ListPlan.Ask] = []
    private var walk = ReplyWalk()
    private var received = ReceiveBuffer()
    private var answerBytes = 0
    /// How many answers have come in full.
    private(set) var answers = 0
    private(set) var isRefused = false

    init?(_ answered: Answered, isSearch: Bool) {
        let what: ListRequest.What
        var group: [UInt8]?
        var options: [(key: String, value: String)] = []
        switch answered {
        case .streams: what = .streams
        case .groups: what = .groups
        case .exactGroups: (what, options) = (.groups, [("exact", "true")])
        case .consumers: what = .consumers
        case .consumersOfGroup: (what, group) = (.consumers, utf8("g"))
        case .pending: (what, group) = (.pending, utf8("g"))
        case .partitions: (what, options) = (.partitions, [("rows", "1")])
        case .partitionsOfRange:
            (what, options) = (.partitions, [("rows", "20"), ("entries", "0"), ("end_id", "9")])
        default:
            (what, group) = (.pending, utf8("g"))
            options = [("start_id", "1-1"), ("end_id", "9"), ("count", "3")]
        }
        let names = what == .pending ? [utf8("a")] : [utf8("a"), utf8("b")]
        guard let options = try? ListOptions(options, for: what),
            let plan = try? ListPlan.make(
                ListRequest(what, of: .named(names), group: group, options))
        else { return nil }
        plan.names = NameList(names)
        plan.isSearch = isSearch
        self.plan = plan
        for stream in names.indices {
            if let ask = try? plan.first(of: stream) { asks.append(ask) }
        }
    }

    var isComplete: Bool { asks.isEmpty && !isRefused }

    /// Takes the next bytes of the server's.
    func take(_ bytes: UnsafeRawBufferPointer) {
        require(received.append(bytes), "no memory")
        while !isRefused, let ask = asks.first, received.count > 0 {
            do throws(RedcolError) {
                guard let isWhole = try takeAnswer(ask) else { return }
                isRefused = !isWhole
            } catch {
                isRefused = true
            }
        }
    }

    /// True when an answer has come in full, false if it is refused, nil if more is needed.
    private func takeAnswer(_ ask: ListPlan.Ask) throws(RedcolError) -> Bool? {
        let waiting = received.waiting
        guard let start = waiting.baseAddress else { return nil }
        if walk.isAtStart, start[0] == UInt8(ascii: "-") {
            switch scanReply(waiting) {
            case .complete(let count):
                let reply = try? parseReply(UnsafeBufferPointer(rebasing: waiting[..<count]))
                guard case .error(let line)? = reply, let endpoint else { return false }
                received.consume(count)
                asks.removeFirst()
                answers += 1
                let error = RedcolError.server(
                    line, endpoint: endpoint, asked: "a list", commands: plan.commandName(ask))
                return plan.goesOn(after: error, line, to: ask)
            case .hostile: return false
            default: return nil
            }
        }
        if walk.isAtStart { plan.begin() }
        var position = start
        defer {
            require(position >= start && position <= start + waiting.count, "beyond the end")
            received.consume(position - start)
        }
        while true {
            let before = position
            let step = walk.next(&position, start + waiting.count)
            answerBytes += position - before
            switch step {
            case .part(let part, let depth):
                guard try plan.take(part, depth: depth, of: ask) else { return false }
            case .needsMore: return nil
            case .malformed: return false
            case .end:
                asks.removeFirst()
                try plan.ended(ask, bytes: answerBytes)
                for ask in plan.takeFollowing() {
                    _ = plan.command(ask)
                    require(plan.names.count > plan.stream(of: ask), "a stream that is not there")
                    asks.append(ask)
                }
                (walk, answerBytes) = (ReplyWalk(), 0)
                answers += 1
                return true
            }
        }
    }

    /// The connection is lost: the answer in hand does not come in full.
    func loseConnection() {
        guard let ask = asks.first, !isRefused else { return }
        asks[0] = plan.interrupted(ask)
        (walk, answerBytes) = (ReplyWalk(), 0)
        received.clear()
    }

    /// How many rows the list has; nil if there is no list.
    func rows() -> Int? {
        guard isComplete else { return nil }
        guard let table = try? plan.finish() else { return nil }
        var stream = ArrowArrayStream()
        do {
            try table.exportStream(requested: nil, into: &stream)
        } catch {
            fatalError("a list that cannot be exported")
        }
        var array = ArrowArray()
        require(stream.get_next(&stream, &array) == 0, "a list without a batch")
        if array.release != nil { array.release(&array) }
        stream.release(&stream)
        return table.rowCount
    }
}

private func list(
    _ answered: Answered, _ bytes: UnsafeRawBufferPointer, _ flags: UInt8, _ piece: Int
) {
    func run(_ piece: Int, losesAt lost: Int?) -> AnsweredList? {
        guard let list = AnsweredList(answered, isSearch: flags & 1 == 1) else { return nil }
        for start in stride(from: 0, to: bytes.count, by: piece) {
            let end = min(start + piece, bytes.count)
            list.take(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            if let lost, start <= lost, lost < end { list.loseConnection() }
        }
        return list
    }
    let whole = run(max(1, bytes.count), losesAt: nil)
    let parts = run(piece, losesAt: nil)
    require(whole?.answers == parts?.answers, "pieces have other answers")
    require(whole?.isRefused == parts?.isRefused, "pieces are refused otherwise")
    require(whole?.rows() == parts?.rows(), "pieces make another list")
    _ = run(piece, losesAt: Int(flags >> 1))?.rows()
}

private func steer(_ answered: Answered, _ replies: [Reply], _ flags: UInt8) {
    let ids = (0..<UInt64(flags % 5)).map { EntryID(1, $0) }
    let action: SteeringOrder.Action
    switch answered {
    case .createGroup: action = .createGroup(at: nil, createsStream: true)
    case .deleteGroup: action = .deleteGroup
    case .seekGroup: action = .seekGroup(to: nil)
    case .seekGroupToID: action = .seekGroup(to: EntryID(1, 1))
    case .deleteConsumer: action = .deleteConsumer(utf8("c"), isForced: false)
    case .forceConsumer: action = .deleteConsumer(utf8("c"), isForced: true)
    case .trim: action = .trim(.entries(5), isApproximate: true)
    case .trimExactly: action = .trim(.from(EntryID(1, 1)), isApproximate: false)
    case .deleteEntries: action = .deleteEntries(ids)
    default: action = .release(ids, of: utf8("c"))
    }
    guard let order = try? SteeringOrder(stream: utf8("s"), group: utf8("g"), action) else {
        return
    }
    var plan = SteeringPlan(order)
    for (number, reply) in replies.enumerated() {
        _ = plan.next()
        let before = plan.count
        let outcome = plan.take(reply)
        require(plan.count >= before, "\(plan.count) after \(before)")
        switch action {
        case .deleteEntries, .release: require(plan.count <= ids.count, "\(plan.count) of \(ids)")
        case .createGroup, .deleteGroup: require(plan.count <= 1, "\(plan.count) groups")
        default: break
        }
        guard outcome == .more else { return }
        if Int(flags >> 5) == number { plan.connectionLost() }
    }
}

/// One input.
func fuzzLists(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > 3 else { return }
    let text = UnsafeBufferPointer(rebasing: bytes[3...])
    let answered = Answered(bytes[0])
    switch answered {
    case .streams, .groups, .exactGroups, .consumers, .consumersOfGroup, .pending,
        .pendingOfRange, .partitions, .partitionsOfRange:
        list(answered, UnsafeRawBufferPointer(text), bytes[1], max(1, Int(bytes[2])))
    default: steer(answered, replies(in: text), bytes[1])
    }
}

/// What servers answer, for each that may be asked it, and near misses.
func listSeeds() -> [[UInt8]] {
    let recorded = recordedAnswers.map { utf8($0.replacing("\n", with: "\r\n")) }
    let small = [
        ":1\r\n:0\r\n:-1\r\n", "$-1\r\n*-1\r\n", "-ERR no such key\r\n-WRONGTYPE no\r\n",
        "-NOGROUP no\r\n:120\r\n", "+OK\r\n", "-BUSYGROUP is there\r\n", "*0\r\n*0\r\n",
        "*1\r\n*4\r\n$3\r\n1-1\r\n$0\r\n\r\n:-1\r\n:1\r\n", ":9223372036854775807\r\n:1\r\n",
    ].map(utf8)
    return (recorded + small).flatMap { text in
        Answered.allCases.map { [$0.rawValue, 200, 7] + text }
    }
}
