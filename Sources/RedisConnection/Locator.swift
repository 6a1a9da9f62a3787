// SPDX-License-Identifier: Apache-2.0
// Where a connection's server is, if that has to be found each time that the connection begins.

import RedcolBase

/// Finds a server for one connection. None of it waits. One thread at a time.
open class Locator {
    /// Whether a replica will do, and not only the master.
    public let wantsReplica: Bool

    public init(wantsReplica: Bool) { self.wantsReplica = wantsReplica }

    /// Begins to look, until `deadline` at most; what it waits for makes the descriptor that it
    /// returns readable.
    open func begin(_ deadline: Int64) throws(RedcolError) -> Int32 { -1 }

    /// Goes on; the server once it is known.
    open func advance(_ now: Int64) throws(RedcolError) -> Server? { nil }

    /// When `advance` should be called although nothing has come.
    open var wakeAt: Int64 { .max }

    /// Stops looking.
    open func end() {}

    /// Refuses a server that is not what was looked for. `role`: what it says that it is, "master"
    /// or "replica"; nil if it does not say.
    open func check(role: [UInt8]?, of shown: String) throws(RedcolError) {}
}
