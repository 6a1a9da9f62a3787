// SPDX-License-Identifier: Apache-2.0
// Who asks a server: the credentials and the database, and the exchange that begins each
// connection.

import RedcolBase

/// A user and a password, and the database that is chosen.
public struct Login: Sendable {
    public let user: [UInt8]
    public let password: [UInt8]?
    public let database: Int
    /// What the server calls the connections; empty: nothing.
    public var name: [UInt8] = []
    /// Where each connection gets user and password from.
    public var source = CredentialsSource.url
    /// The credentials, for code that shows what a server sent.
    public let secrets: Secrets
    /// Those that all connections of a client have used; nil where they do not change.
    var used: UsedSecrets?

    /// The same with what is not in the URL.
    public func completed(
        source: CredentialsSource, name: [UInt8]
    ) throws(RedcolError) -> Login {
        if source.isRenewed, password != nil {
            throw RedcolError(
                .invalidArgument,
                "the URL has a password, and there is another source of passwords; give one of "
                    + "them")
        }
        if case .provider = source, !user.isEmpty {
            throw RedcolError(
                .invalidArgument,
                "the URL has a user, but the credentials provider says who the user is; remove it "
                    + "from the URL")
        }
        var login = self
        login.source = source
        login.name = name
        if source.isRenewed { login.used = try UsedSecrets.make() }
        return login
    }
}

/// The commands of a login, and what their replies mean.
struct LoginExchange {
    /// Those whose replies are awaited.
    private(set) var awaited: [Command] = []
    /// Whether the server has said that it is one node of a cluster.
    private(set) var isClusterNode = false
    /// Whether it has said that it is a Sentinel.
    private(set) var isSentinel = false
    /// What it has said that it is: "master" or "replica".
    private(set) var role: [UInt8]?
    /// Whether it counts a group's lag as it is, also after entries were trimmed that the group had
    /// not read: Redis 8 and Valkey 9 do.
    private(set) var countsLag = false
    /// Whether it asks again who the server is, when that is logged in to already.
    private(set) var isRepeated = false
    /// What the locator has asked is answered next, or was.
    private var isQuestion = false
    private var answer: Reply?

    var isComplete: Bool { awaited.isEmpty }

    /// Begins; `awaited` is what has to be sent.
    mutating func begin(_ login: Login) {
        self = LoginExchange()
        if let password = login.password {
            var auth = Command("AUTH")
            if !login.user.isEmpty { auth.add(login.user) }
            auth.add(password)
            awaited.append(auth)
        }
        // Needs no right of its own, and tells at once when a password is missing. Always version 2
        // of the protocol: the reader of the small replies knows no other.
        awaited.append(LoginExchange.hello)
        // Servers from 7.2 on show it in CLIENT LIST.
        awaited.append(Command("CLIENT", "SETINFO", "lib-name", "redcol"))
        awaited.append(Command("CLIENT", "SETINFO", "lib-ver", "\(Features.version)"))
        if !login.name.isEmpty {
            var command = Command("CLIENT", "SETNAME")
            command.add(login.name)
            awaited.append(command)
        }
        if login.database != 0 {
            awaited.append(Command("SELECT", String(login.database)))
        }
    }

    /// Begins to ask only what the server is.
    mutating func repeatHello() {
        self = LoginExchange()
        isRepeated = true
        awaited = [LoginExchange.hello]
    }

    /// Begins to ask what the locator wants to know.
    mutating func ask(_ command: Command) {
        isQuestion = true
        answer = nil
        awaited = [command]
    }

    /// What is known of the server.
    func found(_ endpoint: Endpoint) -> Locator.Found {
        Locator.Found(
            endpoint: endpoint, role: role, isClusterNode: isClusterNode, answer: answer)
    }

    private static var hello: Command { Command("HELLO", "2") }

    mutating func received(_ reply: Reply, from endpoint: Endpoint) throws(RedcolError) {
        let command = awaited.removeFirst().name
        if isQuestion {
            answer = reply
            return
        }
        guard case .error(let text) = reply else {
            if command == "HELLO" {
                let mode = reply.value(of: "mode")
                isClusterNode = mode == Array("cluster".utf8)
                isSentinel = mode == Array("sentinel".utf8)
                role = reply.value(of: "role")
                let isRedis = reply.value(of: "server") == Array("redis".utf8)
                let version = reply.value(of: "version") ?? []
                let major = version.prefix { $0 != UInt8(ascii: ".") }
                let least: UInt64 = isRedis ? 8 : 9
                countsLag =
                    EntryID(Array(major), sequenceIfMissing: 0).map { $0.milliseconds >= least }
                    ?? false
            }
            return
        }
        // A server that is full says so whatever it is asked.
        let isUnknown =
            text.starts(with: Array("ERR".utf8))
            && !text.starts(with: ServerErrorPolicy.tooManyClients)
        // It is for people who look at the server, and some users have no right to it.
        if command == "CLIENT" {
            if awaited.allSatisfy({ $0.name == "SELECT" }), !endpoint.login.name.isEmpty {
                Log.write(.warning, .connection, about: "CLIENT " + endpoint.shown) {
                    "the connection has no name: "
                        + RedcolError.server(text, endpoint: endpoint, asked: "CLIENT SETNAME")
                        .message
                }
            }
            return
        }
        // Servers before 6.0 and some proxies do not know HELLO, and lack nothing that is needed.
        if command == "HELLO", isUnknown { return }
        throw RedcolError.server(
            text, endpoint: endpoint,
            asked: command == "SELECT"
                ? "choosing database \(endpoint.login.database)" : "logging in")
    }
}
