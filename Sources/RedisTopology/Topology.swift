// SPDX-License-Identifier: Apache-2.0
// Which server is asked. Readers and writers say which key they want to read or to write, and get
// a connection; when it is lost, they connect it again.

import RedcolBase
import RedisConnection
import StreamSnapshots

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

    /// Where a node of a cluster has sent a request on to.
    public struct Redirect: Sendable {
        public let slot: Int
        /// The place of the other node; see `place(of:)`.
        public let place: Int
        /// It wants to hear ASKING before the request, and does not have the slot yet.
        public let asks: Bool
    }

    /// The servers that have a key besides the one that is read from.
    public struct Copies {
        /// Whether the one that is read from is the primary.
        public let isOfPrimary: Bool
        /// Connections to the others, not connected yet, and which of them is to the primary. They
        /// are not given back.
        public let others: [(connection: Connection, isPrimary: Bool)]
        /// More are not asked for.
        fileprivate static let othersMax = 7
    }

    /// To the servers that take reads and writes: the one server, the master, or the primaries of
    /// a cluster.
    private let primaries: ConnectionPool
    /// Where ranges are read, if not there.
    private let replicas: ConnectionPool?
    /// Whether one read may be shared among all servers that have its key.
    public let sharesReads: Bool
    /// Whether ranges are read from replicas, and from the primary only without a replica.
    public var readsReplicas: Bool { replicas != nil && !sharesReads }
    /// The backup file that is read in place of a server.
    public let file: SnapshotFile?
    /// What is known of a cluster; nil: there are Sentinels.
    private let nodes: ClusterNodes?

    /// The server of a URL, those of a service, or the nodes of a cluster.
    public static func make(
        _ endpoint: Endpoint, _ timeouts: Timeouts
    ) throws(RedcolError) -> Topology {
        let source = endpoint.readSource ?? .primary
        if case .file(let path) = endpoint.server.address {
            return Topology(
                try ConnectionPool.make(
                    endpoint, timeouts, .nodes(try ClusterNodes.make(endpoint), .primary)), nil,
                nil, sharesReads: false,
                file: try SnapshotFile.open(
                    path, database: UInt64(clamping: endpoint.login.database),
                    verifies: endpoint.verifiesFile))
        }
        guard case .service(let service) = endpoint.server.address else {
            let nodes = try ClusterNodes.make(endpoint)
            func pool(_ source: ReadSource) throws(RedcolError) -> ConnectionPool {
                try ConnectionPool.make(endpoint, timeouts, .nodes(nodes, source))
            }
            return Topology(
                try pool(.primary), source == .primary ? nil : try pool(source), nodes,
                sharesReads: source == .any)
        }
        var timeouts = timeouts
        timeouts.retryMs = SentinelLocator.retryMs
        let sentinels = try Sentinels.make(service)
        func pool(_ source: ReadSource) throws(RedcolError) -> ConnectionPool {
            try ConnectionPool.make(endpoint, timeouts, .sentinels(sentinels, source))
        }
        return Topology(
            try pool(.primary), source == .primary ? nil : try pool(source), nil,
            sharesReads: source == .any)
    }

    private init(
        _ primaries: ConnectionPool, _ replicas: ConnectionPool?, _ nodes: ClusterNodes?,
        sharesReads: Bool, file: SnapshotFile? = nil
    ) {
        self.file = file
        self.sharesReads = sharesReads
        self.primaries = primaries
        self.replicas = replicas
        self.nodes = nodes
    }

    public var timeouts: Timeouts {
        var timeouts = primaries.timeouts
        if isCluster { timeouts.retryMs = ClusterLocator.retryMs }
        return timeouts
    }
    /// What must not be shown of the URL.
    public var secrets: Secrets { primaries.endpoint.secrets }
    /// Whether the servers are on this machine.
    public var isLocal: Bool { primaries.endpoint.server.isLocal }
    /// Whether this process is a fork of the one that connected: the sockets are not ours to use.
    public var isForked: Bool { primaries.isForked }

    // MARK: The nodes of a cluster

    /// Whether the servers are a cluster. That is known once a connection has been ready.
    public var isCluster: Bool { nodes?.isCluster ?? false }

    /// Whether that is known.
    public var isKnown: Bool { nodes?.isKnown ?? true }

    /// The slot of a key. One command may name several keys of the same slot.
    public static func slot(of key: [UInt8]) -> Int { HashSlot.of(key) }

    /// The place of the primary that serves this key now: a small number, which stays that of this
    /// node. Without a cluster it is 0. Nil: no node has the key's slot.
    public func place(of key: [UInt8]) -> Int? {
        guard let nodes, isCluster else { return 0 }
        return nodes.place(of: HashSlot.of(key))
    }

    /// The map is fetched again with the next connection that begins.
    public func doubtMap() { nodes?.doubtMap() }

    /// The places of all primaries.
    public var places: [Int] { nodes?.places ?? [0] }

    /// Where an error that `connection` was answered sends the request on to; nil if it is another
    /// error. The map of the cluster is changed by it, and `place(of:)` then says the same.
    public func redirect(_ line: [UInt8], from connection: Connection) -> Redirect? {
        guard let nodes, isCluster, let text = RedirectText(line),
            let place = nodes.redirected(text, by: connection.endpoint.server)
        else { return nil }
        return Redirect(slot: text.slot, place: place, asks: text.asks)
    }

    // MARK: Connections

    /// A connection to the server that has `key`, for one user alone. It may not be connected yet.
    /// Each time that it begins, it begins where the key is then. Any server will do when `key` is
    /// nil.
    public func take(for key: [UInt8]?, to use: Use) throws(RedcolError) -> Connection {
        try requireServer()
        return try pool(use).take(key.map { .slot(HashSlot.of($0)) } ?? .anyNode)
    }

    /// A connection to the primary at a place. When that is no primary any more, it cannot be
    /// connected: an error of the cause `connection`.
    public func take(at place: Int, to use: Use) throws(RedcolError) -> Connection {
        try requireServer()
        return try pool(use).take(isCluster ? .node(place) : .anyNode)
    }

    /// Throws if a backup file is read: it can do nothing else.
    public func requireServer() throws(RedcolError) {
        guard let file else { return }
        throw RedcolError(
            .unsupported,
            "\(file.shown) is a backup file, from which entries, streams, groups and pending "
                + "entries can be read: groups, waiting, writing and changes need a server")
    }

    /// Whether more than one server has `key`, as far as is known.
    public func hasCopies(of key: [UInt8]) -> Bool {
        (replicas?.copies(of: .slot(HashSlot.of(key))).count ?? 0) > 1
    }

    /// The other servers that have `key`, as far as is known once `connection` reads it.
    public func copies(
        of key: [UInt8], besides connection: Connection
    ) throws(RedcolError) -> Copies {
        let servers = replicas?.copies(of: .slot(HashSlot.of(key))) ?? []
        var others: [(connection: Connection, isPrimary: Bool)] = []
        for (index, server) in servers.enumerated() {
            guard others.count < Copies.othersMax,
                !server.isSame(as: connection.endpoint.server)
            else { continue }
            let locator = CopyLocator(server, isPrimary: index == 0)
            others.append(
                (
                    try Connection(primaries.endpoint, timeouts, locator: locator),
                    index == 0
                ))
        }
        return Copies(
            isOfPrimary: servers.first?.isSame(as: connection.endpoint.server) ?? true,
            others: others)
    }

    private func pool(_ use: Use) -> ConnectionPool {
        use == .reading ? replicas ?? primaries : primaries
    }

    /// Takes a connection back. Only one on which nothing is awaited may be used again; another one
    /// is closed.
    public func giveBack(_ connection: Connection, isIdle: Bool) {
        let pool = connection.locator?.wantsReplica == true ? replicas : nil
        (pool ?? primaries).giveBack(connection, isIdle: isIdle)
    }

    /// Closes the idle connections; those in use are closed when they come back.
    public func close() {
        primaries.close()
        replicas?.close()
    }
}
