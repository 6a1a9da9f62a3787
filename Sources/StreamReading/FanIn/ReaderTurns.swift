// SPDX-License-Identifier: Apache-2.0
// Whose turn it is among the readers of one iterator, and whether all of them are idle. Pure: it
// knows no reader, only their numbers.

/// Readers that may have something to do take turns, so that none keeps the others waiting.
struct ReaderTurns {
    private var due: [Int]
    private var isDue: [Bool]
    private var ended: [Bool]
    /// Whether a reader has found its streams idle since the caller asked for this batch.
    private var isIdle: [Bool]
    /// Whether the caller waits for a batch, perhaps over several calls.
    private var isAsked = false

    /// All readers are due.
    init(readers count: Int) {
        due = Array(0..<count)
        isDue = Array(repeating: true, count: count)
        ended = Array(repeating: false, count: count)
        isIdle = ended
    }

    /// How many are due.
    var dueCount: Int { due.count }

    /// How many have not ended.
    var leftCount: Int { ended.count { !$0 } }

    func hasEnded(_ index: Int) -> Bool { ended[index] }

    mutating func makeDue(_ index: Int) {
        guard !isDue[index], !ended[index] else { return }
        isDue[index] = true
        due.append(index)
    }

    mutating func makeAllDue() { for index in ended.indices { makeDue(index) } }

    /// The caller asks for a batch, or asks again: all readers have to know that somebody waits.
    mutating func callerAsks() {
        if !isAsked { makeAllDue() }
        isAsked = true
    }

    /// The reader that has waited longest for its turn.
    mutating func takeDue() -> Int? {
        guard !due.isEmpty else { return nil }
        let index = due.removeFirst()
        isDue[index] = false
        return index
    }

    /// A reader has come to its end.
    mutating func end(_ index: Int) { ended[index] = true }

    /// The last batch was taken back: no reader has ended. Whether this one had.
    mutating func goOn(_ index: Int) -> Bool {
        defer {
            ended[index] = false
            makeDue(index)
        }
        return ended[index]
    }

    // MARK: Idleness

    /// A reader has nothing to read: true if none has, so that the caller is told. `isAskedOnce`:
    /// its server is not asked to wait; it has its next turn when the caller asks again.
    mutating func isIdle(_ index: Int, isAskedOnce: Bool) -> Bool {
        isIdle[index] = true
        if isIdle.indices.allSatisfy({ isIdle[$0] || ended[$0] }) { return true }
        if isAskedOnce {
            isDue[index] = false
            due.removeAll { $0 == index }
        }
        return false
    }

    /// The caller has got a batch or an error.
    mutating func handedOver() {
        isAsked = false
        for index in isIdle.indices { isIdle[index] = false }
    }
}
