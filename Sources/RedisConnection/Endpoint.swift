// SPDX-License-Identifier: Apache-2.0
// Where a server is and who asks: a URL, taken apart and checked.

import RedcolBase

/// A server's address, with credentials and database. Spelled as redis-py spells its URLs.
public struct Endpoint: Sendable {
    public enum Address: Sendable {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
    }

    public let address: Address
    public let user: [UInt8]
    public let password: [UInt8]?
    public let database: Int
    /// The credentials, for whoever shows what a server sent.
    public let secrets: Secrets

    /// Whether it is reached through a unix socket.
    public var isLocal: Bool {
        if case .unix = address { return true }
        return false
    }

    /// How messages name it: never with credentials.
    public var shown: String {
        switch address {
        case .tcp(let host, let port):
            return host.utf8.contains(0x3A)
                ? "redis://[\(host)]:\(port)" : "redis://\(host):\(port)"
        case .unix(let path): return "unix://\(path)"
        }
    }
}

extension Endpoint {
    /// Takes a URL apart: `redis://[[user]:password@]host[:port][/db]` or
    /// `unix://[[user]:password@]/path[?db=n]`, with `?db=`, `?username=` and `?password=` in place
    /// of the parts. The messages of its errors show no part that could be a password.
    public init(url: String) throws(RedcolError) {
        var rest = Array(url.utf8)
        guard !rest.contains(0) else { throw Endpoint.wrong("it contains a NUL byte") }
        guard let colon = rest.firstIndex(of: 0x3A), rest.count >= colon + 3,
            rest[colon + 1] == 0x2F, rest[colon + 2] == 0x2F
        else {
            throw Endpoint.wrong("it has no scheme; begin with redis:// or unix://")
        }
        let scheme = String(decoding: rest[..<colon], as: UTF8.self).lowercased()
        rest.removeFirst(colon + 3)
        let isUnix = scheme == "unix"
        if scheme == "rediss" || scheme == "valkeys" {
            throw RedcolError(
                .unsupported, "\(scheme):// needs TLS, which this build of redcol does not have")
        }
        guard isUnix || scheme == "redis" || scheme == "valkey" else {
            throw Endpoint.wrong("the scheme must be redis, valkey or unix")
        }
        if let fragment = rest.firstIndex(of: 0x23) {
            let query = rest[..<fragment].firstIndex(of: 0x3F).map { rest[$0..<fragment] }
            // Then the rest of a password would be cut off.
            if rest[fragment...].contains(0x40) || query?.contains(0x3D) == true {
                throw Endpoint.unencoded
            }
            rest.removeSubrange(fragment...)
        }

        var query = try Endpoint.takeQuery(&rest)
        var user: [UInt8] = []
        var password: [UInt8]?
        // As the URL spells them.
        var raw: (user: [UInt8], password: [UInt8]) = ([], [])
        let authorityEnd = rest.firstIndex(of: 0x2F) ?? rest.endIndex
        if let at = rest[..<authorityEnd].lastIndex(of: 0x40) {
            let login = rest[..<at]
            if let separator = login.firstIndex(of: 0x3A) {
                user = try Endpoint.decoded(login[..<separator])
                password = try Endpoint.decoded(login[(separator + 1)...])
                raw = (Array(login[..<separator]), Array(login[(separator + 1)...]))
            } else {
                user = try Endpoint.decoded(login)
                raw.user = Array(login)
            }
            rest.removeFirst(at + 1)
        }
        if let given = try query.removeValue("username") {
            if !user.isEmpty, user != given.value { throw Endpoint.twice("user", "username") }
            (user, raw.user) = given
        }
        if let given = try query.removeValue("password") {
            if let password, password != given.value {
                throw Endpoint.twice("password", "password")
            }
            (password, raw.password) = given
        }
        if password == nil, !user.isEmpty {
            throw Endpoint.wrong("it has a user but no password; write user:password@")
        }

        var database: [UInt8]? = try query.removeValue("db")?.value
        if isUnix {
            let path = try Endpoint.decoded(rest[...])
            guard path.first == 0x2F else {
                throw Endpoint.wrong("a unix socket needs an absolute path: unix:///path/to/socket")
            }
            address = .unix(path: String(decoding: path, as: UTF8.self))
        } else {
            let slash = rest.firstIndex(of: 0x2F)
            if let slash {
                let path = Array(rest[(slash + 1)...])
                guard !path.contains(0x40) else { throw Endpoint.unencoded }
                if !path.isEmpty {
                    if let database, database != path { throw Endpoint.twice("database", "db") }
                    database = path
                }
                rest.removeSubrange(slash...)
            }
            address = try Endpoint.hostAndPort(rest)
        }
        if let unknown = query.firstKey {
            let shown = query.mayHoldPassword ? "" : " \"\(escaped(unknown, limit: 40))\""
            throw Endpoint.wrong(
                "it has an unknown parameter\(shown); known are db, username and password")
        }
        self.user = user
        self.password = password
        secrets = Secrets(user: user, password: password, raw: raw)
        self.database = try Endpoint.number(database, most: Int(Int32.max), of: "database")
    }

    private static func wrong(_ reason: String) -> RedcolError {
        RedcolError(
            .invalidArgument,
            "the URL cannot be used: \(reason). "
                + "Examples: redis://localhost:6379/0, redis://user:password@host, unix:///path"
        )
    }

    private static func twice(_ what: String, _ parameter: String) -> RedcolError {
        wrong("it has two different \(what)s, one of them as the parameter \(parameter)")
    }

    private static var unencoded: RedcolError {
        wrong("a / or # in a user or password must be percent-encoded: / is %2F, and # is %23")
    }

    private static func number(_ digits: [UInt8]?, most: Int, of what: String) throws(RedcolError)
        -> Int
    {
        guard let digits else { return 0 }
        guard let value = Int(String(decoding: digits, as: UTF8.self)), value >= 0, value <= most,
            digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        else { throw wrong("its \(what) is not a number from 0 to \(most)") }
        return value
    }

    private static func hostAndPort(_ text: [UInt8]) throws(RedcolError) -> Address {
        var host = text
        var portDigits: [UInt8]?
        if text.first == 0x5B {  // [IPv6]
            guard let close = text.firstIndex(of: 0x5D) else {
                throw wrong("its IPv6 address has no closing bracket")
            }
            host = Array(text[1..<close])
            let after = text[(close + 1)...]
            if after.first == 0x3A {
                portDigits = Array(after.dropFirst())
            } else if !after.isEmpty {
                throw wrong("after the IPv6 address comes something that is not a port")
            }
            guard !host.isEmpty else { throw wrong("its IPv6 address is empty") }
        } else if let colon = text.firstIndex(of: 0x3A) {
            host = Array(text[..<colon])
            portDigits = Array(text[(colon + 1)...])
            if portDigits?.contains(0x3A) == true {
                throw wrong("an IPv6 address must stand in brackets, as in redis://[::1]:6379")
            }
        }
        host = try decoded(host[...])
        if host.isEmpty { host = Array("localhost".utf8) }
        guard host.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw wrong("its host has a space or control character")
        }
        if portDigits?.isEmpty == true { portDigits = nil }
        let port = portDigits == nil ? 6379 : try number(portDigits, most: 65535, of: "port")
        guard port > 0 else { throw wrong("its port is 0") }
        return .tcp(host: String(decoding: host, as: UTF8.self), port: UInt16(port))
    }

    private struct Query {
        typealias Pair = (key: [UInt8], value: [UInt8], raw: [UInt8])
        var pairs: [Pair] = []
        var firstKey: [UInt8]? { pairs.first?.key }
        /// An @ after the question mark: perhaps the mark stands in a password, and is no
        /// beginning.
        var mayHoldPassword = false

        /// A value, and how the URL spells it.
        mutating func removeValue(
            _ key: String
        ) throws(RedcolError) -> (value: [UInt8], raw: [UInt8])? {
            var found: (value: [UInt8], raw: [UInt8])?
            var kept: [Pair] = []
            for pair in pairs {
                if pair.key.elementsEqual(key.utf8) {
                    if found != nil { throw wrong("it has the parameter \(key) twice") }
                    found = (pair.value, pair.raw)
                } else {
                    kept.append(pair)
                }
            }
            pairs = kept
            return found
        }
    }

    private static func takeQuery(_ rest: inout [UInt8]) throws(RedcolError) -> Query {
        var query = Query()
        // A password may hold a question mark: the query begins after the last @.
        let from = rest.lastIndex(of: 0x40) ?? rest.startIndex
        guard let mark = rest[from...].firstIndex(of: 0x3F) ?? rest.firstIndex(of: 0x3F) else {
            return query
        }
        query.mayHoldPassword = rest[mark...].contains(0x40)
        for part in rest[(mark + 1)...].split(separator: 0x26) {
            let equals = part.firstIndex(of: 0x3D) ?? part.endIndex
            let value = equals == part.endIndex ? part[equals...] : part[(equals + 1)...]
            query.pairs.append((try decoded(part[..<equals]), try decoded(value), Array(value)))
        }
        rest.removeSubrange(mark...)
        return query
    }

    private static func decoded(_ text: ArraySlice<UInt8>) throws(RedcolError) -> [UInt8] {
        var bytes: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            guard text[index] == 0x25 else {
                bytes.append(text[index])
                index += 1
                continue
            }
            guard index + 2 < text.endIndex, let high = hexDigit(text[index + 1]),
                let low = hexDigit(text[index + 2])
            else { throw wrong("a % is not followed by two hexadecimal digits; write %25 for %") }
            bytes.append(high << 4 | low)
            index += 3
        }
        guard !bytes.contains(0) else { throw wrong("it contains %00") }
        return bytes
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: return byte - 0x30
        case 0x41...0x46: return byte - 0x37
        case 0x61...0x66: return byte - 0x57
        default: return nil
        }
    }
}
