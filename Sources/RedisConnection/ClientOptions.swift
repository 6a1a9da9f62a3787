// SPDX-License-Identifier: Apache-2.0
// The options of a client, from string keys and values.

import RedcolBase

/// How a client connects; the defaults are those of the table.
public struct ClientOptions {
    public var timeouts = Timeouts()
    /// The first call that asks the server connects, not the one that makes the client.
    public var connectsLater = false
    /// What the server calls the connections.
    public var name: [UInt8] = []
    public var passwordFile: String?

    /// `endpoint`: takes what is about the server.
    public init(
        _ pairs: [(key: String, value: String)], for endpoint: inout Endpoint
    ) throws(RedcolError) {
        for (key, text) in pairs {
            let (option, value) = try ClientOption.given(key, text)
            switch option {
            case .connectTimeoutMs: timeouts.connectMs = Int64(try value.integer())
            case .timeoutMs: timeouts.silenceMs = Int64(try value.integer())
            case .answerTimeoutMs: timeouts.answerMsGiven = Int64(try value.integer())
            case .keepaliveMs:
                timeouts.keepaliveMs = Int64(try value.integer())
                guard !endpoint.server.isLocal else {
                    throw RedcolError(
                        .invalidArgument,
                        "keepalive_ms is about TCP: with a unix socket it has no effect")
                }
            case .clientName:
                name = try value.name()
                let isSeen = name.allSatisfy { $0 > 0x20 && $0 < 0x7F }
                guard isSeen, name.count <= clientNameMax else {
                    throw value.wrong(
                        "ASCII characters that can be seen, without spaces, at most "
                            + "\(clientNameMax) of them")
                }
            case .passwordFile: passwordFile = try value.filled()
            case .connect: connectsLater = try value.word(as: ConnectMoment.self) == .later
            case .sentinelUsername, .sentinelPassword, .readFrom, .addressMap:
                try endpoint.take(option, value)
            default:
                guard let tls = endpoint.server.tls, try tls.options.take(option, value) else {
                    throw RedcolError(
                        .invalidArgument, "\(key) needs TLS: begin the URL with rediss://")
                }
            }
        }
        try endpoint.server.tls?.options.check()
        if case .service(let service) = endpoint.server.address { try service.check() }
    }
}

/// How long the name of a connection may be: the server keeps it for each of them.
private let clientNameMax = 1_024

/// The values of the options "connect".
public enum ConnectMoment: String, CaseIterable, Sendable {
    case now, later
}
