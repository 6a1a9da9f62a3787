// SPDX-License-Identifier: Apache-2.0
// A server and who asks it, from a URL.

import RedcolBase

/// A server, with credentials and database. Spelled as redis-py spells its URLs.
public struct Endpoint: Sendable {
    public let server: Server
    public var login: Login

    /// How messages name it: never with credentials.
    public var shown: String { server.shown }
    /// The credentials, for whoever shows what a server sent.
    public var secrets: Secrets { login.secrets }
}

extension Endpoint {
    /// Takes a URL apart: `redis://[[user]:password@]host[:port][/db]` or
    /// `unix://[[user]:password@]/path[?db=n]`, with `?db=`, `?username=` and `?password=` in place
    /// of the parts.
    /// `passwordIsElsewhere`: a user may stand there without a password.
    public init(url: String, passwordIsElsewhere: Bool = false) throws(RedcolError) {
        var parts = try URLParts(url)
        if parts.scheme == "rediss" || parts.scheme == "valkeys" {
            throw RedcolError(
                .unsupported,
                "\(parts.scheme):// needs TLS, which this build of redcol does not have")
        }
        let isUnix = parts.scheme == "unix"
        guard isUnix || parts.scheme == "redis" || parts.scheme == "valkey" else {
            throw wrongURL("the scheme must be redis, valkey or unix")
        }
        let user = try Endpoint.once(parts.user, &parts.query, "user", parameter: "username")
        let password = try Endpoint.once(
            parts.password, &parts.query, "password", parameter: "password")
        if password == nil, user?.value.isEmpty == false, !passwordIsElsewhere {
            throw wrongURL("it has a user but no password; write user:password@")
        }
        var database = try parts.query.removeValue("db")?.value[...]
        if isUnix {
            let path = try percentDecoded(parts.place[...])
            guard path.first == 0x2F else {
                throw wrongURL("a unix socket needs an absolute path: unix:///path/to/socket")
            }
            server = Server(address: .unix(path: String(decoding: path, as: UTF8.self)))
        } else {
            let slash = parts.place.firstIndex(of: 0x2F) ?? parts.place.endIndex
            let path = parts.place[slash...].dropFirst()
            guard !path.contains(0x40) else { throw unencodedURL }
            if !path.isEmpty {
                if let database, database != path { throw givenTwice("database", "db") }
                database = path
            }
            server = try Server(hostAndPort: parts.place[..<slash], defaultPort: 6379)
        }
        if let unknown = parts.query.firstKey {
            let shown = parts.query.mayHoldPassword ? "" : " \"\(escaped(unknown, limit: 40))\""
            throw wrongURL(
                "it has an unknown parameter\(shown); known are db, username and password")
        }
        login = Login(
            user: user?.value ?? [], password: password?.value,
            database: try urlNumber(database, most: Int(Int32.max), of: "database") ?? 0,
            secrets: Secrets(
                user: user?.value ?? [], password: password?.value,
                raw: (user?.raw ?? [], password?.raw ?? [])))
    }

    /// What stands in the URL before the host, or as a parameter; the same when it is both.
    private static func once(
        _ given: URLParts.Text?, _ query: inout URLParts.Query, _ what: String, parameter: String
    ) throws(RedcolError) -> URLParts.Text? {
        guard let other = try query.removeValue(parameter) else { return given }
        // A user may be empty: then the password alone is given.
        if let given, given.value != other.value, !given.value.isEmpty || what != "user" {
            throw givenTwice(what, parameter)
        }
        return other
    }
}

private func givenTwice(_ what: String, _ parameter: String) -> RedcolError {
    wrongURL("it has two different \(what)s, one of them as the parameter \(parameter)")
}
