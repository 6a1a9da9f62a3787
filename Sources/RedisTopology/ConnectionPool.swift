// SPDX-License-Identifier: Apache-2.0
// The connections of a client: an idle one is used again, and each reader has one for itself,
// since a reply must never be taken for another reader's.

import CPlatform
import RedcolBase
import RedisConnection

/// Lends connections, and keeps a few that came back idle. Any thread.
final class ConnectionPool: @unchecked Sendable {
    /// Who says which server a connection is to.
    enum Guide {
        case sentinels(Sentinels, ReadSource)
        /// The server itself, which may be a node of a cluster.
        case nodes(ClusterNodes, ReadSource)
    }

    let endpoint: Endpoint
    let timeouts: Timeouts
    private let guide: Guide
    /// Idle connections that are kept for one server, and for all nodes of a cluster; more are
    /// closed.
    private static let idleMost = 4
    private static let idleMostInAll = 64

    private let locked: Lock
    private var idle: [Connection] = []
    private var isClosed = false
    private let processID = getpid()

    static func make(
        _ endpoint: Endpoint, _ timeouts: Timeouts, _ guide: Guide
    ) throws(RedcolError) -> ConnectionPool {
        ConnectionPool(endpoint, timeouts, guide, try Lock(for: "a client"))
    }

    private init(
        _ endpoint: Endpoint, _ timeouts: Timeouts, _ guide: Guide, _ lock: consuming Lock
    ) {
        self.guide = guide
        self.endpoint = endpoint
        self.timeouts = timeouts
        locked = lock
    }

    /// Whether this process is a fork of the one that made the pool: its sockets are not ours
    /// to use.
    var isForked: Bool { getpid() != processID }

    /// A connection for one user alone: an idle one that still works, else a new one that is not
    /// connected yet.
    func take(_ target: ClusterTarget = .anyNode) throws(RedcolError) -> Connection {
        var servers: [Server]?
        if case .nodes(let nodes, let source) = guide, target != .anyNode {
            let found = nodes.servers(for: target, source)
            if !found.isEmpty { servers = found }
        }
        while let connection = try popIdle(servers) {
            if !connection.isStale(), connection.checkAgain() {
                clusterLocator(connection)?.retarget(target)
                return connection
            }
        }
        let locator: Locator
        switch guide {
        case .sentinels(let sentinels, let source):
            locator = SentinelLocator(sentinels, endpoint.server, timeouts, source)
        case .nodes(let nodes, let source):
            locator = ClusterLocator(nodes, endpoint, timeouts, for: target, source)
        }
        return try Connection(endpoint, timeouts, locator: locator)
    }

    /// The servers that have what a connection is for, the primary first, as far as is known.
    func copies(of target: ClusterTarget) -> [Server] {
        switch guide {
        case .sentinels(let sentinels, _): sentinels.copies
        case .nodes(let nodes, _): nodes.servers(for: target, .any)
        }
    }

    /// `servers`: those that it may be connected to; nil for any.
    private func popIdle(_ servers: [Server]?) throws(RedcolError) -> Connection? {
        let (connection, isClosed) = locked { (popAny(servers), self.isClosed) }
        if isClosed { throw RedcolError(.closed, "this client was closed: open another one") }
        return connection
    }

    private func popAny(_ servers: [Server]?) -> Connection? {
        guard let servers else { return idle.popLast() }
        let place = idle.lastIndex { connection in
            servers.contains { $0.isSame(as: connection.endpoint.server) }
        }
        return place.map { idle.remove(at: $0) }
    }

    private func clusterLocator(_ connection: Connection) -> ClusterLocator? {
        guard case .nodes = guide, let locator = connection.locator else { return nil }
        return unsafeDowncast(locator, to: ClusterLocator.self)
    }

    /// Takes a connection back. Only one on which nothing is awaited may be used again; another one
    /// is closed.
    func giveBack(_ connection: Connection, isIdle: Bool) {
        connection.takeCancel()
        connection.asksAboutEveryKey = false
        // In a child the lock may be held by a thread that does not exist there. One that says
        // ASKING is at a node that does not have its key yet.
        if isIdle, connection.isReady, !isForked, connection.locator?.saysAsking != true {
            connection.expectNothing()
            let isKept = locked {
                guard !isClosed, idle.count < ConnectionPool.idleMostInAll,
                    idle.count(where: { isAtServer(of: $0, connection) }) < ConnectionPool.idleMost
                else { return false }
                idle.append(connection)
                return true
            }
            if isKept { return }
        }
        connection.closeSocket()
    }

    private func isAtServer(of one: Connection, _ other: Connection) -> Bool {
        guard case .nodes = guide else { return true }
        return one.endpoint.server.isSame(as: other.endpoint.server)
    }

    /// Closes the idle connections; those in use are closed when they come back.
    func close() {
        if isForked { return }
        let connections = locked {
            defer { idle = [] }
            isClosed = true
            return idle
        }
        for connection in connections { connection.closeSocket() }
    }
}
