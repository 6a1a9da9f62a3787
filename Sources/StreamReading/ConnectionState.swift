// SPDX-License-Identifier: Apache-2.0
// Whether a read has its connection, and what it lost the last one by, to be asked for from any
// thread.

import RedcolBase

/// The state of a read's connection.
public final class ConnectionState: @unchecked Sendable {
    private let locked: Lock
    private var loss: RedcolError?
    private var isUp = false

    static func make() throws(RedcolError) -> ConnectionState {
        ConnectionState(try Lock(for: "a read"))
    }

    private init(_ lock: consuming Lock) { locked = lock }

    /// Whether there was a connection that is logged in when the read last looked.
    public var isConnected: Bool { locked { isUp } }

    /// Why the connection was lost, or the server refused; nil if it was not, or is there again.
    public var lastError: RedcolError? { locked { loss } }

    func connected() {
        locked {
            isUp = true
            loss = nil
        }
    }

    /// Nil: it was closed on purpose.
    func disconnected(_ error: RedcolError?) {
        locked {
            isUp = false
            if let error { loss = error }
        }
    }
}
