// SPDX-License-Identifier: Apache-2.0
// A server and who asks it, from a URL.

import RedcolBase

/// A server, with credentials and database. Spelled as redis-py spells its URLs.
public struct Endpoint: Sendable {
    public internal(set) var server: Server
    /// Further nodes of a cluster, which the URL names.
    public internal(set) var otherServers: [Server] = []
    /// Where the nodes of a cluster are reached.
    public internal(set) var addressMap = AddressMap()
    /// Whether the checksum of a backup file is looked at.
    public internal(set) var verifiesFile = true
    /// Where ranges are read; nil: that was not said.
    public internal(set) var readSource: ReadSource?
    public var login: Login

    public init(server: Server, login: Login) {
        self.server = server
        self.login = login
    }

    /// How messages name it: never with credentials.
    public var shown: String { server.shown }
    /// The credentials, for code that shows what a server sent.
    public var secrets: Secrets { login.secrets }
}

extension Endpoint {
    /// Takes a URL apart: `redis://[[user]:password@]host[:port][/db]` or
    /// `unix://[[user]:password@]/path[?db=n]`, with `?db=`, `?username=` and `?password=` in place
    /// of the parts; or `rdb:///path[?db=n]`.
    /// `passwordIsElsewhere`: a user may stand there without a password.
    public init(url: String, passwordIsElsewhere: Bool = false) throws(RedcolError) {
        var parts = try URLParts(url)
        let isUnix = parts.scheme == "unix"
        let isFile = parts.scheme == "rdb"
        let isService = parts.scheme == "redis+sentinel" || parts.scheme == "rediss+sentinel"
        let isTLS = ["rediss", "valkeys", "rediss+sentinel"].contains { $0 == parts.scheme }
        guard
            isUnix || isFile || isService || isTLS || parts.scheme == "redis"
                || parts.scheme == "valkey"
        else {
            throw wrongURL(
                "the scheme must be redis, valkey, redis+sentinel, with an s for TLS, unix, or rdb "
                    + "for a backup file")
        }
        let user = try Endpoint.once(parts.user, &parts.query, "user", parameter: "username")
        let password = try Endpoint.once(
            parts.password, &parts.query, "password", parameter: "password")
        if password == nil, user?.value.isEmpty == false, !passwordIsElsewhere {
            throw wrongURL("it has a user but no password; write user:password@")
        }
        var database = try parts.query.removeValue("db")?.value[...]
        if isFile {
            let path = try percentDecoded(parts.place[...])
            guard path.first == 0x2F, user == nil, password == nil else {
                throw wrongURL(
                    "a backup file has an absolute path and neither user nor password: "
                        + "rdb:///path/to/dump.rdb")
            }
            server = Server(address: .file(path: String(decoding: path, as: UTF8.self)))
            if let text = try parts.query.removeValue("verify")?.value {
                guard text.elementsEqual("false".utf8) || text.elementsEqual("true".utf8) else {
                    throw wrongURL("verify is true or false")
                }
                verifiesFile = text.elementsEqual("true".utf8)
            }
        } else if isUnix {
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
            // Each host with a login of its own would be taken for one long password.
            if isService || hosts.contains(0x2C), parts.password?.raw.contains(0x40) == true {
                throw wrongURL(
                    "the user and password stand once, before the first host; an @ in them "
                        + "must be percent-encoded: %40")
            }
            if isService {
                let name = path.prefix { $0 != 0x2F }
                path = path[name.endIndex...].dropFirst()
                server = try Server(service: try percentDecoded(name), sentinels: hosts)
            } else {
                var servers: [Server] = []
                for host in hosts.split(separator: 0x2C, omittingEmptySubsequences: false) {
                    servers.append(try Server(hostAndPort: host, defaultPort: 6379))
                }
                server = servers.removeFirst()
                otherServers = servers
            }
            // As in "host/0/", which redis-py takes.
            if path.count > 1, path.last == 0x2F { path.removeLast() }
            if !path.isEmpty {
                if let database, database != path { throw givenTwice("database", "db") }
                database = path
            }
        }
        if isTLS {
            var options = TLSOptions()
            try options.take(&parts.query)
            let tls = try TLS.make(options)
            server.secure(with: tls)
            for index in otherServers.indices { otherServers[index].secure(with: tls) }
        }
        login = Login(
            user: user?.value ?? [], password: password?.value,
            database: try urlNumber(database, most: Int(Int32.max), of: "database") ?? 0,
            secrets: Secrets(
                user: user?.value ?? [], password: password?.value,
                raw: (user?.raw ?? [], password?.raw ?? [])))
        if parts.query.firstKey != nil, !isFile {
            try takeOptions(&parts.query, isService: isService)
        }
        if let unknown = parts.query.firstKey {
            let shown = parts.query.mayHoldPassword ? "" : " \"\(escaped(unknown, limit: 40))\""
            throw wrongURL(
                "it has an unknown parameter\(shown); known are db, "
                    + (isFile ? "verify" : "username, password")
                    + (isFile
                        ? ""
                        : isService ? ", sentinel_username, sentinel_password" : ", address_map")
                    + (isFile ? "" : ", read_from")
                    + (isTLS
                        ? ", and what begins with ssl_"
                        : unknown.starts(with: "ssl_".utf8)
                            ? "; for TLS, begin the URL with rediss://" : ""))
        }
    }

    /// Takes an option of Sentinels or clusters.
    mutating func take(_ option: ClientOption, _ value: GivenOption) throws(RedcolError) {
        switch option {
        case .readFrom: try setOnce(&readSource, try value.word(as: ReadSource.self), value)
        case .addressMap:
            addressMap = try AddressMap(
                value.bytes,
                value.wrong("addresses as in 10.0.0.1:7000=127.0.0.1:17000,10.0.0.2:7000=…"))
            guard case .service = server.address else { return }
            throw RedcolError(
                .invalidArgument,
                "address_map is for the nodes of a cluster, and not for Sentinels")
        default: try server.take(option, value)
        }
    }

    /// Takes those that stand in the URL.
    private mutating func takeOptions(
        _ query: inout URLParts.Query, isService: Bool
    ) throws(RedcolError) {
        let options: [ClientOption] =
            isService
            ? [.sentinelUsername, .sentinelPassword, .readFrom] : [.addressMap, .readFrom]
        for option in options {
            let key = option.option.nameText
            guard let text = try query.removeValue(key)?.value else { continue }
            let (name, value) = try ClientOption.given(key, String(decoding: text, as: UTF8.self))
            try take(name, value)
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
