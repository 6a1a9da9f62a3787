// SPDX-License-Identifier: Apache-2.0
// Where a connection's server is, if that has to be found each time that the connection begins.

import RedcolBase

/// Finds a server for one connection. None of it waits. One thread at a time.
open class Locator {
    /// Whether a replica will do, and not only the master.
    public final let wantsReplica: Bool

    /// What is known of a server when the login is over.
    public struct Found {
        public let endpoint: Endpoint
        /// What it says that it is, "master" or "replica"; nil if it does not say.
        public let role: [UInt8]?
        public let isClusterNode: Bool
        /// The answer to what it was asked last.
        public let answer: Reply?
    }

    /// What is done with a server that was found.
    public enum Verdict {
        case stay
        /// Ask it this, and decide again.
        case ask(Command)
        /// Begin again with another one, within the same time.
        case goElsewhere
    }

    public init(wantsReplica: Bool) { self.wantsReplica = wantsReplica }

    /// Begins to look, until `deadline` at most; what it waits for makes the descriptor that it
    /// returns readable, if it is not -1. `goesOn`: the attempt to connect that was begun before
    /// goes on, with another server.
    open func begin(_ deadline: Int64, goesOn: Bool) throws(RedcolError) -> Int32 { -1 }

    /// Begins to look whether another server has taken the place of one that is silent.
    open func beginInDoubt(_ deadline: Int64) throws(RedcolError) -> Int32 {
        try begin(deadline, goesOn: false)
    }

    /// Goes on; the server once it is known.
    open func advance(_ now: Int64) throws(RedcolError) -> Server? { nil }

    /// When `advance` should be called although nothing has come.
    open var wakeAt: Int64 { .max }

    /// Until when the server that was found may take to log in, if others can be tried after it.
    open var serverDeadline: Int64 { .max }

    /// Stops looking.
    open func end() {}

    /// Whether another server may have taken the place of one that is silent.
    open var canHaveMoved: Bool { !wantsReplica }

    /// Whether an idle connection is asked what its server is before it is used again.
    open var doubtsIdle: Bool { true }

    /// Decides about a server that has logged the connection in. Throws if it is not what was
    /// looked for.
    open func judge(_ found: Found) throws(RedcolError) -> Verdict { .stay }

    /// Whether another server is tried at once, after this error.
    open func goesOn(after error: RedcolError) -> Bool { false }

    /// Whether the server wants to hear ASKING before each command.
    open var saysAsking: Bool { false }

    /// The server has answered this error, which may name another one.
    open func answered(_ line: [UInt8], by server: Server) {}
}
