// SPDX-License-Identifier: Apache-2.0
// Which deliveries count, without a server.

import RedcolBase
import Testing

@testable import StreamReading

private func row(_ milliseconds: UInt64, stream: Int32 = 0) -> RowID {
    RowID(id: EntryID(milliseconds, 0), stream: stream)
}

extension DeliveryLedger {
    fileprivate mutating func own(_ row: RowID, _ count: Int64, isInHand: Bool = false) -> Int64 {
        beginPage(isOwn: true)
        return counted(row, count, isOwnPage: true, isOwn: true, isInHand: isInHand).had
    }

    fileprivate mutating func idle(_ row: RowID, _ count: Int64) -> Int64 {
        beginPage(isOwn: false)
        return counted(row, count, isOwnPage: false, isOwn: false, isInHand: false).had
    }
}

@Test func whatWasThereBeforeCounts() {
    var ledger = DeliveryLedger()
    #expect(ledger.own(row(1), 4) == 4)
    #expect(ledger.own(row(1), 4) == 4)
}

@Test func deliveriesWhoseAnswersAreLostDoNotCount() {
    var ledger = DeliveryLedger()
    for lost in 0..<9 {
        #expect(ledger.own(row(1), 2 + Int64(lost)) == 2)
        ledger.askedForOwn()
    }
    // The server was not even asked.
    #expect(ledger.own(row(1), 10) == 2)
    ledger.askedForOwn()
    ledger.delivered([row(1)])
    #expect(ledger.own(row(1), 11) == 3)
}

@Test func newEntriesWhoseAnswerIsLostWereNeverDelivered() {
    var ledger = DeliveryLedger()
    #expect(ledger.own(row(1), 1) == 1)
    ledger.hasBegun(0)
    #expect(ledger.own(row(2), 1) == 0)
    #expect(ledger.own(row(2, stream: 1), 1) == 1)
    #expect(ledger.own(row(3), 1, isInHand: true) == 1)
}

@Test func whatComesAgainWhileItIsInHandDoesNotCount() {
    var ledger = DeliveryLedger()
    ledger.hasBegun(0)
    for time in 1...5 {
        #expect(ledger.own(row(1), Int64(time), isInHand: true) == 1)
        ledger.askedForOwn()
    }
}

@Test func aValueThatDoesNotFitIsADelivery() {
    var ledger = DeliveryLedger()
    ledger.hasBegun(0)
    ledger.told(row(1))
    for time in 1...3 {
        #expect(ledger.own(row(1), Int64(time)) == Int64(time))
        ledger.askedForOwn()
        ledger.told(row(1))
    }
}

@Test func aBatchThatWasTakenBackWasNotDelivered() {
    var ledger = DeliveryLedger()
    #expect(ledger.own(row(1), 2) == 2)
    ledger.askedForOwn()
    ledger.delivered([row(1)])
    ledger.takenBack([row(1)])
    #expect(ledger.own(row(1), 3) == 2)
}

@Test func aClaimWhoseAnswerIsLost() {
    var ledger = DeliveryLedger()
    ledger.hasBegun(0)
    #expect(ledger.idle(row(1), 2) == 2)
    ledger.askedForIdle(from: row(1).id, through: row(1).id)
    #expect(ledger.own(row(1), 3) == 2)
    // Another has it after that: one of two deliveries is real.
    ledger.askedForOwn()
    #expect(ledger.idle(row(1), 5) == 3)
    // What others do among themselves counts.
    #expect(ledger.idle(row(1), 6) == 4)
    #expect(ledger.idle(row(2), 1) == 1)
    ledger.askedForIdle(from: row(2).id, through: row(2).id)
    #expect(ledger.idle(row(2), 2) == 2)
}

@Test func onlyThoseThatAreAskedFor() {
    var ledger = DeliveryLedger()
    #expect(ledger.idle(row(1), 1) == 1)
    ledger.askedForIdle(from: row(2).id, through: row(9).id)
    #expect(ledger.own(row(1), 2) == 2)
}

@Test func whatIsForgotten() {
    var ledger = DeliveryLedger()
    ledger.hasBegun(0)
    for number in 1...4 as ClosedRange<UInt64> { #expect(ledger.own(row(number), 3) == 0) }
    ledger.keepOnly([row(1)], stream: 0, after: .smallest, through: row(2).id)
    ledger.forget(row(3))
    // They count as new ones again; the others keep what was in vain.
    #expect([1, 2, 3, 4].map { ledger.own(row($0), 5) } == [2, 0, 0, 2])
    ledger.forget(stream: 0)
    #expect(ledger.own(row(4), 7) == 0)
}

@Test func countsThatNoServerShouldSend() {
    var ledger = DeliveryLedger()
    ledger.hasBegun(0)
    for count in [Int64.min, -1, 0, .max] {
        #expect(ledger.own(row(1), count) >= 0)
        ledger.askedForOwn()
        #expect(ledger.own(row(1), .max) >= 0)
        ledger.askedForOwn()
        #expect(ledger.own(row(1), .min) >= 0)
        ledger.takenBack([row(1)])
    }
}
