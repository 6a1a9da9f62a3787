// SPDX-License-Identifier: Apache-2.0
// What is asked to make a list, and what the answers say: pure, it knows no socket.

import ArrowColumns
import RedcolBase
import RedisConnection
import RedisTopology

/// The state of a list, over all servers that are asked.
final class ListPlan {
    /// One question to a server.
    enum Ask {
        /// What a stream is, or its groups.
        case info(stream: Int)
        /// How many bytes a stream takes.
        case usage(row: Int)
        /// The first entry that a group has pending.
        case oldest(row: Int)
        /// Where the stream of a group ends.
        case end(row: Int)
        /// A page of the entries that a group has not read.
        case unread(row: Int, counted: Int64, first: EntryID, last: EntryID, most: Int)
        case consumers(stream: Int, group: ListedText)
        /// A page of pending entries.
        case pending(first: EntryID, most: Int)
        /// A few entries of a stream that is cut into parts.
        case probe(cuts: Int, RangeCuts.Probe)
    }

    let request: ListRequest
    /// The streams that are looked at, sorted.
    var names = NameList()
    /// Whether a search has found them: those that are gone by now, or are none, are left out.
    var isSearch = false
    private let columns: [ListColumn]
    private var rows: ListedRows
    /// Pending entries go into columns as they come.
    private var table: ListTable?
    /// The one group whose consumers are listed.
    private var groupText: ListedText?
    /// What is asked because of an answer.
    private var following: [Ask] = []
    /// Whether the user has the right to it, as far as is known.
    private var asksUsage = true
    private var asksOldest = true
    /// Streams that are cut into parts.
    private var cuts: [RangeCuts] = []
    /// The ids that have come of a probe's.
    private var sampled: [EntryID] = []

    // What of the answer in hand has come.
    private var rowsBefore = 0
    private var position = 0
    private var column: Int?
    /// The last of the columns that were named.
    private var lastColumn = 0
    private var isInEntry = false
    /// Of the entries that have come in full, the last one and how many there are.
    private var lastID: EntryID?
    private var entries = 0
    /// The pending entry whose parts come.
    private var idInHand: EntryID?

    /// Entries of a page whose size is not known yet, and of any.
    private static let firstPage = 16
    private static let pageMax = 4_096
    private static let pageBytes = 128 * 1024

    static func make(_ request: ListRequest) throws(RedcolError) -> ListPlan {
        let plan = ListPlan(request)
        if request.what == .pending { plan.table = try ListTable(plan.columns) }
        return plan
    }

    private init(_ request: ListRequest) {
        self.request = request
        columns = request.columns
        rows = ListedRows(columns)
    }

    deinit { table?.free() }

    // MARK: Asking

    /// The first question about a stream; nil if nothing is to be asked.
    func first(of stream: Int) throws(RedcolError) -> Ask? {
        let options = request.options
        switch request.what {
        case .pending:
            guard let first = options.first, let last = options.last, first <= last,
                options.count > 0
            else { return nil }
            return .pending(first: first, most: pageSize)
        case .consumers:
            guard let group = request.group else { return .info(stream: stream) }
            if let groupText { return .consumers(stream: stream, group: groupText) }
            let text = try rows.append(text: group)
            groupText = text
            return .consumers(stream: stream, group: text)
        case .partitions:
            guard let first = options.first, let last = options.last, first <= last else {
                return nil
            }
            return .info(stream: stream)
        case .streams, .groups: return .info(stream: stream)
        }
    }

    func stream(of ask: Ask) -> Int {
        switch ask {
        case .info(let stream), .consumers(let stream, _): stream
        case .usage(let row), .oldest(let row), .end(let row), .unread(let row, _, _, _, _):
            rows.stream(of: row)
        case .pending: 0
        case .probe(let number, _): cuts[number].stream
        }
    }

    func command(_ ask: Ask) -> Command {
        var command = Command()
        command.add(words: commandName(ask))
        command.add(names[stream(of: ask)])
        switch ask {
        case .info, .usage: break
        case .oldest(let row):
            addGroup(of: row, to: &command)
            for word in ["-", "+", "1"] { command.add(word) }
        case .end: for word in ["+", "-", "COUNT", "1"] { command.add(word) }
        case .unread(_, _, let first, let last, let most):
            command.add(first)
            command.add(last)
            command.add("COUNT")
            command.add(String(most))
        case .probe(let number, let probe):
            command.add(probe.isLast ? probe.last : probe.first)
            command.add(probe.isLast ? probe.first : probe.last)
            command.add("COUNT")
            command.add(String(cuts[number].sample))
        case .consumers(_, let group): command.add(rows.text(group))
        case .pending(let first, let most):
            let options = request.options
            command.add(request.group ?? [])
            if options.idleMsMin > 0 {
                command.add("IDLE")
                command.add(String(options.idleMsMin))
            }
            // Shorter than the ids that they stand for.
            if first == .smallest { command.add("-") } else { command.add(first) }
            if let last = options.last, last < .largest {
                command.add(last)
            } else {
                command.add("+")
            }
            command.add(String(most))
            if let consumer = options.consumer { command.add(consumer) }
        }
        return command
    }

    private func addGroup(of row: Int, to command: inout Command) {
        if case .text(let text) = rows[row, Place.group] { command.add(rows.text(text)) }
    }

    func commandName(_ ask: Ask) -> StaticString {
        switch ask {
        case .info:
            isAboutStreams ? "XINFO STREAM" : "XINFO GROUPS"
        case .usage: "MEMORY USAGE"
        case .oldest, .pending: "XPENDING"
        case .end: "XREVRANGE"
        case .unread: "XRANGE"
        case .probe(_, let probe): probe.isLast ? "XREVRANGE" : "XRANGE"
        case .consumers: "XINFO CONSUMERS"
        }
    }

    /// Whether streams are asked about first, and not groups.
    private var isAboutStreams: Bool { request.what == .streams || request.what == .partitions }

    /// What is to be asked because of the answers so far.
    func takeFollowing() -> [Ask] {
        if following.isEmpty { return [] }
        defer { following = [] }
        return following
    }

    // MARK: Answers

    /// An answer begins.
    func begin() {
        rowsBefore = rows.count
        position = 0
        column = nil
        isInEntry = false
        lastID = nil
        entries = 0
        sampled.removeAll(keepingCapacity: true)
    }

    /// The answer in hand will not come in full. What is asked in its place.
    func interrupted(_ ask: Ask) -> Ask {
        rows.truncate(to: rowsBefore)
        defer { begin() }
        guard case .pending = ask, let next = lastID?.next else { return ask }
        return .pending(first: next, most: pageSize)
    }

    /// Takes a part of the answer to `ask`; false if no server should send it.
    func take(
        _ part: ReplyWalk.Part, depth: Int, of ask: Ask
    ) throws(RedcolError) -> Bool {
        switch ask {
        case .usage(let row):
            guard case .integer(let number) = part else {
                if case .nothing = part { return true }
                return false
            }
            rows[row, Place.bytes] = count(number)
            return true
        case .info(let stream):
            return try takeNamed(
                part, depth: depth, recordDepth: isAboutStreams ? 0 : 1, stream, group: nil)
        case .consumers(let stream, let group):
            return try takeNamed(part, depth: depth, recordDepth: 1, stream, group: group)
        case .oldest(let row): return takeOldest(part, depth: depth, row)
        case .end, .unread, .probe: return try takeEntry(part, depth: depth, of: ask)
        case .pending: return try takePending(part, depth: depth, of: ask)
        }
    }

    @inline(never)
    private func count(_ number: WireInteger) -> ListedValue {
        number.within(0...Int64.max).map { .integer($0) } ?? .null
    }

    /// A part of a record, which is an array of names and values at `recordDepth`.
    private func takeNamed(
        _ part: ReplyWalk.Part, depth: Int, recordDepth: Int, _ stream: Int, group: ListedText?
    ) throws(RedcolError) -> Bool {
        if depth <= recordDepth {
            guard case .array(let parts) = part else { return false }
            guard depth == recordDepth else { return true }
            guard parts % 2 == 0 else { return false }
            try rows.append(stream: stream)
            lastColumn = 0
            if let group { rows[rows.count - 1, Place.group] = .text(group) }
            position = 0
            return true
        }
        guard rows.count > rowsBefore else { return false }
        if depth > recordDepth + 1 {
            // The first part of an entry is its id.
            guard depth == recordDepth + 2, isInEntry, let column else { return true }
            isInEntry = false
            guard case .text(let text) = part, let id = EntryID(text, sequenceIfMissing: nil)
            else { return false }
            rows[rows.count - 1, column] = .id(id)
            return true
        }
        position += 1
        if position % 2 == 1 {
            guard case .text(let name) = part else { return false }
            isInEntry = false
            column = columns.column(name, after: lastColumn)
            lastColumn = column ?? lastColumn
            return true
        }
        guard let column else { return true }
        let row = rows.count - 1
        switch (part, columns[column].kind) {
        case (.nothing, _): break
        case (.integer(let number), .count): rows[row, column] = count(number)
        case (.text(let text), .text):
            rows[row, column] = .text(try rows.append(text: Array(text)))
        case (.text(let text), .id):
            guard let id = EntryID(text, sequenceIfMissing: nil) else { return false }
            rows[row, column] = .id(id)
        case (.array(let parts), .id):
            guard parts == 2 else { return false }
            isInEntry = true
        default: return false
        }
        return true
    }

    private func takeOldest(_ part: ReplyWalk.Part, depth: Int, _ row: Int) -> Bool {
        if depth < 2 {
            position = 0
            switch part {
            case .array, .nothing: return true
            default: return false
            }
        }
        position += 1
        // The id, the consumer, the idle time, the deliveries.
        guard position == 3 else { return true }
        guard case .integer(let idle) = part else { return false }
        rows[row, Place.oldestPending] = count(idle)
        return true
    }

    private func takeEntry(
        _ part: ReplyWalk.Part, depth: Int, of ask: Ask
    ) throws(RedcolError) -> Bool {
        if depth < 2 {
            isInEntry = depth == 1
            if case .array = part { return true }
            return false
        }
        guard depth == 2, isInEntry else { return true }
        isInEntry = false
        guard case .text(let text) = part, let id = EntryID(text, sequenceIfMissing: nil) else {
            return false
        }
        var isBackwards = false
        if case .probe(_, let probe) = ask { isBackwards = probe.isLast }
        if let lastID, isBackwards ? lastID <= id : id <= lastID { return false }
        entries += 1
        lastID = id
        if case .probe(let number, let probe) = ask {
            guard id >= probe.first, id <= probe.last, entries <= cuts[number].sample else {
                return false
            }
            guard sampled.makeRoom(for: 1) else { throw noMemory() }
            sampled.append(id)
            return true
        }
        guard case .unread(_, _, let first, let last, let most) = ask else { return entries == 1 }
        return id >= first && id <= last && entries <= most
    }

    private func takePending(
        _ part: ReplyWalk.Part, depth: Int, of ask: Ask
    ) throws(RedcolError) -> Bool {
        guard case .pending(let first, let most) = ask else { return false }
        if depth == 0 {
            if case .array = part { return true }
            return false
        }
        if depth == 1 {
            guard case .array(let parts) = part, parts >= 4, entries < most else { return false }
            try table?.begin()
            position = 0
            return true
        }
        position += 1
        switch (position, part) {
        case (1, .text(let text)):
            guard let id = EntryID(text, sequenceIfMissing: nil), id >= first,
                lastID.map({ $0 < id }) ?? true
            else { return false }
            idInHand = id
            table?.set(0, id)
            table?.set(1, id.milliseconds)
        case (2, .text(let name)): try table?.set(2, name: Array(name)[...])
        case (3, .integer(let number)), (4, .integer(let number)):
            if let number = number.within(0...Int64.max) {
                table?.set(position, UInt64(number))
            }
            guard position == 4 else { break }
            try table?.commit()
            entries += 1
            lastID = idInHand
        case (5..., _): break
        default: return false
        }
        return true
    }

    /// The answer to `ask` has come in full; it had so many bytes.
    func ended(_ ask: Ask, bytes: Int) throws(RedcolError) {
        let new = rowsBefore..<rows.count
        try requireMemory(2 * (new.count + 1) * MemoryLayout<Ask>.stride)
        switch ask {
        case .info(let stream):
            if request.what == .partitions {
                try cut(stream, new)
            } else {
                followInfo(stream, new)
            }
        case .probe(let number, let probe):
            if probe.isLast { sampled.reverse() }
            cuts[number].take(sampled, of: probe)
            try follow(try cuts[number].next(), of: number)
        case .end(let row):
            var delivered = EntryID.smallest
            if case .id(let id) = rows[row, Place.lastDelivered] { delivered = id }
            if let last = lastID, last > delivered, let first = delivered.next {
                following.append(
                    .unread(
                        row: row, counted: 0, first: first, last: last, most: ListPlan.firstPage))
            } else {
                rows[row, Place.lagExact] = .integer(0)
            }
        case .unread(let row, let before, _, let last, let most):
            let (counted, overflow) = before.addingReportingOverflow(Int64(entries))
            if entries == most, !overflow, let first = lastID?.next, first <= last {
                let wanted = ListPlan.pageBytes / max(1, bytes / entries)
                following.append(
                    .unread(
                        row: row, counted: counted, first: first, last: last,
                        most: max(1, min(wanted, ListPlan.pageMax))))
            } else {
                rows[row, Place.lagExact] = .integer(counted)
            }
        case .pending(_, let most):
            if entries == most, pageSize > 0, let first = lastID?.next {
                following.append(.pending(first: first, most: pageSize))
            }
        case .usage, .oldest, .consumers: break
        }
        begin()
    }

    /// How many pending entries are asked for next.
    private var pageSize: Int {
        min(request.options.count - (table?.rowCount ?? 0), ListPlan.pageMax)
    }

    /// Begins to cut a stream, whose first and last ids and length are in a row. The parts take its
    /// place.
    private func cut(_ stream: Int, _ new: Range<Int>) throws(RedcolError) {
        guard let row = new.first else { return }
        let found = (rows[row, Place.startID], rows[row, Place.endID], rows[row, Place.rows])
        rows.truncate(to: rowsBefore)
        guard case (.id(let first), .id(let last), .integer(let count)) = found,
            let lower = request.options.first, let upper = request.options.last
        else { return }
        let (from, to) = (max(first, lower), min(last, upper))
        guard from <= to else { return }
        let length = Int(count)
        let isWhole = from == first && to == last
        // If the caller says how many entries there are, or that nobody knows, the same ids are cut
        // at the same places again: the length of the stream may be another one then.
        let told = request.options.entries.map { $0 == 0 ? nil : $0 }
        var one = RangeCuts(
            stream: stream, from: from, to: to, rows: request.options.rows,
            entries: told ?? (isWhole ? length : nil), most: told ?? length)
        let probes = one.begin()
        if probes.isEmpty { return try append(one.parts(), of: stream) }
        guard cuts.makeRoom(for: 1) else { throw noMemory() }
        cuts.append(one)
        try follow(probes, of: cuts.count - 1)
    }

    /// Asks what a cut needs; if that is nothing any more, its parts become rows.
    private func follow(_ probes: [RangeCuts.Probe], of number: Int) throws(RedcolError) {
        try requireMemory(4 * probes.count * MemoryLayout<Ask>.stride)
        for probe in probes { following.append(.probe(cuts: number, probe)) }
        guard cuts[number].isDone else { return }
        try append(cuts[number].parts(), of: cuts[number].stream)
        cuts[number].clear()
    }

    private func append(_ parts: [RangeCuts.Part], of stream: Int) throws(RedcolError) {
        for part in parts {
            try rows.append(stream: stream)
            rows[rows.count - 1, Place.startID] = .id(part.first)
            rows[rows.count - 1, Place.endID] = .id(part.last)
            rows[rows.count - 1, Place.rows] = .integer(Int64(part.rows))
        }
    }

    /// What is asked about rows that a stream's answer has brought.
    private func followInfo(_ stream: Int, _ new: Range<Int>) {
        switch request.what {
        case .streams: if asksUsage { for row in new { following.append(.usage(row: row)) } }
        case .groups:
            for row in new {
                if asksOldest, case .integer(1...) = rows[row, Place.pending] {
                    following.append(.oldest(row: row))
                }
                if request.options.isExact { following.append(.end(row: row)) }
            }
        case .consumers, .pending, .partitions:
            // These rows are of groups: those of their consumers take their place.
            for row in new {
                guard case .text(let group) = rows[row, Place.consumer] else { continue }
                following.append(.consumers(stream: stream, group: group))
            }
            rows.truncate(to: rowsBefore)
        }
    }

    /// Whether the list goes on without the answer to `ask`, which was this error, and why the
    /// error was made: `line` is what the server said.
    func goesOn(after error: RedcolError, _ line: [UInt8], to ask: Ask) -> Bool {
        let isGone = line.starts(with: ListPlan.noSuchKey)
        let isOther = error.cause == .wrongType && isSearch
        switch ask {
        case .usage:
            // There are servers without this command.
            asksUsage = false
            return true
        case .oldest:
            if error.cause == .permission { asksOldest = false }
            return isGone || error.cause == .noGroup || error.cause == .wrongType
                || error.cause == .permission
        case .info: return isGone || isOther
        case .consumers:
            return isGone || isOther
                || error.cause == .noGroup && (isSearch || request.group == nil)
        case .end, .unread: return error.cause == .wrongType
        // It was replaced by something else since it was found, and has no parts.
        case .probe: return isOther
        case .pending: return false
        }
    }

    /// The only error of this kind that has no word of its own.
    private static let noSuchKey = Array("ERR no such key".utf8)

    // MARK: The list

    func finish() throws(RedcolError) -> ArrowTable {
        if let made = try table?.finish() { return made }
        return try rows.table(names)
    }
}
