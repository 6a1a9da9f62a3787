// SPDX-License-Identifier: Apache-2.0
// Whose turn it is among several readers, and when all of them are idle, without a server.

import Testing

@testable import StreamReading

/// The readers that have their turn now, one after the other.
private func due(_ turns: inout ReaderTurns) -> [Int] {
    var found: [Int] = []
    while let index = turns.takeDue() { found.append(index) }
    return found
}

@Test func readersTakeTurns() {
    var turns = ReaderTurns(readers: 3)
    let first = turns.takeDue()
    #expect(first == 0)
    // It has more to do, and waits for its next turn, once.
    turns.makeDue(0)
    turns.makeDue(0)
    #expect(turns.dueCount == 3)
    #expect(due(&turns) == [1, 2, 0])
    #expect(turns.dueCount == 0)
    turns.makeDue(2)
    turns.makeAllDue()
    #expect(due(&turns) == [2, 0, 1])
}

@Test func aReaderThatHasEndedHasNoTurn() {
    var turns = ReaderTurns(readers: 3)
    _ = due(&turns)
    turns.end(1)
    #expect(turns.leftCount == 2)
    turns.makeDue(1)
    turns.makeAllDue()
    #expect(due(&turns) == [0, 2])
    // The last batch was taken back.
    let had = (0..<3).map { turns.goOn($0) }
    #expect(had == [false, true, false])
    #expect(turns.leftCount == 3)
    #expect(due(&turns) == [0, 1, 2])
}

@Test func theCallerIsToldWhenAllReadersAreIdle() {
    var turns = ReaderTurns(readers: 3)
    #expect(!turns.isIdle(0, isAskedOnce: false))
    #expect(!turns.isIdle(0, isAskedOnce: false))
    turns.end(1)
    #expect(turns.isIdle(2, isAskedOnce: false))
    // All of them have to be idle again before that is said again.
    turns.handedOver()
    #expect(!turns.isIdle(2, isAskedOnce: false))
    #expect(turns.isIdle(0, isAskedOnce: false))
}

/// A reader whose server is asked once is not asked again before the others have answered.
@Test func anIdleReaderWaitsForTheOthers() {
    var turns = ReaderTurns(readers: 2)
    for isAskedOnce in [false, true] {
        _ = due(&turns)
        turns.makeAllDue()
        #expect(!turns.isIdle(0, isAskedOnce: isAskedOnce))
        #expect(due(&turns) == (isAskedOnce ? [1] : [0, 1]))
    }
    // Its server has sent something, or the caller has asked again.
    turns.makeDue(0)
    #expect(due(&turns) == [0])
    // The last one is asked again when the caller asks.
    turns.makeDue(1)
    #expect(turns.isIdle(1, isAskedOnce: true))
    #expect(due(&turns) == [1])
}
