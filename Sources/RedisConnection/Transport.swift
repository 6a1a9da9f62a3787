// SPDX-License-Identifier: Apache-2.0
// The bytes of a connection: what is sent to a server and received from it, without ever blocking,
// and what the poller has to watch for.

import CPlatform
import RedcolBase

/// A connected socket, with or without TLS. None of it waits.
struct Transport: ~Copyable {
    /// How a connection ends.
    enum Failure {
        case closed
        case system(errno: Int32)
        case tls(platform_tls_fault)
    }

    enum Handshake {
        case done, pending
        case failed(Failure)
    }

    enum Sent {
        case all, wouldBlock
        case failed(Failure)
    }

    enum Received {
        case bytes(Int)
        case nothing
        case failed(Failure)
    }

    private var fd: Int32 = -1
    private var tls: UnsafeMutablePointer<platform_tls>?
    private(set) var watchesWrites = false
    /// The last look has taken all that had come: there is more when the poller says so.
    private(set) var isDrained = false

    var isOpen: Bool { fd >= 0 }
    var isTLS: Bool { tls != nil }

    /// Whether something was received that the poller does not know of.
    var holdsBytes: Bool { tls?.pointee.holds_bytes == true }

    /// Takes a connected socket, which the poller watches for reading and writing.
    mutating func open(_ socket: Int32) {
        fd = socket
        watchesWrites = true
        isDrained = false
    }

    /// Has TLS on it, whose handshake is to come.
    mutating func secure(for server: Server) throws(RedcolError) {
        tls = try server.tls?.begin(fd, to: server)
    }

    /// The poller has seen something, or it is worth a look.
    mutating func somethingMayHaveCome() { isDrained = false }

    /// Continues with the handshake of TLS.
    func handshake() -> Handshake {
        guard let tls else { return .done }
        let outcome = platform_tls_handshake(tls)
        if outcome < 0 { return .failed(failure(tls)) }
        return outcome == 0 ? .pending : .done
    }

    private func failure(_ tls: UnsafeMutablePointer<platform_tls>) -> Failure {
        let fault = tls.pointee.fault
        switch fault.kind {
        case Int32(PLATFORM_TLS_CLOSED): return .closed
        case Int32(PLATFORM_TLS_SYSTEM): return .system(errno: fault.code)
        default: return .tls(fault)
        }
    }

    /// Sends what can be sent.
    func send(_ outgoing: inout SendBuffer) -> Sent {
        var outcome = Sent.all
        outgoing.flush { bytes in
            if let tls {
                let count = platform_tls_send(tls, bytes.baseAddress, bytes.count)
                if count > 0 { return count }
                outcome = count == 0 ? .wouldBlock : .failed(failure(tls))
                return 0
            }
            while true {
                let count = platform_send(fd, bytes.baseAddress, bytes.count)
                if count > 0 { return count }
                let error = platform_errno()
                if error == EINTR { continue }
                let isFull = error == EAGAIN || error == EWOULDBLOCK
                outcome = isFull ? .wouldBlock : .failed(.system(errno: error))
                return 0
            }
        }
        return outcome
    }

    /// Has the poller watch for what is waited for; an errno value, 0 when all is well. `unsent`:
    /// whether something waits to be sent.
    mutating func watch(
        _ poller: UnsafeMutablePointer<platform_poller>, unsent: Bool
    ) -> Int32 {
        var writes = unsent
        // Under TLS, receiving may have to send first, and the reverse.
        if let tls {
            writes = tls.pointee.receive_wants_write || unsent && !tls.pointee.send_wants_read
        }
        guard writes != watchesWrites else { return 0 }
        let error = platform_poller_watch(poller, fd, true, writes, false)
        if error == 0 { watchesWrites = writes }
        return error
    }

    /// Has the poller watch for what comes, or not.
    func watch(_ poller: UnsafeMutablePointer<platform_poller>, reads: Bool) {
        if fd >= 0 { platform_poller_watch(poller, fd, reads, watchesWrites, false) }
    }

    /// Receives into `room` what has come.
    mutating func receive(into room: UnsafeMutableRawBufferPointer) -> Received {
        if let tls {
            let count = platform_tls_receive(tls, room.baseAddress, room.count)
            if count < 0 { return .failed(failure(tls)) }
            isDrained = count < room.count
            return count > 0 ? .bytes(count) : .nothing
        }
        while true {
            let count = platform_receive(fd, room.baseAddress, room.count)
            if count > 0 {
                isDrained = count < room.count
                return .bytes(count)
            }
            if count == 0 { return .failed(.closed) }
            let error = platform_errno()
            if error == EINTR { continue }
            guard error == EAGAIN || error == EWOULDBLOCK else {
                return .failed(.system(errno: error))
            }
            isDrained = true
            return .nothing
        }
    }

    /// `poller` nil: it is a parent's, which keeps watching; only our copy is closed.
    mutating func end(_ poller: UnsafeMutablePointer<platform_poller>?) {
        guard fd >= 0 else { return }
        if let tls { platform_tls_free(tls) }
        tls = nil
        if let poller { platform_poller_unwatch(poller, fd) }
        close(fd)
        fd = -1
        watchesWrites = false
        isDrained = false
    }
}
