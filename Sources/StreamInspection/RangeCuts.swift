// SPDX-License-Identifier: Apache-2.0
// Where a stream is cut into parts of about the same size: pure, it knows no socket.
//
// Redis cannot say which entry is the thousandth. But a few entries at both ends of a range of ids
// say how dense it is there, and so about how many entries the range has. Ranges that seem to have
// too many are halved, all of them at once, and their halves again. The sum of what they seem to
// have is compared with the number of entries, if that is known.

import RedcolBase

/// The cuts of one stream. `begin` and `next` say at which entries to look, `take` takes what was
/// found there, and `parts` are made when nothing is asked any more.
struct RangeCuts {
    /// A look at a few entries: the first ones of a range of ids, or the last ones.
    struct Probe {
        /// Which of the cells that are being halved; no other number than 0 for the whole range.
        let half: Int
        let isLast: Bool
        let first: EntryID
        let last: EntryID
    }

    /// A range of ids, and about how many entries it has.
    struct Part: Equatable {
        var first: EntryID
        var last: EntryID
        var rows: Int
    }

    /// The first entries of a range, or the last ones.
    private struct Sample {
        let first: EntryID
        let last: EntryID
        let count: Int
    }

    /// A range of ids with entries at both ends.
    private struct Cell {
        let head: Sample
        let tail: Sample
        let rows: Double
        /// Whether all its entries are in its samples.
        let isKnown: Bool

        /// `shared`: how many entries are in both samples.
        init(_ head: Sample, _ tail: Sample, shared: Int) {
            self.head = head
            self.tail = tail
            isKnown = tail.first <= head.last
            let seen = Double(max(1, head.count + tail.count - shared))
            rows = isKnown ? seen : seen + Cell.between(head, tail)
        }

        /// About how many entries there are between the samples.
        private static func between(_ head: Sample, _ tail: Sample) -> Double {
            // Milliseconds, unless all have the same: then their sequence numbers.
            let isOfTimes = head.first.milliseconds != tail.last.milliseconds
            func distance(_ one: EntryID, _ other: EntryID) -> Double {
                isOfTimes
                    ? Double(other.milliseconds) - Double(one.milliseconds)
                    : Double(other.sequence) - Double(one.sequence)
            }
            func density(_ sample: Sample) -> Double {
                // One entry says nothing about how far the next one is.
                Double(max(1, sample.count - 1)) / max(1, distance(sample.first, sample.last))
            }
            let width = max(0, distance(head.last, tail.first))
            return width * (density(head) + density(tail)) / 2
        }

        /// An id after all of `head`, and not after the first of `tail`.
        var middle: EntryID {
            let (low, high) = (head.last, tail.first)
            let (difference, borrows) = high.sequence.subtractingReportingOverflow(low.sequence)
            let times = high.milliseconds &- low.milliseconds &- (borrows ? 1 : 0)
            let half = difference >> 1 | (times & 1) << 63
            let (sequence, carries) = low.sequence.addingReportingOverflow(half)
            let milliseconds = low.milliseconds &+ times >> 1 &+ (carries ? 1 : 0)
            return EntryID(milliseconds, sequence).next ?? high
        }
    }

    /// A cell that is being halved.
    private struct Halves {
        let cell: Int
        var before: Cell?
        var after: Cell?
    }

    /// The stream's number.
    let stream: Int
    /// How many entries are looked at, at each end of a range.
    let sample: Int
    private let first: EntryID
    private let last: EntryID
    private let rows: Int
    /// How many entries there are, if that is known.
    private let entries: Int?
    /// In the order of their ids.
    private var cells: [Cell] = []
    private var halves: [Halves] = []
    private var head: Sample?
    private var tail: Sample?
    /// Answers that have not come.
    private var awaited = 0
    /// How many cells may still be halved; nil before it is known how large the range is.
    private var halvings: Int?

    private static let sampleMax = 64
    /// How often cells are halved, at most: for each part that is wanted, and besides.
    private static let halvingsPerPart = 8
    private static let halvingsBesides = 64
    /// Where nothing but estimates says how many parts there will be.
    private static let partsMax = 4_096
    /// How far the number of entries may be from what was estimated before cells are halved for
    /// that alone.
    private static let hidden = 1.25

    /// `first`, `last`: the range. `rows`: how many entries a part should have. `entries`: how many
    /// there are, if that is known. `most`: there are no more; nil: estimates alone decide.
    init(
        stream: Int, from first: EntryID, to last: EntryID, rows: Int, entries: Int?, most: Int?
    ) {
        self.stream = stream
        self.first = first
        self.last = last
        self.rows = max(1, rows)
        self.entries = entries
        sample = max(1, min(RangeCuts.sampleMax, rows / 8))
        halvings = most.map { RangeCuts.halvings(parts: Double($0) / Double(max(1, rows))) }
    }

    private static func halvings(parts: Double) -> Int {
        // No stream has more entries than this.
        let whole = Int(min(max(0, parts), 1e15)) + 1
        return halvingsPerPart * whole + halvingsBesides
    }

    // MARK: Asking

    /// Whether nothing is asked any more.
    var isDone: Bool { awaited == 0 }

    /// The first questions: none if one part is enough.
    mutating func begin() -> [Probe] {
        if let entries, entries <= rows { return [] }
        awaited = 2
        return [
            Probe(half: 0, isLast: false, first: first, last: last),
            Probe(half: 0, isLast: true, first: first, last: last),
        ]
    }

    /// Takes the ids that a question has found, in their order.
    mutating func take(_ ids: [EntryID], of probe: Probe) {
        awaited -= 1
        guard let low = ids.first, let high = ids.last else { return }
        let found = Sample(first: low, last: high, count: ids.count)
        func count(_ isShared: (EntryID) -> Bool) -> Int {
            var count = 0
            for id in ids where isShared(id) { count += 1 }
            return count
        }
        if halves.isEmpty {
            if probe.isLast { tail = found } else { head = found }
            guard let head, let tail else { return }
            let shared =
                probe.isLast ? count { $0 <= head.last } : count { $0 >= tail.first }
            cells = [Cell(head, tail, shared: shared)]
            return
        }
        guard halves.indices.contains(probe.half) else { return }
        let cell = cells[halves[probe.half].cell]
        if probe.isLast {
            let shared = count { $0 <= cell.head.last }
            halves[probe.half].before = Cell(cell.head, found, shared: shared)
        } else {
            let shared = count { $0 >= cell.tail.first }
            halves[probe.half].after = Cell(found, cell.tail, shared: shared)
        }
    }

    /// What is to be asked when everything was answered: nothing if the cells are small enough.
    mutating func next() throws(RedcolError) -> [Probe] {
        guard awaited == 0 else { return [] }
        try putHalvesInPlace()
        let scale = self.scale
        var largest = 0.0
        for cell in cells where !cell.isKnown { largest = max(largest, cell.rows * scale) }
        if halvings == nil {
            let parts = min(largest / Double(rows), Double(RangeCuts.partsMax))
            halvings = RangeCuts.halvings(parts: parts)
        }
        guard let left = halvings, left > 0, largest > 0 else { return [] }
        var least = Double(rows) / 2
        if largest <= least {
            // Entries that nothing explains are between the samples of some cell.
            guard scale > RangeCuts.hidden else { return [] }
            least = largest / 2
        }
        var count = self.count(largerThan: least, scale)
        while count > left {
            let fewer = self.count(largerThan: 2 * least, scale)
            guard fewer > 0 else { break }
            (least, count) = (2 * least, fewer)
        }
        count = min(count, left)
        var probes: [Probe] = []
        guard halves.makeRoom(for: count), probes.makeRoom(for: 2 * count) else {
            throw noMemory()
        }
        for (index, cell) in cells.enumerated() where halves.count < count {
            guard !cell.isKnown, cell.rows * scale > least else { continue }
            let middle = cell.middle
            let half = halves.count
            halves.append(Halves(cell: index))
            probes.append(
                Probe(
                    half: half, isLast: true, first: cell.head.first,
                    last: middle.previous ?? middle))
            probes.append(Probe(half: half, isLast: false, first: middle, last: cell.tail.last))
        }
        halvings = left - halves.count
        awaited = probes.count
        return probes
    }

    private func count(largerThan least: Double, _ scale: Double) -> Int {
        var count = 0
        for cell in cells where !cell.isKnown && cell.rows * scale > least { count += 1 }
        return count
    }

    private mutating func putHalvesInPlace() throws(RedcolError) {
        guard !halves.isEmpty else { return }
        var all: [Cell] = []
        guard all.makeRoom(for: cells.count + halves.count) else { throw noMemory() }
        var next = 0
        for (index, cell) in cells.enumerated() {
            guard next < halves.count, halves[next].cell == index else {
                all.append(cell)
                continue
            }
            if let before = halves[next].before { all.append(before) }
            if let after = halves[next].after { all.append(after) }
            next += 1
        }
        cells = all
        halves = []
    }

    /// What estimates are multiplied by to make the number of entries.
    private var scale: Double {
        var (guessed, known) = (0.0, 0.0)
        for cell in cells {
            if cell.isKnown { known += cell.rows } else { guessed += cell.rows }
        }
        guard let entries, guessed > 0 else { return 1 }
        return max(0, Double(entries) - known) / guessed
    }

    // MARK: Parts

    /// The parts, in the order of their ids: they have each id of the range once. None if there is
    /// no entry.
    func parts() throws(RedcolError) -> [Part] {
        if let entries, entries <= rows { return [Part(first: first, last: last, rows: entries)] }
        let scale = self.scale
        let most = Double(rows) * 1.01
        var parts: [Part] = []
        guard parts.makeRoom(for: 2 * cells.count) else { throw noMemory() }
        var sum = 0.0
        func add(_ start: EntryID, _ rows: Double) {
            if let end = parts.indices.last, sum + rows <= most {
                sum += rows
                parts[end].rows = RangeCuts.whole(sum)
                return
            }
            // The first begins where the range does, although its first entry may be gone.
            let begin = parts.isEmpty ? first : start
            if let end = parts.indices.last { parts[end].last = start.previous ?? start }
            parts.append(Part(first: begin, last: last, rows: RangeCuts.whole(rows)))
            sum = rows
        }
        for cell in cells {
            // Where parts are tiny, each sample is one entry.
            if cell.isKnown, cell.rows == 2, rows < 4 {
                add(cell.head.first, 1)
                add(cell.tail.last, 1)
            } else {
                add(cell.head.first, cell.isKnown ? cell.rows : cell.rows * scale)
            }
        }
        return parts
    }

    private static func whole(_ rows: Double) -> Int { max(1, Int(min(rows + 0.5, 9e18))) }

    /// Gives up its memory.
    mutating func clear() {
        cells = []
        halves = []
    }
}
