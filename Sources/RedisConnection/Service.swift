// SPDX-License-Identifier: Apache-2.0
// A master and its replicas under one name, which Sentinels know.
// https://redis.io/docs/latest/develop/reference/sentinel-clients/

import RedcolBase

/// The name, its Sentinels, and what a URL or options say about them.
public struct Service: Sendable {
    public let name: [UInt8]
    public private(set) var sentinels: [Server]
    private var user: [UInt8]?
    private var password: [UInt8]?

    init(name: [UInt8], sentinels: [Server]) {
        self.name = name
        self.sentinels = sentinels
    }

    mutating func secure(with tls: TLS) {
        for index in sentinels.indices { sentinels[index].secure(with: tls) }
    }

    /// The user and password for the Sentinels.
    public var login: Login {
        Login(
            user: user ?? [], password: password, database: 0,
            secrets: Secrets(user: user ?? [], password: password, raw: ([], [])))
    }

    /// How messages name it.
    public var shown: String { "\"\(escaped(name, limit: 200))\"" }

    fileprivate mutating func take(
        _ option: ClientOption, _ value: GivenOption
    ) throws(RedcolError) {
        if option == .sentinelUsername {
            try setOnce(&user, value.bytes, value)
        } else {
            try setOnce(&password, value.bytes, value)
        }
    }

    /// Looks whether the options go together.
    func check() throws(RedcolError) {
        if user?.isEmpty == false, password == nil {
            throw RedcolError(
                .invalidArgument, "sentinel_username needs sentinel_password, the user's password")
        }
    }
}

/// Takes an option that may stand in the URL, too.
func setOnce<Value: Equatable>(
    _ place: inout Value?, _ new: Value, _ value: GivenOption
) throws(RedcolError) {
    if let old = place, old != new {
        throw RedcolError(
            .invalidArgument,
            "\(value.key) is given as an option and in the URL, and is not the same there")
    }
    place = new
}

extension Server {
    /// Takes an option of a service.
    mutating func take(_ option: ClientOption, _ value: GivenOption) throws(RedcolError) {
        guard case .service(var service) = address else {
            throw RedcolError(
                .invalidArgument,
                "\(value.key) needs Sentinels: begin the URL with redis+sentinel://")
        }
        try service.take(option, value)
        address = .service(service)
    }

    /// `hosts`: those of the Sentinels, and their ports.
    init(service name: [UInt8], sentinels hosts: ArraySlice<UInt8>) throws(RedcolError) {
        guard !name.isEmpty else {
            throw wrongURL(
                "after the Sentinels comes the name of the service, as in "
                    + "redis+sentinel://host:26379/mymaster")
        }
        var sentinels: [Server] = []
        for host in hosts.split(separator: 0x2C, omittingEmptySubsequences: false) {
            var sentinel = try Server(hostAndPort: host, defaultPort: 26379)
            sentinel.isSentinel = true
            sentinels.append(sentinel)
        }
        address = .service(Service(name: name, sentinels: sentinels))
    }

    /// A server of this service.
    public func found(host: [UInt8], port: UInt16, as role: StaticString) -> Server {
        guard case .service(let service) = address else { return self }
        var found = self
        found.address = .tcp(host: String(decoding: host, as: UTF8.self), port: port)
        found.note = " (\(role) of \(service.shown))"
        return found
    }
}
