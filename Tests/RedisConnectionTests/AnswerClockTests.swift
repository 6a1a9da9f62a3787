// SPDX-License-Identifier: Apache-2.0
// How long an answer may take: silence, drips, and what flows. Time is given: no test waits.

import RedisConnection
import Testing

@testable import RedisConnection

@Suite struct AnswerClockTests {
    private func clock(answerMs: Int64? = nil) -> AnswerClock {
        var timeouts = Timeouts()
        timeouts.silenceMs = 1_000
        timeouts.answerMsGiven = answerMs
        return AnswerClock(timeouts)
    }

    @Test func nothingIsAwaited() {
        var clock = clock()
        #expect(clock.deadline == nil && clock.exceeded(.max) == nil)
        clock.asked(extraMs: 0, 0)
        clock.expectNothing()
        #expect(clock.deadline == nil && clock.exceeded(.max) == nil)
    }

    @Test func silence() {
        var clock = clock()
        clock.asked(extraMs: 500, 0)
        #expect(clock.deadline == 1_500)
        #expect(clock.exceeded(1_499) == nil && clock.exceeded(1_500) == .silence)
        clock.moved(bytes: 1, 1_400)
        #expect(clock.exceeded(2_399) == nil && clock.exceeded(2_400) == .silence)
    }

    /// Ten times the silence if nothing else is said, however the bytes come.
    @Test(arguments: [(nil, 10_000), (3_000, 3_000), (100, 100)])
    func drips(_ given: Int64?, _ most: Int64) {
        var clock = clock(answerMs: given)
        clock.asked(extraMs: 0, 0)
        var now: Int64 = 0
        while clock.exceeded(now) == nil, now < 100_000 {
            now += 500
            clock.moved(bytes: 1, now)
        }
        #expect(clock.exceeded(now) == .answer)
        #expect(now >= most && now <= most + 500)
    }

    @Test(arguments: [(100, false), (1_000, false), (5_000, true), (1_000_000, true)])
    func flow(_ bytesPerSecond: Int, _ isLeftAlone: Bool) {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        var now: Int64 = 0
        while clock.exceeded(now) == nil, now < 1_000_000 {
            now += 100
            clock.moved(bytes: bytesPerSecond / 10, now)
        }
        #expect((clock.exceeded(now) == nil) == isLeftAlone)
    }

    @Test func aBurstPaysForNoDrips() {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        clock.moved(bytes: .max, 100)
        for now in stride(from: Int64(200), through: 10_000, by: 100) {
            clock.moved(bytes: 1, now)
            #expect(clock.exceeded(now) == nil)
        }
        #expect(clock.exceeded(10_100) == .answer)
    }

    @Test func eachAnswerHasItsTime() {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        clock.moved(bytes: 1, 9_500)
        clock.answered(9_500)
        clock.asked(extraMs: 0, 9_600)
        clock.moved(bytes: 1, 19_000)
        #expect(clock.exceeded(19_400) == nil && clock.exceeded(19_500) == .answer)
    }

    /// What is asked in addition gives no time to the answer that is awaited already.
    @Test func askingDoesNotProlong() {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        for now in stride(from: Int64(0), through: 9_999, by: 100) {
            clock.asked(extraMs: 0, now)
            clock.moved(bytes: 1, now)
        }
        #expect(clock.exceeded(10_000) == .answer)
    }

    @Test func theTimeOfACallerIsNotTheServers() {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        clock.moved(bytes: 1, 100)
        clock.callerIsAway(200)
        clock.callerIsBack(60_200)
        clock.moved(bytes: 1, 60_300)
        #expect(clock.exceeded(60_400) == nil)
        #expect(clock.exceeded(61_300) == .silence)
    }

    /// What had come when the time was over is looked at first.
    @Test func lateBytesAreLookedAtOnce() {
        var clock = clock()
        clock.asked(extraMs: 0, 0)
        clock.moved(bytes: 1, 9_900)
        #expect(!clock.isLate(10_500))
        clock.somethingHasCome(10_500)
        clock.moved(bytes: 1, 10_500)
        #expect(clock.isLate(10_500))
        clock.moved(bytes: 100_000, 10_500)
        #expect(!clock.isLate(10_500))
    }
}
