// SPDX-License-Identifier: Apache-2.0
// Which server is asked. Readers and writers say which key they want to read or to write, and get
// a connection; when it is lost, they connect it again.

import RedcolBase
import RedisConnection

/// The servers behind a URL, and the connections to them. Any thread.
public final class Topology: Sendable {
    /// What a connection is wanted for.
    public enum Use: Sendable { case reading, writing }

    /// The only server there is.
    private let server: ConnectionPool

    /// One server, which has every key and takes reads and writes.
    public static func singleServer(
        _ endpoint: Endpoint, _ timeouts: Timeouts
    ) throws(RedcolError) -> Topology {
        Topology(try ConnectionPool.make(endpoint, timeouts))
    }

    private init(_ server: ConnectionPool) { self.server = server }

    public var timeouts: Timeouts { server.timeouts }
    /// What must not be shown of the URL.
    public var secrets: Secrets { server.endpoint.secrets }
    /// Whether the servers are on this machine.
    public var isLocal: Bool { server.endpoint.server.isLocal }
    /// Whether this process is a fork of the one that connected: the sockets are not ours to use.
    public var isForked: Bool { server.isForked }

    /// A connection to the server that has `key`, for one user alone. It may not be connected yet.
    /// Any server will do when `key` is nil.
    public func take(for key: [UInt8]?, to use: Use) throws(RedcolError) -> Connection {
        try server.take()
    }

    /// Takes a connection back. Only one on which nothing is awaited may be used again; another one
    /// is closed.
    public func giveBack(_ connection: Connection, isIdle: Bool) {
        server.giveBack(connection, isIdle: isIdle)
    }

    /// Closes the idle connections; those in use are closed when they come back.
    public func close() { server.close() }
}
