// SPDX-License-Identifier: Apache-2.0
// When a read that follows is idle, and how much is asked for when answers do not get through.

import Testing

@testable import StreamReading

@Test func stoppingWhenNothingComes() {
    var idle = Idleness(.stop, blockMs: 100)
    idle.isAsked(1_000)
    #expect(idle.waitMs(1_000, most: 60) == 60)
    idle.sent(1_000)
    idle.answered(1_060, entries: 0, isFull: false)
    #expect(!idle.isOver)
    #expect(idle.waitMs(1_060, most: 60) == 40)
    idle.sent(1_060)
    idle.answered(1_100, entries: 0, isFull: false)
    #expect(idle.isOver)
}

@Test func stoppingBesideAWriter() {
    var idle = Idleness(.stop, blockMs: 100)
    var now: Int64 = 0
    idle.sent(now)
    idle.answered(now, entries: 10, isFull: true)
    while !idle.isOver {
        #expect(now <= 140)
        idle.handedOver()
        idle.isAsked(now)
        let wait = idle.waitMs(now, most: 1_000)
        #expect((wait ?? 0) <= 100)
        idle.sent(now)
        now += 20
        idle.answered(now, entries: 1, isFull: false)
    }
    #expect(now == 120)  // it had caught up at 20
}

@Test func aBacklogIsNoEnd() {
    var idle = Idleness(.stop, blockMs: 100)
    idle.answered(0, entries: 1, isFull: false)
    idle.answered(90, entries: 10, isFull: true)
    idle.answered(200, entries: 1, isFull: false)
    #expect(!idle.isOver)
    idle.answered(300, entries: 0, isFull: false)
    #expect(idle.isOver)
}

@Test func aReaderWhoWasAwayLooksOnceMore() {
    var idle = Idleness(.stop, blockMs: 100)
    idle.answered(0, entries: 1, isFull: false)
    idle.handedOver()
    idle.isAsked(5_000)
    #expect(!idle.isOver)
    #expect(idle.waitMs(5_000, most: 1_000) == nil)
    idle.answered(5_001, entries: 1, isFull: false)
    #expect(idle.isOver)
}

@Test(arguments: [IdleAction.stop, .empty])
func withoutAWaitItIsAskedOnce(_ action: IdleAction) {
    var idle = Idleness(action, blockMs: nil)
    idle.isAsked(0)
    #expect(idle.waitMs(0, most: 1_000) == nil)
    idle.answered(7, entries: 0, isFull: false, isPrefetch: true)
    #expect(!idle.isOver && !idle.isEmpty)
    idle.answered(9, entries: 0, isFull: false)
    #expect(idle.isOver == (action == .stop))
    #expect(idle.isEmpty == (action == .empty))
}

@Test func emptyAgainAndAgain() {
    var idle = Idleness(.empty, blockMs: 50)
    for round in 0..<3 {
        let now = Int64(round) * 1_000
        idle.isAsked(now)
        idle.answered(now + 10, entries: 0, isFull: false)
        #expect(!idle.isEmpty)
        #expect(idle.waitMs(now + 10, most: 1_000) == 40)
        idle.answered(now + 50, entries: 0, isFull: false)
        #expect(idle.isEmpty && !idle.isOver)
        idle.handedOver()
        #expect(!idle.isEmpty)
    }
}

@Test(arguments: [IdleAction.stop, .empty, .wait])
func zeroIsForEver(_ action: IdleAction) {
    var idle = Idleness(action, blockMs: 0)
    idle.isAsked(0)
    #expect(idle.waitMs(0, most: 1_000) == 1_000)
    idle.answered(1_000_000, entries: 0, isFull: false)
    #expect(!idle.isOver && !idle.isEmpty)
}

@Test func aBatchThatWasTakenBackIsNoEnd() {
    var idle = Idleness(.stop, blockMs: nil)
    idle.answered(0, entries: 1, isFull: false)
    #expect(idle.isOver)
    idle.takeBack()
    #expect(!idle.isOver)
}

@Test func lessIsAskedForAfterLossesInARow() {
    var size = AnswerSize()
    var isLess = [size.lost(asked: 100)]  // that can happen to any answer
    size.came(entries: 100)
    isLess.append(size.lost(asked: 100))
    #expect(isLess == [false, false])
    #expect(size.entriesMax == .max)
    for expected in [50, 25, 12, 6, 3, 1] {
        isLess.append(size.lost(asked: min(100, size.entriesMax)))
        #expect(size.entriesMax == expected)
        #expect(!size.isStuck)
    }
    #expect(isLess.suffix(6).allSatisfy { $0 })
    isLess.append(size.lost(asked: 1))
    #expect(isLess.last == false)
    #expect(size.isStuck)
}

@Test func moreIsAskedForAgainAfterFullAnswers() {
    var size = AnswerSize()
    _ = size.lost(asked: 64)
    _ = size.lost(asked: 64)
    var answers = 0
    while size.entriesMax < .max {
        size.came(entries: size.entriesMax)
        size.came(entries: 0)  // tells nothing
        answers += 1
    }
    #expect((100...200).contains(answers))
    // It fails again: then that takes longer.
    _ = size.lost(asked: 64)
    _ = size.lost(asked: 64)
    for _ in 0..<8 { size.came(entries: 32) }
    #expect(size.entriesMax == 32 || size.entriesMax == 64)
}
