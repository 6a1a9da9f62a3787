// SPDX-License-Identifier: Apache-2.0
// The connections to one server: an idle one is used again, and each reader has one for itself,
// since a reply must never be taken for another reader's.

import CPlatform
import RedcolBase
import RedisConnection

/// Lends connections, and keeps a few that came back idle. Any thread.
final class ConnectionPool: @unchecked Sendable {
    let endpoint: Endpoint
    let timeouts: Timeouts
    /// Those that say where the server is, and whether a replica will do; nil if it is known.
    private let sentinels: Sentinels?
    private let wantsReplica: Bool
    /// Idle connections that are kept; more are closed.
    private static let idleMost = 4

    private let lock: OpaquePointer
    private var idle: [Connection] = []
    private var isClosed = false
    private let processID = getpid()

    static func make(
        _ endpoint: Endpoint, _ timeouts: Timeouts, _ sentinels: Sentinels? = nil,
        wantsReplica: Bool = false
    ) throws(RedcolError) -> ConnectionPool {
        guard let lock = platform_lock_new() else {
            throw RedcolError(.memory, "no memory for a client")
        }
        return ConnectionPool(endpoint, timeouts, sentinels, wantsReplica, lock)
    }

    private init(
        _ endpoint: Endpoint, _ timeouts: Timeouts, _ sentinels: Sentinels?, _ wantsReplica: Bool,
        _ lock: OpaquePointer
    ) {
        self.sentinels = sentinels
        self.wantsReplica = wantsReplica
        self.endpoint = endpoint
        self.timeouts = timeouts
        self.lock = lock
    }

    deinit { platform_lock_free(lock) }

    /// Whether this process is a fork of the one that made the pool: its sockets are not ours
    /// to use.
    var isForked: Bool { getpid() != processID }

    /// A connection for one user alone: an idle one that still works, else a new one that is not
    /// connected yet.
    func take() throws(RedcolError) -> Connection {
        while let connection = try popIdle() {
            if !connection.isStale(), connection.checkAgain() { return connection }
        }
        return try Connection(
            endpoint, timeouts,
            locator: sentinels.map {
                SentinelLocator($0, endpoint.server, timeouts, wantsReplica: wantsReplica)
            })
    }

    private func popIdle() throws(RedcolError) -> Connection? {
        platform_lock_acquire(lock)
        defer { platform_lock_release(lock) }
        if isClosed { throw RedcolError(.closed, "this client was closed: open another one") }
        return idle.popLast()
    }

    /// Takes a connection back. Only one on which nothing is awaited may be used again; another one
    /// is closed.
    func giveBack(_ connection: Connection, isIdle: Bool) {
        connection.takeCancel()
        // In a child the lock may be held by a thread that does not exist there.
        if isIdle, connection.isReady, !isForked {
            connection.expectNothing()
            platform_lock_acquire(lock)
            defer { platform_lock_release(lock) }
            if !isClosed, idle.count < ConnectionPool.idleMost {
                idle.append(connection)
                return
            }
        }
        connection.closeSocket()
    }

    /// Closes the idle connections; those in use are closed when they come back.
    func close() {
        if isForked { return }
        platform_lock_acquire(lock)
        let connections = idle
        idle = []
        isClosed = true
        platform_lock_release(lock)
        for connection in connections { connection.closeSocket() }
    }
}
