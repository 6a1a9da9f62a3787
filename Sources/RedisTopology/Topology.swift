// SPDX-License-Identifier: Apache-2.0
// Which server is asked. Readers and writers say which key they want to read or to write, and get
// a connection; when it is lost, they connect it again.

import RedcolBase
import RedisConnection

/// The servers behind a URL, and the connections to them. Any thread.
public final class Topology: Sendable {
    /// What a connection is wanted for.
    public enum Use: Sendable {
        /// What was written some time ago: a replica may have it, too.
        case reading
        /// What is written now.
        case following
        case writing
    }

    /// The server that has every key, and takes reads and writes.
    private let master: ConnectionPool
    /// Where ranges are read, if not there.
    private let replicas: ConnectionPool?

    /// The server of a URL, or those of a service.
    public static func make(
        _ endpoint: Endpoint, _ timeouts: Timeouts
    ) throws(RedcolError) -> Topology {
        guard case .service(let service) = endpoint.server.address else {
            return Topology(try ConnectionPool.make(endpoint, timeouts), nil)
        }
        var timeouts = timeouts
        timeouts.retryMs = SentinelLocator.retryMs
        let sentinels = try Sentinels.make(service)
        return Topology(
            try ConnectionPool.make(endpoint, timeouts, sentinels),
            service.readsReplicas
                ? try ConnectionPool.make(endpoint, timeouts, sentinels, wantsReplica: true) : nil)
    }

    private init(_ master: ConnectionPool, _ replicas: ConnectionPool?) {
        self.master = master
        self.replicas = replicas
    }

    public var timeouts: Timeouts { master.timeouts }
    /// What must not be shown of the URL.
    public var secrets: Secrets { master.endpoint.secrets }
    /// Whether the servers are on this machine.
    public var isLocal: Bool { master.endpoint.server.isLocal }
    /// Whether this process is a fork of the one that connected: the sockets are not ours to use.
    public var isForked: Bool { master.isForked }

    /// A connection to the server that has `key`, for one user alone. It may not be connected yet.
    /// Any server will do when `key` is nil.
    public func take(for key: [UInt8]?, to use: Use) throws(RedcolError) -> Connection {
        if use == .reading, let replicas { return try replicas.take() }
        return try master.take()
    }

    /// Takes a connection back. Only one on which nothing is awaited may be used again; another one
    /// is closed.
    public func giveBack(_ connection: Connection, isIdle: Bool) {
        let pool = connection.locator?.wantsReplica == true ? replicas : nil
        (pool ?? master).giveBack(connection, isIdle: isIdle)
    }

    /// Closes the idle connections; those in use are closed when they come back.
    public func close() {
        master.close()
        replicas?.close()
    }
}
