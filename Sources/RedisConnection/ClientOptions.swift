// SPDX-License-Identifier: Apache-2.0
// The options of a client, from string keys and values.

import RedcolBase

/// How a client connects; the defaults are those of the table.
public struct ClientOptions {
    public var timeouts = Timeouts()
    /// The first call that asks the server connects, not the one that makes the client.
    public var connectsLater = false

    public init(_ pairs: [(key: String, value: String)]) throws(RedcolError) {
        for (key, text) in pairs {
            let (name, value) = try ClientOption.given(key, text)
            switch name {
            case .connectTimeoutMs: timeouts.connectMs = Int64(try value.integer())
            case .timeoutMs: timeouts.silenceMs = Int64(try value.integer())
            case .answerTimeoutMs: timeouts.answerMsGiven = Int64(try value.integer())
            case .connect: connectsLater = try value.word(as: ConnectMoment.self) == .later
            }
        }
    }
}

/// The values of the options "connect".
public enum ConnectMoment: String, Sendable {
    case now, later
}
