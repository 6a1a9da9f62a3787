// SPDX-License-Identifier: Apache-2.0
// One server: where it is, and how messages name it.

import RedcolBase

/// Where a server is.
public struct Server: Sendable {
    public enum Address: Sendable {
        case tcp(host: String, port: UInt16)
        case unix(path: String)
        /// Where Sentinels say.
        case service(Service)
        /// A backup file, which is read where it lies.
        case file(path: String)
    }

    public internal(set) var address: Address
    /// Whether it is a Sentinel, which has no data.
    var isSentinel = false
    /// Whether it has said that it is one node of a cluster.
    var isClusterNode = false
    /// What messages add to the address.
    var note = ""
    /// nil: it does not speak TLS.
    public private(set) var tls: TLS?

    /// Whether it is reached through a unix socket.
    public var isLocal: Bool {
        if case .unix = address { return true }
        return false
    }

    /// How messages name it.
    public var shown: String {
        switch address {
        case .tcp: return (tls == nil ? "redis://" : "rediss://") + place + note
        case .unix(let path): return "unix://\(path)"
        case .file(let path): return "rdb://\(path)"
        case .service(let service):
            var text = tls == nil ? "redis+sentinel://" : "rediss+sentinel://"
            for (index, sentinel) in service.sentinels.enumerated() {
                text += (index > 0 ? "," : "") + sentinel.place
            }
            return text + "/" + escaped(service.name, limit: 200)
        }
    }

    /// It speaks TLS, and so do its Sentinels.
    mutating func secure(with tls: TLS) {
        self.tls = tls
        guard case .service(var service) = address else { return }
        service.secure(with: tls)
        address = .service(service)
    }

    /// Whether it is at the same address.
    public func isSame(as other: Server) -> Bool {
        switch (address, other.address) {
        case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
            return port == otherPort && host == otherHost
        case (.unix(let path), .unix(let otherPath)): return path == otherPath
        default: return false
        }
    }

    /// Its host and port; nil if it is not reached by TCP.
    public var hostAndPort: (host: [UInt8], port: UInt16)? {
        guard case .tcp(let host, let port) = address else { return nil }
        return (Array(host.utf8), port)
    }

    /// Another node of the same cluster.
    public func node(host: [UInt8], port: UInt16) -> Server {
        var node = self
        node.address = .tcp(host: String(decoding: host, as: UTF8.self), port: port)
        return node
    }

    /// Host and port as URLs have them.
    var place: String {
        guard case .tcp(let host, let port) = address else { return "" }
        return host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension Server {
    /// `text`: a host and a port as URLs have them, each of which may be missing.
    init(hostAndPort text: ArraySlice<UInt8>, defaultPort: UInt16) throws(RedcolError) {
        var host = text
        var portDigits: ArraySlice<UInt8>?
        if text.first == 0x5B {  // [IPv6]
            guard let close = text.firstIndex(of: 0x5D) else {
                throw wrongURL("its IPv6 address has no closing bracket")
            }
            host = text[text.index(after: text.startIndex)..<close]
            let after = text[(close + 1)...]
            if after.first == 0x3A {
                portDigits = after.dropFirst()
            } else if !after.isEmpty {
                throw wrongURL("after the IPv6 address comes something that is not a port")
            }
            guard !host.isEmpty else { throw wrongURL("its IPv6 address is empty") }
        } else if let colon = text.firstIndex(of: 0x3A) {
            host = text[..<colon]
            portDigits = text[(colon + 1)...]
            if portDigits?.contains(0x3A) == true {
                throw wrongURL("an IPv6 address must stand in brackets, as in redis://[::1]:6379")
            }
        }
        var name = try percentDecoded(host)
        if name.isEmpty { name = Array("localhost".utf8) }
        guard name.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw wrongURL("its host has a space or control character")
        }
        if portDigits?.isEmpty == true { portDigits = nil }
        let port = try urlNumber(portDigits, most: 65535, of: "port") ?? Int(defaultPort)
        guard port > 0 else { throw wrongURL("its port is 0") }
        address = .tcp(host: String(decoding: name, as: UTF8.self), port: UInt16(port))
    }
}

/// A number in a URL; nil when it is not given.
func urlNumber(_ digits: ArraySlice<UInt8>?, most: Int, of what: String) throws(RedcolError) -> Int?
{
    guard let digits else { return nil }
    guard let value = Int(String(decoding: digits, as: UTF8.self)), value >= 0, value <= most,
        digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else { throw wrongURL("its \(what) is not a number from 0 to \(most)") }
    return value
}
