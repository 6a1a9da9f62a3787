// SPDX-License-Identifier: Apache-2.0
// Who asks a server: the credentials and the database, and the exchange that begins each
// connection.

import RedcolBase

/// A user and a password, and the database that is chosen.
public struct Login: Sendable {
    public let user: [UInt8]
    public let password: [UInt8]?
    public let database: Int
    /// The credentials, for whoever shows what a server sent.
    public let secrets: Secrets
}

/// The commands of a login, and what their replies mean.
struct LoginExchange {
    /// Those whose replies are awaited.
    private(set) var awaited: [Command] = []
    /// Whether the server has said that it is one node of a cluster.
    private(set) var isClusterNode = false

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
        awaited.append(Command("HELLO", "2"))
        if login.database != 0 {
            awaited.append(Command("SELECT", String(login.database)))
        }
    }

    mutating func received(_ reply: Reply, from endpoint: Endpoint) throws(RedcolError) {
        let command = awaited.removeFirst().name
        guard case .error(let text) = reply else {
            if command == "HELLO" {
                isClusterNode = reply.value(of: "mode") == Array("cluster".utf8)
            }
            return
        }
        // A server that is full says so whatever it is asked.
        let isUnknown =
            text.starts(with: Array("ERR".utf8))
            && !text.starts(with: ServerErrorPolicy.tooManyClients)
        // Servers before 6.0 and some proxies do not know HELLO, and lack nothing that is needed.
        if command == "HELLO", isUnknown { return }
        if command == "AUTH", isUnknown {
            throw RedcolError(
                .authentication,
                "logging in to \(endpoint.shown): the server knows no password for this user; "
                    + "remove it from the URL, or set one on the server")
        }
        throw RedcolError.server(
            text, endpoint: endpoint,
            asked: command == "SELECT"
                ? "choosing database \(endpoint.login.database)" : "logging in")
    }
}
