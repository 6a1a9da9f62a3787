// SPDX-License-Identifier: Apache-2.0
// How a connection waits: until something comes, until it is too late, or until somebody cancels.
// Callers who wait in an event loop of their own get a descriptor and an alarm.

import CPlatform
import RedcolBase

extension Connection {
    public enum Wake: Sendable {
        /// There may be something to do.
        case ready
        /// `until` has come.
        case timeout
        /// A signal came: the host should look at it.
        case interrupted
    }

    /// When `advance` or the reader should be called again even if nothing comes; nil for never.
    public var deadline: Int64? {
        let own: Int64?
        switch phase {
        case .closed: return nil
        case .locating: return min(connectDeadline, locator?.wakeAt ?? .max)
        case .connecting: return min(connectDeadline, attempts.nextAt ?? .max)
        case .fetchingCredentials, .resolving, .handshaking, .loggingIn: return connectDeadline
        case .ready: own = clock.deadline
        }
        guard let doubtAt else { return own }
        return min(own ?? .max, locatorFD < 0 ? doubtAt : locator?.wakeAt ?? .max)
    }

    /// Waits until something happens or the clock shows `until` (milliseconds of the monotonic
    /// clock; nil forever). A server that is silent for too long is an error, and so is a cancel.
    public func wait(until: Int64?) throws(RedcolError) -> Wake {
        let now = platform_monotonic_ms()
        // The caller may have been away for long: an answer that has come meanwhile is no silence.
        if phase != .ready || clock.isLate(now) { try checkDeadline(now) }
        if attemptGoesOn { return .ready }
        receivesLeft = Connection.receivesPerTurn
        var end = Int64.max
        if let until { end = min(end, until) }
        if let deadline { end = min(end, deadline) }
        if transport.holdsBytes { end = now }
        let timeout = end == Int64.max ? -1 : max(0, min(end - now, Int64(Int32.max)))
        var outcome = platform_poller_wait(poller, Int32(timeout))
        if outcome == Int32(PLATFORM_POLL_TIMEOUT), transport.holdsBytes {
            outcome = Int32(PLATFORM_POLL_SOCKET)
        }
        switch outcome {
        case Int32(PLATFORM_POLL_SOCKET):
            transport.somethingMayHaveCome()
            if phase == .ready { clock.somethingHasCome(platform_monotonic_ms()) }
            if locatorFD >= 0 { try lookForAnother(platform_monotonic_ms()) }
            return .ready
        case Int32(PLATFORM_POLL_CANCELLED):
            throw RedcolError(.cancelled, "cancelled while it waited")
        case Int32(PLATFORM_POLL_INTERRUPTED): return .interrupted
        case Int32(PLATFORM_POLL_FAILED):
            throw RedcolError(.connection, "waiting for \(endpoint.shown) failed")
        default:
            let later = platform_monotonic_ms()
            try checkDeadline(later)
            try lookForAnother(later)
            if let until, later >= until { return .timeout }
            return .ready
        }
    }

    private func checkDeadline(_ now: Int64) throws(RedcolError) {
        switch phase {
        case .closed: return
        case .locating, .fetchingCredentials, .resolving, .connecting, .handshaking, .loggingIn:
            guard now >= connectDeadline else { return }
            let error = tooLate
            closeSocket()
            if !goesOn(error) { throw error }
        case .ready:
            guard let exceeded = clock.exceeded(now) else { return }
            closeSocket()
            throw RedcolError(
                .timedOut,
                exceeded == .silence
                    ? "reading from \(endpoint.shown): the server was silent for "
                        + "\(timeouts.silenceMs) ms (timeout_ms)"
                    : "reading from \(endpoint.shown): an answer that comes in small pieces was "
                        + "not complete after \(timeouts.answerMs) ms (answer_timeout_ms)")
        }
    }

    /// Goes on connecting for a caller who has waited elsewhere, until `deadline` at most.
    public func advanceAfterWait(_ now: Int64) throws(RedcolError) -> Bool {
        hasWaited()
        try checkDeadline(now)
        return try advance()
    }

    /// Something may have come, for a caller who has waited elsewhere for `pollDescriptor`.
    public func hasWaited() {
        receivesLeft = Connection.receivesPerTurn
        transport.somethingMayHaveCome()
    }

    /// Makes `pollDescriptor` readable when the deadline has come, for callers who wait elsewhere.
    public func armAlarm(until: Int64?) {
        var end = Int64.max
        if let until { end = min(end, until) }
        if let deadline { end = min(end, deadline) }
        if transport.holdsBytes { end = 0 }
        let delay = end == Int64.max ? -1 : max(0, end - platform_monotonic_ms())
        platform_poller_set_alarm(poller, delay)
    }
}
