// SPDX-License-Identifier: Apache-2.0
// Whether a read has its connection, and what it lost the last one by, to be asked for from any
// thread.

import CPlatform
import RedcolBase

/// The state of a read's connection.
public final class ConnectionState: @unchecked Sendable {
    private let lock: OpaquePointer
    private var loss: RedcolError?
    private var isUp = false

    static func make() throws(RedcolError) -> ConnectionState {
        guard let lock = platform_lock_new() else {
            throw RedcolError(.memory, "no memory for a read")
        }
        return ConnectionState(lock)
    }

    private init(_ lock: OpaquePointer) { self.lock = lock }

    deinit { platform_lock_free(lock) }

    private func locked<Result>(_ body: () -> Result) -> Result {
        platform_lock_acquire(lock)
        defer { platform_lock_release(lock) }
        return body()
    }

    /// Whether there is a connection that is logged in, as far as the read has looked.
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
