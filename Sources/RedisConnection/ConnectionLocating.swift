// SPDX-License-Identifier: Apache-2.0
// What a connection does with its locator: when it begins, and when its server has been silent for
// so long that another one may have taken its place.

import CPlatform
import RedcolBase

extension Connection {
    /// `inDoubt`: whether another server has taken the place of this one.
    func startLocating(
        until deadline: Int64, goesOn: Bool = false, inDoubt: Bool = false
    ) throws(RedcolError) {
        guard let locator else { return }
        locatorFD =
            inDoubt
            ? try locator.beginInDoubt(deadline) : try locator.begin(deadline, goesOn: goesOn)
        guard locatorFD >= 0 else { return }
        let error = platform_poller_watch(poller, locatorFD, true, false, true)
        if error != 0 { throw RedcolError(.memory, "\(endpoint.shown): \(errorText(error))") }
    }

    func stopLocating() {
        // A child shares the poller with its parent, which goes on watching.
        if locatorFD >= 0, !isForked { platform_poller_unwatch(poller, locatorFD) }
        locatorFD = -1
        locator?.end()
    }

    /// How long a server may be silent until the locator is asked about it.
    private static let doubtMs: Int64 = 1_000

    /// When the locator is asked whether a silent server still is the one; nil if it is not.
    var doubtAt: Int64? {
        guard let locator, locator.canHaveMoved else { return nil }
        let since: Int64?
        switch phase {
        case .closed, .locating: return nil
        case .ready: since = clock.silentSince
        default: since = attemptDeadline - timeouts.connectMs
        }
        return since.map { max($0 + Connection.doubtMs, doubtsAgainAt) }
    }

    /// Asks the locator about a silent server, without waiting; throws if there is another one now.
    func lookForAnother(_ now: Int64) throws(RedcolError) {
        guard let locator, phase != .locating else { return }
        guard let doubtAt, now >= doubtAt else {
            if locatorFD >= 0 { stopLocating() }
            return
        }
        var other: Server?
        do throws(RedcolError) {
            if locatorFD < 0 {
                try startLocating(until: now + timeouts.connectMs, inDoubt: true)
            }
            other = try locator.advance(now)
            if other == nil { return }
        } catch {}  // Nobody could tell: it is asked again.
        stopLocating()
        doubtsAgainAt = now + Connection.doubtMs
        guard let other, !other.isSame(as: endpoint.server) else { return }
        let error = lost("it is silent, and the master is \(other.shown) now")
        let wasReady = isReady
        closeSocket()
        if wasReady || !goesOn(error) { throw error }
    }
}
