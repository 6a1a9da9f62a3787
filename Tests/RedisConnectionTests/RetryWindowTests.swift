// SPDX-License-Identifier: Apache-2.0
// When a server is tried again, and when that is enough; what to do about each error.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

@Test(arguments: [
    ("LOADING data", Remedy.tryAgain), ("BUSY script", .tryAgain), ("TRYAGAIN later", .tryAgain),
    ("CLUSTERDOWN", .tryAgain), ("NOREPLICAS Not enough", .tryAgain), ("MISCONF disk", .tryAgain),
    ("UNBLOCKED the stream key no longer exists", .tryAgain),
    ("ERR max number of clients reached", .tryAgain),
    ("READONLY You can't write", .relocate), ("MASTERDOWN Link", .relocate),
    ("ERR BUSY", .raise), ("WRONGTYPE key", .raise), ("NOPERM", .raise), ("BUSYGROUP", .raise),
    ("OOM command not allowed", .raise), ("MOVED 1 h:1", .raise), ("ASK 1 h:1", .raise),
    ("NOAUTH", .raise), ("max number of clients", .raise), ("", .raise),
])
func whatToDoAboutAnAnswer(_ text: String, _ remedy: Remedy) throws {
    let endpoint = try Endpoint(url: "redis://host")
    let error = RedcolError.server(utf8(text), endpoint: endpoint, asked: "XRANGE")
    #expect(error.remedy == remedy)
    #expect(error.isRefusalForNow == (remedy != .raise))
    #expect(!error.isConnectionLoss)
}

@Test(arguments: [
    (RedcolError.Cause.connection, true, true), (.timedOut, true, false), (.name, true, false),
    (.protocolViolation, true, false), (.value, false, false), (.tooLarge, false, false),
    (.memory, false, false), (.cancelled, false, false),
])
func whatToDoAboutALoss(_ cause: RedcolError.Cause, _ isLoss: Bool, _ isTriedAgain: Bool) {
    let error = RedcolError(cause, "what happened")
    #expect(error.isConnectionLoss == isLoss)
    #expect(error.isWorthAnotherTry == isTriedAgain)
    #expect(!error.isRefusalForNow)
}

@Test func attemptsAreEverLaterUntilItIsTooLate() throws {
    var window = RetryWindow(limitMs: 1_000)
    #expect(window.deadline == nil)
    var now: Int64 = 10_000
    var delays: [Int64] = []
    while let next = window.failed(now) {
        delays.append(next - now)
        now = next
    }
    #expect(delays.first == 0)
    #expect(zip(delays, delays.dropFirst().dropLast()).allSatisfy { $0 < $1 })
    #expect(window.deadline == 11_000)
    #expect((4...7).contains(delays.count))
    // None later than the end, and the last not long before it.
    #expect((10_890...11_000).contains(now))
}

@Test func aSuccessBeginsAnew() {
    var window = RetryWindow(limitMs: 1_000)
    for round in 0..<100 {
        let now = Int64(round) * 900
        let next = window.failed(now)
        #expect(next == now)
        #expect(window.deadline == now + 1_000)
        window.succeeded()
        #expect(window.deadline == nil)
    }
}

@Test func silenceCounts() {
    var window = RetryWindow(limitMs: 1_000)
    let next = window.failed(5_000, silentMs: 1_500)
    #expect(next == nil)
    #expect(window.deadline == 4_500)
}

@Test func withoutALimitItGoesOnForEver() {
    var window = RetryWindow(limitMs: nil)
    var now: Int64 = 0
    for _ in 0..<1_000 {
        let next = window.failed(now) ?? -1
        #expect(next >= now && next - now <= 6_250)
        now = next
    }
    #expect(now > 4_000_000)
}

@Test func askingForSomethingElseIsNoLaterAttempt() {
    var window = RetryWindow(limitMs: 5_000)
    for round in 0..<50 {
        let now = Int64(round) * 60
        let next = window.failed(now, isOther: true)
        #expect(next == now + 50)
    }
    #expect(window.attempts == 0)
}
