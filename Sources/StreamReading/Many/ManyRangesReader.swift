// SPDX-License-Identifier: Apache-2.0
// Reads the same range of many streams, one after the other, with many requests under way on one
// connection, or in a cluster on one to each node: finds the streams if they are given by a
// pattern, asks what the plan says, and parses what comes in one row of columns.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// A read of many ranges in progress.
final class ManyRangesReader: StreamReader {
    /// As it is before anything is asked.
    private var firstPlan: ManyRangesPlan
    private let pattern: [UInt8]?
    private var names = NameList()

    /// The one in hand: the next stream's.
    private var lane: RangeLane
    /// In a cluster one for each node, once it is known that there is one; else none.
    private var lanes: [RangeLane] = []
    /// Of each stream, the lane that it is read on, and the next one of all streams.
    private var laneOf: [Int32] = []
    private var turn = 0
    /// The lane that was looked at last, of those that are not in hand.
    private var lookedAt = 0
    /// What searches have found that were given up.
    private var found = NameList()
    /// Whether the nodes were asked if slots have come to them during the search.
    private var hasLookedAgain = false

    /// Whether the parser has been told of the page that comes next.
    private var hasBegunPage = false
    private var pageBytes = 0
    /// The stream whose name the parser writes, and whether it had an entry.
    private var current = -1
    private var currentHasEntries = false

    /// Nothing is sent before the first `next`, unless the range depends on the server's clock.
    static func make(
        topology: Topology, streams: ChosenStreams, schema: [RequestedColumn]?,
        options: ReadOptions
    ) throws(RedcolError) -> ManyRangesReader {
        let plan = ManyRangesPlan(try options.range(now: 0), options)
        // One name, which changes.
        let parts = try ReaderParts(
            topology: topology, streams: [[]], schema: schema, options: options)
        return ManyRangesReader(parts, plan, streams)
    }

    private init(_ parts: ReaderParts, _ plan: ManyRangesPlan, _ streams: ChosenStreams) {
        firstPlan = plan
        lane = RangeLane(parts.connection, plan, streams: nil)
        switch streams {
        case .matching(let pattern):
            self.pattern = pattern
            lane.scan = KeyScan(
                pattern: pattern, count: parts.options.scanCount,
                countsOthers: parts.options.countsWrongTypes)
        case .named(let list):
            pattern = nil
            names = NameList(list)
        }
        super.init(parts)
        lane.plan.found(streams: names.count)
    }

    deinit {
        for lane in lanes { giveBack(lane) }
    }

    override func begin() throws(RedcolError) {
        guard options.needsServerTime else { return }
        firstPlan = ManyRangesPlan(try options.range(now: try askTime()), options)
        lane.plan = firstPlan
        lane.plan.found(streams: names.count)
    }

    override var awaitsReply: Bool { lane.awaited.first != nil }

    override var streamInHand: [UInt8]? {
        switch lane.awaited.first {
        case .page(let page): return Array(names[lane.stream(page)])
        case .exists(let stream): return Array(names[stream])
        default: return nil
        }
    }

    /// A name that a search has found was sent by the server, as any value.
    override func shownStream(_ name: [UInt8]) -> String {
        pattern != nil
            ? topology.secrets.shown(name, limit: 200, keeping: .names)
            : super.shownStream(name)
    }

    override var entriesLost: Int? {
        guard parser.pointee.entriesParsed == 0 else { return nil }
        var asked = 0
        for case .page(let page) in lane.awaited.waiting {
            let (sum, overflow) = asked.addingReportingOverflow(page.range.count)
            asked = overflow ? .max : sum
        }
        return asked > 0 ? asked : nil
    }

    override func connectionLost() {
        lane.plan.entriesMax = answerSize.entriesMax
        lane.connectionLost(upTo: parser.pointee.lastID, rows: parser.pointee.rowsParsed)
        endPage()
        // The node may be gone: the search begins again at those that are there.
        if !lanes.isEmpty, lane.scan != nil { giveUpSearch() }
    }

    private func endPage() {
        hasBegunPage = false
        pageBytes = 0
        parser.pointee.upperBound = nil
        parser.pointee.forgetPosition()
    }

    override func exchange() throws(RedcolError) -> Bool {
        while true {
            guard try chooseLane() else { return false }
            try ask(lane)
            guard let reply = lane.awaited.first else {
                if lane.scan != nil { continue }
                if try moveOn() { continue }
                noteStreamEnded()
                isDone = true
                connection.expectNothing()
                return true
            }
            if try moveOn() { continue }
            let hasTaken: Bool
            switch reply {
            case .keys: hasTaken = try takeKeys()
            case .exists(let stream): hasTaken = try takeExists(stream)
            case .end: hasTaken = try takeEnd()
            case .page(let page):
                switch try parsePage(page) {
                case .batchFull: return true
                case .needsMore: hasTaken = try connection.receive()
                default: hasTaken = true
                }
            case .discarded(let page):
                hasTaken = try passOver(page) ? true : connection.receive()
            }
            guard hasTaken else { return false }
        }
    }

    // MARK: Lanes

    /// Sees to it that the lane in hand is connected, and the others in a cluster begin; false if
    /// that has to be waited for.
    private func chooseLane() throws(RedcolError) -> Bool {
        if topology.isCluster, lanes.isEmpty {
            if pattern != nil, lane.scan?.isDone == false {
                try searchAllNodes()
            } else if lane.scan == nil, names.count > 0 {
                try readFromAllNodes()
            }
        }
        if let scan = lane.scan, firstPlan.isEmpty || scan.isDone { try endSearch() }
        for other in lanes where !other.hasBegun && other !== lane { begin(other) }
        if readsAhead { lookAround() }
        if lanes.isEmpty || connection.isReady { return true }
        return try connection.advance()
    }

    /// Begins a lane that is not in hand, so that its node works while others are read.
    private func begin(_ lane: RangeLane) {
        do throws(RedcolError) {
            lane.connection.hasWaited()
            guard try lane.connection.advance() else { return }
            lane.hasBegun = true
            try ask(lane)
            lane.connection.callerIsAway()
        } catch {
            leave(lane)
        }
    }

    /// What is wrong with a lane is seen when it is in hand.
    private func leave(_ lane: RangeLane) {
        if lane.connection.isReady { statistics.add(.reconnects, 1) }
        lane.connection.closeSocket()
        lane.connectionLost(upTo: nil, rows: 0)
        lane.hasBegun = true
    }

    // MARK: Reading ahead

    /// How many of the lanes that are not in hand are looked at each time, and after how long while
    /// nothing comes on the one in hand.
    private static let lookedAtOnce = 4
    private static let lookAgainMs: Int64 = 2

    /// Whether what comes before its turn is looked through. What is asked for depends on how many
    /// rows were read before, if they are counted.
    private var readsAhead: Bool {
        lanes.count > 1 && lane.scan == nil && options.count == nil
            && options.countPerStream == nil
    }

    private func mayTakeIn(_ other: RangeLane) -> Bool {
        other !== lane && other.mayTakeIn(besides: lanes.count)
    }

    override var wakeAt: Int64? {
        guard readsAhead, lanes.contains(where: { mayTakeIn($0) }) else { return nil }
        return platform_monotonic_ms() + ManyRangesReader.lookAgainMs
    }

    /// Lets the nodes work that are not in hand: takes in what they have sent, and asks for more.
    private func lookAround() {
        for _ in 0..<min(lanes.count, ManyRangesReader.lookedAtOnce) {
            lookedAt = (lookedAt + 1) % lanes.count
            let other = lanes[lookedAt]
            if mayTakeIn(other) { takeIn(other) }
        }
    }

    private func takeIn(_ other: RangeLane) {
        let connection = other.connection
        connection.callerIsBack()
        connection.hasWaited()
        do throws(RedcolError) {
            while mayTakeIn(other), try connection.receive() {
                if let took = other.roundTrip.answered() {
                    other.plan.measured(roundTripMs: took)
                }
                other.lookThrough(connection.incoming.waiting, used: connection.incoming.usedInAll)
                try ask(other)
            }
            connection.callerIsAway()
        } catch {
            leave(other)
        }
    }

    // MARK: Turns

    private func take(_ next: RangeLane) throws(RedcolError) {
        guard next !== lane else { return }
        next.plan.remaining = lane.plan.remaining
        next.plan.entriesMax = answerSize.entriesMax
        connection.callerIsAway()
        lane = next
        lane.hasBegun = true
        try use(lane.connection)
        connection.callerIsBack()
    }

    /// A search on each primary.
    private func searchAllNodes() throws(RedcolError) {
        guard let pattern else { return }
        for place in topology.places {
            let lane = RangeLane(
                try topology.take(at: place, to: .reading), firstPlan, streams: [])
            lane.scan = KeyScan(
                pattern: pattern, count: options.scanCount,
                countsOthers: options.countsWrongTypes, ofNode: true)
            lanes.append(lane)
        }
        if let first = lanes.first { try take(first) }
    }

    private func giveUpSearch() {
        for other in lanes {
            other.scan?.moveFound(into: &found)
            giveBack(other)
        }
        lanes = []
        hasLookedAgain = false
        let begun = RangeLane(home, firstPlan, streams: nil)
        if let pattern {
            begun.scan = KeyScan(
                pattern: pattern, count: options.scanCount,
                countsOthers: options.countsWrongTypes)
        }
        lane = begun
        useHome()
    }

    /// Looks for keys that have moved during the search; false if that was done.
    private func looksAgain() throws(RedcolError) -> Bool {
        guard hasLookedAgain else {
            hasLookedAgain = true
            for other in lanes where other.scan?.lookAgain() == true { other.hasBegun = false }
            guard let first = lanes.first(where: { $0.scan?.isDone == false }) else { return false }
            try take(first)
            first.hasBegun = true
            return true
        }
        // Slots that no node has now that was searched are at one that is not known yet.
        guard var all = lanes.first?.scan?.slots.now else { return false }
        for other in lanes { if let slots = other.scan?.slots.now { all.add(slots) } }
        for other in lanes {
            guard let before = other.scan?.slots.before, before.hasGained(since: all) else {
                continue
            }
            topology.doubtMap()
            home.closeSocket()
            throw RedcolError(
                .connection, "slots have moved to another node of the cluster", remedy: .redirect)
        }
        return false
    }

    /// Goes on to another node's part of the search, or to the streams, if all were found.
    private func endSearch() throws(RedcolError) {
        if !firstPlan.isEmpty, let other = lanes.first(where: { $0.scan?.isDone == false }) {
            return try take(other)
        }
        if !firstPlan.isEmpty, try looksAgain() { return }
        let searched = lanes.isEmpty ? [lane] : lanes
        if var all = searched[0].scan {
            for other in searched.dropFirst() { if let scan = other.scan { all.merge(scan) } }
            all.add(found)
            names = firstPlan.isEmpty ? NameList() : all.sortedKeys()
            statistics.add(.wrongTypes, all.otherKeys)
        }
        for other in searched { other.scan = nil }
        if names.count == 0, !firstPlan.isEmpty, options.raisesMissingStreams {
            throw noStream(matching: pattern ?? [])
        }
        if lanes.isEmpty { return lane.plan.found(streams: names.count) }
        for other in lanes { giveBack(other) }
        lanes = []
        lane = RangeLane(home, firstPlan, streams: nil)
        lane.plan.found(streams: names.count)
        useHome()
        if names.count > 0 { try readFromAllNodes() }
    }

    /// The streams of each node on a lane of their own.
    private func readFromAllNodes() throws(RedcolError) {
        try Memory.require(names.count * 16, for: "the streams of each node")
        var streams: [[Int]] = []
        var lanesOfPlaces: [Int: Int] = [:]
        laneOf = []
        laneOf.reserveCapacity(names.count)
        for stream in 0..<names.count {
            let place = topology.place(of: Array(names[stream])) ?? -1
            let number = lanesOfPlaces[place] ?? streams.count
            if number == streams.count {
                lanesOfPlaces[place] = number
                streams.append([])
            }
            streams[number].append(stream)
            laneOf.append(Int32(truncatingIfNeeded: number))
        }
        for list in streams {
            let key = Array(names[list[0]])
            let lane = RangeLane(
                try topology.take(for: key, to: .reading), firstPlan, streams: list)
            lane.plan.found(streams: list.count)
            lanes.append(lane)
        }
        turn = 0
        if let first = laneOf.first { try take(lanes[Int(first)]) }
    }

    /// The stream in hand has come to its end: true if another lane, or the next stream, is in hand
    /// now.
    private func moveOn() throws(RedcolError) -> Bool {
        guard !hasBegunPage, turn < laneOf.count, lane.hasFinished(lane.position) else {
            return false
        }
        lane.position += 1
        turn += 1
        guard turn < laneOf.count else { return false }
        try take(lanes[Int(laneOf[turn])])
        return true
    }

    /// The stream in hand has moved: the rest of it is read on a connection that follows it.
    private func follow(_ page: ManyRangesPlan.Page) throws(RedcolError) -> ParseOutcome {
        let other = RangeLane(
            try topology.take(for: Array(names[turn]), to: .reading), lane.plan.rest(of: page),
            streams: [turn])
        noteProgress()
        _ = lane.taken()
        endPage()
        if lane.plan.streamEnded(page) { lane.giveUpPages() }
        lane.position += 1
        laneOf[turn] = Int32(truncatingIfNeeded: lanes.count)
        lanes.append(other)
        try take(other)
        return .replyEnd
    }

    override func willClose() {
        for lane in lanes { lane.connection.closeSocket() }
    }

    override func closeAbandoned() {
        willClose()
        super.closeAbandoned()
    }

    override func discard() {
        for lane in lanes { lane.connection.discard() }
        super.discard()
    }

    private func giveBack(_ lane: RangeLane) {
        guard lane.connection !== home else { return }
        lane.connection.endSharingCancel()
        topology.giveBack(lane.connection, isIdle: lane.awaited.first == nil)
    }

    // MARK: Asking

    /// Asks for all that may be under way on a lane.
    private func ask(_ lane: RangeLane) throws(RedcolError) {
        let connection = lane.connection
        if let scan = lane.scan {
            guard lane.awaited.first == nil else { return }
            for command in scan.commands {
                connection.enqueue(command)
                lane.asked(.keys)
            }
            return try connection.flush()
        }
        if case .discarded = lane.awaited.first { return }
        var hasAsked = false
        while let page = lane.plan.nextPage(underWay: lane.pagesUnderWay) {
            let name = names[lane.stream(page)]
            if pattern == nil, lane.plan.begins(page), options.asksFor(name) {
                connection.enqueue(.exists(name))
                lane.asked(.exists(lane.stream(page)))
            }
            if page.range.asksForEnd {
                connection.enqueue(LastEntry.command(Array(name)))
                lane.asked(.end)
            }
            connection.enqueue(.entries(of: name, page.range))
            lane.asked(.page(page))
            hasAsked = true
        }
        guard hasAsked else { return }
        lane.roundTrip.asked(platform_monotonic_ms())
        try connection.flush()
    }

    /// Takes an answer to SCAN; false when it has not come in full.
    private func takeKeys() throws(RedcolError) -> Bool {
        guard let reply = try connection.nextReply() else { return false }
        _ = lane.taken()
        if case .error(let text) = reply, lane.scan?.awaitsSlots != true {
            throw RedcolError.server(text, endpoint: connection.endpoint, asked: "SCAN")
        }
        try Memory.require(lane.scan?.memory(for: reply) ?? 0, for: "the keys that were found")
        guard lane.scan?.take(reply) ?? false else {
            throw connection.violation("an answer to SCAN that is not valid")
        }
        // The search begins again when a node is lost: what others answered is then no progress.
        if lanes.allSatisfy({ $0.hasAnswered }) { noteProgress() }
        // The other nodes have answered meanwhile.
        if lane.awaited.first == nil, let index = lanes.firstIndex(where: { $0 === lane }),
            let next = (lanes[(index + 1)...] + lanes[..<index]).first(where: {
                $0.scan?.isDone == false
            })
        {
            if lane.scan?.isDone == false { try ask(lane) }
            try take(next)
        }
        return true
    }

    /// Takes whether a stream is there; false when the answer has not come in full.
    private func takeExists(_ stream: Int) throws(RedcolError) -> Bool {
        guard let reply = try connection.nextReply() else { return false }
        do throws(RedcolError) {
            try note(reply, whether: Array(names[stream]))
        } catch {
            // Its page is answered in the same way, and asked for elsewhere.
            guard error.remedy == .redirect else { throw error }
        }
        _ = lane.taken()
        return true
    }

    /// Takes the last entry of the stream whose reading continues; false when it is incomplete.
    private func takeEnd() throws(RedcolError) -> Bool {
        var end: EntryID?
        switch try lane.lastEntry.take(from: connection) {
        case .incomplete: return false
        case .id(let id): end = id
        // A user who may only use XRANGE reads until a page is not full.
        case .error: break
        }
        if lane.taken() { lane.plan.found(end: end) }
        return true
    }

    // MARK: Pages

    private func beginPage(_ page: ManyRangesPlan.Page) throws(RedcolError) {
        guard !hasBegunPage else { return }
        hasBegunPage = true
        parser.pointee.expect(
            .entries, entriesMax: page.range.count, after: page.range.first.previous ?? .smallest)
    }

    private func beginStream(_ stream: Int) throws(RedcolError) {
        guard stream != current else { return }
        noteStreamEnded()
        current = stream
        currentHasEntries = false
        guard parser.pointee.renameStream(names[stream]) else {
            throw RedcolError(.memory, "no memory for a stream's name")
        }
    }

    /// Counts the stream that was read last.
    private func noteStreamEnded() {
        guard current >= 0 else { return }
        statistics.add(.streams, 1)
        if !currentHasEntries { statistics.add(.emptyStreams, 1) }
        current = -1
    }

    private func parsePage(_ page: ManyRangesPlan.Page) throws(RedcolError) -> ParseOutcome {
        try beginStream(lane.stream(page))
        try beginPage(page)
        let before = connection.incoming.count
        if before > 0, let took = lane.roundTrip.answered() {
            lane.plan.measured(roundTripMs: took)
        }
        let wanted = min(lane.plan.wanted(page), lane.plan.remaining) - parser.pointee.rowsParsed
        let (rowsMax, overflow) = parser.pointee.batch.rowCount.addingReportingOverflow(wanted)
        let outcome = parse(rowsMax: min(options.batchRows, overflow ? .max : rowsMax))
        pageBytes += before - connection.incoming.count
        let entries = parser.pointee.entriesParsed
        if entries > 0 { currentHasEntries = true }
        switch outcome {
        case .needsMore: break
        case .batchFull:
            let rows = parser.pointee.rowsParsed
            if lane.plan.remaining <= rows {
                noteStreamEnded()
                isDone = true
            } else if lane.plan.wanted(page) <= rows {
                // The stream has given as many as may be; the rest of this page is passed over.
                _ = pageEnded(page)
                lane.giveUpPages()
                parser.pointee.forgetPosition()
                return .replyEnd
            }
        case .replyEnd:
            try requireWithin(page.range)
            noteProgress()
            answerSize.came(entries: entries)
            lane.plan.entriesMax = answerSize.entriesMax
            if lane.taken(), pageEnded(page) { lane.giveUpPages() }
            endPage()
        case .serverError:
            guard let error = try serverError("XRANGE") else { return .needsMore }
            if error.remedy == .redirect, lane.streams?.count ?? 1 > 1 {
                return try follow(page)
            }
            guard error.cause == .wrongType else { throw error }
            // It was not a stream, or no longer is.
            noteProgress()
            statistics.add(.wrongTypes, 1)
            if currentHasEntries { statistics.add(.streams, 1) }
            current = -1
            _ = lane.taken()
            endPage()
            if lane.plan.streamEnded(page) { lane.giveUpPages() }
            return .replyEnd
        case .refused(let error), .failed(let error): throw error
        }
        return outcome
    }

    private func pageEnded(_ page: ManyRangesPlan.Page) -> Bool {
        lane.plan.pageEnded(
            page, entries: parser.pointee.entriesParsed, rows: parser.pointee.rowsParsed,
            first: parser.pointee.firstID, last: parser.pointee.lastID, bytes: pageBytes)
    }

    /// True when all of it has been passed over.
    private func passOver(_ page: ManyRangesPlan.Page) throws(RedcolError) -> Bool {
        try beginPage(page)
        guard try passOverPage() else { return false }
        _ = lane.taken()
        endPage()
        return true
    }
}
