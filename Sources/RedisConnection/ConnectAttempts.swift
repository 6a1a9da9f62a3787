// SPDX-License-Identifier: Apache-2.0
// The addresses of a host, tried one after the other and side by side: one that does not answer
// must leave time for the next.

import CPlatform

/// The sockets that are being connected for one connection; the first that answers is taken.
struct ConnectAttempts: ~Copyable {
    enum Outcome {
        case pending
        case connected(Int32)
        /// No address is left; an errno value.
        case failed(Int32)
    }

    /// How long an address is waited for alone: connection attempt delay, RFC 8305.
    static let staggerMs: Int64 = 250

    private var addresses: AddressList?
    private var sockets: [Int32] = []
    private var lastError: Int32 = 0
    /// When the next address is tried although others may still answer; nil when there is none.
    private(set) var nextAt: Int64?

    /// Begins with these addresses; nothing is sent before `advance`.
    mutating func begin(_ addresses: consuming AddressList) {
        self.addresses = consume addresses
        nextAt = 0
    }

    /// Adds a socket with what its connect has said.
    mutating func add(
        _ socket: Int32, _ status: Int32, _ poller: UnsafeMutablePointer<platform_poller>
    ) {
        var error = status
        if error == 0 || error == EINPROGRESS {
            error = platform_poller_watch(poller, socket, true, true, true)
            if error == 0 {
                sockets.append(socket)
                return
            }
        }
        if socket >= 0 { close(socket) }
        lastError = error
    }

    /// Continues without waiting.
    mutating func advance(
        _ now: Int64, _ timeouts: Timeouts, _ poller: UnsafeMutablePointer<platform_poller>
    ) -> Outcome {
        while true {
            if let socket = takeConnected(poller) {
                end(poller)
                return .connected(socket)
            }
            // One that has refused is not waited for.
            guard let due = nextAt, due <= now || sockets.isEmpty else { break }
            guard let (socket, status) = addresses?.connectNext(timeouts) else {
                nextAt = nil
                addresses = nil
                break
            }
            nextAt = now + ConnectAttempts.staggerMs
            add(socket, status, poller)
        }
        return sockets.isEmpty ? .failed(lastError) : .pending
    }

    /// Takes out the socket that is connected, and closes those that failed.
    private mutating func takeConnected(
        _ poller: UnsafeMutablePointer<platform_poller>
    ) -> Int32? {
        var waiting: [Int32] = []
        var connected: Int32?
        for socket in sockets {
            let error = platform_socket_error(socket)
            if error != 0 {
                platform_poller_unwatch(poller, socket)
                close(socket)
                lastError = error
            } else if connected == nil, isConnected(socket) {
                connected = socket
            } else {
                waiting.append(socket)
            }
        }
        sockets = waiting
        return connected
    }

    private func isConnected(_ socket: Int32) -> Bool {
        var peer = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &peer) { bytes in
            getpeername(socket, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        } == 0
    }

    /// Closes all sockets that are not connected. `poller` nil: it is a parent's, which continues.
    mutating func end(_ poller: UnsafeMutablePointer<platform_poller>?) {
        for socket in sockets {
            if let poller { platform_poller_unwatch(poller, socket) }
            close(socket)
        }
        sockets = []
        addresses = nil
        nextAt = nil
    }
}
