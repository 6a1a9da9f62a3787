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

private func idle(_ turns: inout ReaderTurns, _ index: Int, _ isAskedOnce: Bool = false) -> Bool {
    turns.isIdle(index, isAskedOnce: isAskedOnce)
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
    #expect(!idle(&turns, 0))
    #expect(!idle(&turns, 0))
    turns.end(1)
    #expect(idle(&turns, 2))
    // All of them have to be idle again before that is said again.
    turns.handedOver()
    #expect(!idle(&turns, 2))
    #expect(idle(&turns, 0))
}

@Test func allReadersKnowThatTheCallerWaits() {
    var turns = ReaderTurns(readers: 2)
    _ = due(&turns)
    turns.callerAsks()
    #expect(due(&turns) == [0, 1])
    // It asks once more after a time limit, and nobody has to be told that.
    turns.callerAsks()
    #expect(due(&turns).isEmpty)
    turns.handedOver()
    turns.callerAsks()
    #expect(due(&turns) == [0, 1])
}

/// A reader whose server is asked once is not asked again before the others have answered.
@Test func anIdleReaderWaitsForTheOthers() {
    var turns = ReaderTurns(readers: 2)
    for isAskedOnce in [false, true] {
        _ = due(&turns)
        turns.makeAllDue()
        #expect(!idle(&turns, 0, isAskedOnce))
        #expect(due(&turns) == (isAskedOnce ? [1] : [0, 1]))
    }
    // Its server has sent something.
    turns.makeDue(0)
    #expect(due(&turns) == [0])
    // The last one is asked again when the caller asks.
    turns.makeDue(1)
    #expect(idle(&turns, 1, true))
    #expect(due(&turns) == [1])
}
