// SPDX-License-Identifier: Apache-2.0
// What the connections of one read have in common, of which only one is waited for at a time: a
// cancel, and the descriptor that its caller watches.

import CPlatform
import RedcolBase

extension Connection {
    /// A cancel of `other` ends the wait for this connection, from now on in place of its own.
    public func shareCancel(of other: Connection) throws(RedcolError) {
        guard !sharesCancel else { return }
        guard platform_poller_share_cancel(poller, other.poller) == 0 else {
            throw RedcolError(.memory, "no file descriptor for a connection")
        }
        sharesCancel = true
    }

    /// It has a cancel of its own again, before somebody else uses it.
    public func endSharingCancel() {
        guard sharesCancel, !isForked else { return }
        if platform_poller_share_cancel(poller, nil) != 0 { closeSocket() }
        sharesCancel = false
    }

    /// This connection is received from in place of `other`, within the same turn of their caller.
    public func takesTurn(of other: Connection) {
        receivesLeft = other.receivesLeft
        transport.somethingMayHaveCome()
    }

    /// `pollDescriptor` becomes readable when that of `other` does, until `unwatch`. `instead`: and
    /// not when something comes on this connection, which is taken later.
    public func watch(_ other: Connection, instead: Bool = false) {
        platform_poller_watch(poller, other.pollDescriptor, true, false, true)
        if instead { transport.watch(poller, reads: false) }
    }

    public func unwatch(_ other: Connection) {
        if isForked { return }
        platform_poller_unwatch(poller, other.pollDescriptor)
        transport.watch(poller, reads: true)
    }
}
