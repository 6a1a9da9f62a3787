// SPDX-License-Identifier: Apache-2.0
// A server and who asks it, from a URL.

import RedcolBase

/// A server, with credentials and database. Spelled as redis-py spells its URLs.
public struct Endpoint: Sendable {
    public internal(set) var server: Server
    public var login: Login

    public init(server: Server, login: Login) {
        self.server = server
        self.login = login
    }

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
        let isUnix = parts.scheme == "unix"
        let isService = parts.scheme == "redis+sentinel" || parts.scheme == "rediss+sentinel"
        let isTLS = ["rediss", "valkeys", "rediss+sentinel"].contains { $0 == parts.scheme }
        guard isUnix || isService || isTLS || parts.scheme == "redis" || parts.scheme == "valkey"
        else {
            throw wrongURL(
                "the scheme must be redis, valkey, redis+sentinel, with an s for TLS, or unix")
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
            var path = parts.place[slash...].dropFirst()
            guard !path.contains(0x40) else { throw unencodedURL }
            let hosts = parts.place[..<slash]
            if isService {
                // Each host with a login of its own would be taken for one long password.
                guard parts.password?.raw.contains(0x40) != true else {
                    throw wrongURL(
                        "the user and password stand once, before the first host; an @ in them "
                            + "must be percent-encoded: %40")
                }
                let name = path.prefix { $0 != 0x2F }
                path = path[name.endIndex...].dropFirst()
                server = try Server(service: try percentDecoded(name), sentinels: hosts)
            } else {
                server = try Server(hostAndPort: hosts, defaultPort: 6379)
            }
            // As in "host/0/", which redis-py takes.
            if path.count > 1, path.last == 0x2F { path.removeLast() }
            if !path.isEmpty {
                if let database, database != path { throw givenTwice("database", "db") }
                database = path
            }
        }
        if isService { try Endpoint.takeServiceOptions(&parts.query, &server) }
        if isTLS {
            var options = TLSOptions()
            try options.take(&parts.query)
            server.secure(with: try TLS.make(options))
        }
        if let unknown = parts.query.firstKey {
            let shown = parts.query.mayHoldPassword ? "" : " \"\(escaped(unknown, limit: 40))\""
            throw wrongURL(
                "it has an unknown parameter\(shown); known are db, username, password"
                    + (isService ? ", sentinel_username, sentinel_password, read_from" : "")
                    + (isTLS
                        ? ", and what begins with ssl_"
                        : unknown.starts(with: "ssl_".utf8)
                            ? "; for TLS, begin the URL with rediss://" : ""))
        }
        login = Login(
            user: user?.value ?? [], password: password?.value,
            database: try urlNumber(database, most: Int(Int32.max), of: "database") ?? 0,
            secrets: Secrets(
                user: user?.value ?? [], password: password?.value,
                raw: (user?.raw ?? [], password?.raw ?? [])))
    }

    private static func takeServiceOptions(
        _ query: inout URLParts.Query, _ server: inout Server
    ) throws(RedcolError) {
        for option in Service.options {
            let key = option.option.nameText
            guard let text = try query.removeValue(key)?.value else { continue }
            let (name, value) = try ClientOption.given(key, String(decoding: text, as: UTF8.self))
            try server.take(name, value)
        }
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
