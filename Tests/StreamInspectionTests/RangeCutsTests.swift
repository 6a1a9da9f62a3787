// SPDX-License-Identifier: Apache-2.0
// Where streams are cut, without a server: each id is in one part, the parts are about equal, and
// few questions are asked, in few rounds.

import RedcolBase
import Testing

@testable import StreamInspection

/// What a stream of these ids is cut into, and how often it was asked.
private struct Cut {
    var parts: [RangeCuts.Part] = []
    var rounds = 0
    var questions = 0

    init(
        _ ids: [EntryID], rows: Int, entries: Int?, most: Int?,
        answer: (RangeCuts.Probe, Int) -> [EntryID]
    ) throws {
        let (first, last) = (try #require(ids.first), try #require(ids.last))
        var cuts = RangeCuts(
            stream: 0, from: first, to: last, rows: rows, entries: entries, most: most)
        var probes = cuts.begin()
        while !probes.isEmpty {
            rounds += 1
            questions += probes.count
            // They may be answered in any order.
            for probe in probes.reversed() { cuts.take(answer(probe, cuts.sample), of: probe) }
            probes = try cuts.next()
        }
        #expect(cuts.isDone)
        parts = try cuts.parts()
    }

    init(_ ids: [EntryID], rows: Int, entries: Int?, most: Int?) throws {
        try self.init(ids, rows: rows, entries: entries, most: most) { probe, sample in
            let within = ids.filter { $0 >= probe.first && $0 <= probe.last }
            return Array(probe.isLast ? within.suffix(sample) : within.prefix(sample))
        }
    }

    /// How many of the ids each part has.
    func sizes(_ ids: [EntryID]) -> [Int] {
        parts.map { part in ids.filter { $0 >= part.first && $0 <= part.last }.count }
    }

    /// Each id from the first to the last is in one part.
    func expectWhole(_ ids: [EntryID]) {
        #expect(parts.first?.first == ids.first)
        #expect(parts.last?.last == ids.last)
        for (part, next) in zip(parts, parts.dropFirst()) {
            #expect(part.first <= part.last && part.last.next == next.first)
        }
        #expect(sizes(ids).reduce(0, +) == ids.count)
    }
}

private func steady(_ count: Int) -> [EntryID] {
    (0..<UInt64(count)).map { EntryID(1_000 + $0 / 2, $0 % 2) }
}

@Test(arguments: [100, 500, 3_000])
func steadyEntries(_ rows: Int) throws {
    let ids = steady(4_000)
    for entries in [ids.count, nil] {
        let cut = try Cut(ids, rows: rows, entries: entries, most: ids.count)
        cut.expectWhole(ids)
        let wanted = (ids.count + rows - 1) / rows
        let sizes = cut.sizes(ids)
        #expect((sizes.max() ?? 0) <= 2 * rows && sizes.count <= 3 * wanted + 2)
        #expect(cut.questions <= 16 * wanted + 128)
        // All cells are halved at once.
        #expect(cut.rounds <= 10)
        for (part, size) in zip(cut.parts, sizes) {
            #expect(part.rows <= 2 * size + 1 && size <= 2 * part.rows + 1)
        }
    }
}

@Test func oneEntryInEachPart() throws {
    let ids = steady(9)
    let cut = try Cut(ids, rows: 1, entries: ids.count, most: ids.count)
    cut.expectWhole(ids)
    #expect(cut.sizes(ids) == Array(repeating: 1, count: 9))
}

@Test func onePartNeedsNoQuestion() throws {
    let ids = steady(10)
    let cut = try Cut(ids, rows: 10, entries: 10, most: 10)
    let (first, last) = (EntryID(1_000, 0), EntryID(1_004, 1))
    #expect(cut.parts == [RangeCuts.Part(first: first, last: last, rows: 10)])
    #expect(cut.questions == 0)
}

@Test func aBurstBetweenEmptyTimes() throws {
    // All sequence numbers of one millisecond, between entries that are a day apart.
    var ids = (0..<50).map { EntryID($0 * 86_400_000, 1) }
    ids += (0..<3_000).map { EntryID(50 * 86_400_000, $0) }
    ids += (51..<100).map { EntryID($0 * 86_400_000, 1) }
    let cut = try Cut(ids, rows: 300, entries: ids.count, most: ids.count)
    cut.expectWhole(ids)
    #expect((cut.sizes(ids).max() ?? 0) <= 600)
    #expect(cut.questions <= 16 * 11 + 128)
}

@Test func partsOfAnyIds() throws {
    var state: UInt64 = 7
    func number(below limit: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % limit
    }
    for turn in 0..<120 {
        let times: UInt64 = [1, 3, 1 << 20, 1 << 31][turn % 4]
        let count = Int(1 + number(below: 300))
        var found = Set<Int>()
        var ids: [EntryID] = []
        for _ in 0..<count {
            let time = number(below: times)
            let sequence = number(below: 1_000)
            guard found.insert(Int(time << 10 | sequence)).inserted else { continue }
            // At both ends of what an id can be.
            ids.append(turn % 8 < 4 ? EntryID(time, sequence) : EntryID(~time, ~sequence))
        }
        ids.sort()
        let rows = Int(1 + number(below: 100))
        // What callers say may be wrong.
        let entries: Int? = [ids.count, nil, 1 + ids.count / 3, 5 * ids.count][turn / 4 % 4]
        let most = turn % 3 == 0 ? nil : ids.count
        let cut = try Cut(ids, rows: rows, entries: entries, most: most)
        if let entries, entries <= rows { continue }
        cut.expectWhole(ids)
    }
}

@Test func emptiedMeanwhile() throws {
    let ids = steady(500)
    let gone = try Cut(ids, rows: 16, entries: 500, most: 500) { _, _ in [] }
    #expect(gone.parts.isEmpty)
    #expect(gone.rounds == 1)
    // Both ends have entries, and then nothing has.
    let cut = try Cut(ids, rows: 16, entries: 500, most: 500) { probe, _ in
        guard probe.first == ids.first, probe.last == ids.last else { return [] }
        return probe.isLast ? [EntryID(1_249, 0), EntryID(1_249, 1)] : [EntryID(1_000, 0)]
    }
    #expect(cut.parts.isEmpty)
}

@Test func manyEntriesAreNotCutForEver() throws {
    // A server that finds entries wherever it is asked.
    let ids = [EntryID.smallest, EntryID.largest]
    let cut = try Cut(ids, rows: 1, entries: 100, most: 100) { probe, _ in
        [probe.isLast ? probe.last : probe.first]
    }
    #expect(cut.questions <= 16 * 101 + 128 + 2)
    #expect(cut.parts.first?.first == .smallest && cut.parts.last?.last == .largest)
}
