// SPDX-License-Identifier: Apache-2.0
// When a read tries again after it has lost its connection, and when it gives up.

import RedcolBase
import RedisConnection
import Testing

@testable import StreamReading

private let lost = RedcolError(.connection, "the server closed the connection")

private func reconnecting(_ pairs: (key: String, value: String)...) throws -> Reconnecting {
    var timeouts = Timeouts()
    timeouts.silenceMs = 1_000
    timeouts.connectMs = 700
    return Reconnecting(try ReadOptions(pairs), timeouts)
}

extension Reconnecting {
    /// What the caller is told after a failure; nil while it is tried again.
    fileprivate mutating func told(
        at now: Int64, _ error: RedcolError = lost, entriesLost: Int? = nil
    ) -> RedcolError? {
        do throws(RedcolError) {
            try failed(error, entriesLost: entriesLost, shown: "host:1", now)
            disconnected()
            return nil
        } catch {
            return error
        }
    }

    fileprivate mutating func tries(_ now: Int64) -> Bool? { try? mayTry(now) }
}

@Suite struct ReconnectingTests {
    @Test func atOnceAndThenLater() throws {
        var reconnecting = try reconnecting(("follow", "true"))
        reconnecting.connected(shown: "host:1", retryMs: 5_000)
        #expect(reconnecting.tries(0) == true)
        #expect(reconnecting.told(at: 0) == nil)
        #expect(reconnecting.wakeAt(9_000) == 0)
        #expect(reconnecting.tries(0) == true)
        #expect(reconnecting.told(at: 0) == nil)
        let next = try #require(reconnecting.wakeAt(9_000))
        #expect(next >= 37 && next <= 63)
        #expect(reconnecting.tries(next - 1) == false)
        #expect(reconnecting.tries(next) == true)
        // Nothing waits any more, but what the reader waits for.
        #expect(reconnecting.wakeAt(9_000) == 9_000)
    }

    @Test func theNodeThatWasNamedIsAskedAtOnce() throws {
        var reconnecting = try reconnecting()
        let moved = RedcolError(
            answered: .server, "MOVED 1 host:2", details: [], remedy: .redirect)
        for _ in 0..<RetryWindow.redirectsMax {
            #expect(reconnecting.told(at: 0, moved) == nil)
            #expect(reconnecting.triesAtOnce)
        }
        // Servers that name each other in a circle, and lost connections: then it waits. The first
        // wait is of no length.
        #expect(reconnecting.told(at: 0, moved) == nil)
        #expect(!reconnecting.triesAtOnce)
    }

    @Test func whatHasComeBeginsTheWaitsAgain() throws {
        var reconnecting = try reconnecting(("follow", "true"))
        for _ in 0..<5 { #expect(reconnecting.told(at: 0) == nil) }
        reconnecting.connected(shown: "host:1", retryMs: 5_000)
        reconnecting.progressed()
        #expect(reconnecting.told(at: 1_000) == nil)
        #expect(reconnecting.wakeAt(nil) == 1_000)
    }

    @Test func aReadThatFollowsGivesUpAfterItsLimit() throws {
        var reconnecting = try reconnecting(("follow", "true"), ("reconnect_timeout_ms", "500"))
        reconnecting.connected(shown: "host:1", retryMs: 5_000)
        #expect(reconnecting.told(at: 0) == nil)
        #expect(reconnecting.wakeAt(nil) == 0)
        #expect(reconnecting.tries(0) == true)
        // It connects: that is waited for no longer than to the end.
        #expect(reconnecting.wakeAt(nil) == 500)
        #expect(reconnecting.tries(499) == true)
        #expect(reconnecting.tries(500) == nil)
        let failure = reconnecting.told(at: 500)
        let told = try #require(failure)
        #expect(told.cause == .connection)
        #expect(told.message.contains("no answer for 500 ms (reconnect_timeout_ms)"))
        #expect(told.message.contains(lost.message))
        // It may be asked again.
        reconnecting.begin()
        #expect(reconnecting.tries(501) == true)
        #expect(reconnecting.told(at: 501) == nil)
    }

    @Test func aServerThatWasSilentIsGivenUpEarlier() throws {
        var reconnecting = try reconnecting(("follow", "true"), ("reconnect_timeout_ms", "1500"))
        reconnecting.connected(shown: "host:1", retryMs: 5_000)
        #expect(reconnecting.told(at: 0, RedcolError(.timedOut, "silent")) == nil)
        #expect(reconnecting.tries(499) == true)
        #expect(reconnecting.tries(500) == nil)
    }

    @Test func whatIsTriedAgain() throws {
        let follows = try reconnecting(("follow", "true"))
        let ends = try reconnecting()
        for (cause, whenFollowing, else_) in [
            (.connection, true, true), (.timedOut, true, false), (.name, true, false),
            (.protocolViolation, true, false), (.value, false, false),
            (.permission, false, false), (.cancelled, false, false), (.interrupted, false, false),
        ] as [(RedcolError.Cause, Bool, Bool)] {
            #expect(follows.triesAgain(after: RedcolError(cause, "")) == whenFollowing)
            #expect(ends.triesAgain(after: RedcolError(cause, "")) == else_)
        }
    }

    @Test func lessIsAskedForUntilOneEntryDoesNotGetThrough() throws {
        var reconnecting = try reconnecting()
        var now: Int64 = 0
        var told: RedcolError?
        var asked = 8
        for _ in 0..<100 where told == nil {
            reconnecting.connected(shown: "host:1", retryMs: 5_000)
            asked = min(asked, reconnecting.answerSize.entriesMax)
            told = reconnecting.told(at: now, entriesLost: asked)
            now = max(now, reconnecting.wakeAt(nil) ?? now)
        }
        #expect(asked == 1)
        #expect(now <= 1_000)
        #expect(told?.message.contains("client-output-buffer-limit") == true)
    }
}
