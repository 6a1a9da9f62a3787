// SPDX-License-Identifier: Apache-2.0
// The bytes of a connection: what is sent to a server and received from it, without ever blocking,
// and what the poller has to watch for.

import CPlatform

/// A connected socket. None of it waits.
struct Transport: ~Copyable {
    enum Sent {
        case all, wouldBlock
        case failed(errno: Int32)
    }

    enum Received {
        case bytes(Int)
        case nothing, closed
        case failed(errno: Int32)
    }

    private(set) var fd: Int32 = -1
    private(set) var watchesWrites = false
    /// The last look has taken all that had come: there is more when the poller says so.
    private(set) var isDrained = false

    var isOpen: Bool { fd >= 0 }

    /// Takes a connected socket, which the poller watches for reading and writing.
    mutating func open(_ socket: Int32) {
        fd = socket
        watchesWrites = true
        isDrained = false
    }

    /// The poller has seen something, or it is worth a look.
    mutating func somethingMayHaveCome() { isDrained = false }

    /// Sends what can be sent.
    func send(_ outgoing: inout SendBuffer) -> Sent {
        var outcome = Sent.all
        outgoing.flush { bytes in
            while true {
                let count = platform_send(fd, bytes.baseAddress, bytes.count)
                if count > 0 { return count }
                let error = platform_errno()
                if error == EINTR { continue }
                let isFull = error == EAGAIN || error == EWOULDBLOCK
                outcome = isFull ? .wouldBlock : .failed(errno: error)
                return 0
            }
        }
        return outcome
    }

    /// Has the poller watch for what is waited for; an errno value, 0 when all is well.
    mutating func watch(
        _ poller: UnsafeMutablePointer<platform_poller>, writes: Bool
    ) -> Int32 {
        guard writes != watchesWrites else { return 0 }
        let error = platform_poller_watch(poller, fd, true, writes, false)
        if error == 0 { watchesWrites = writes }
        return error
    }

    /// Receives into `room` what has come.
    mutating func receive(into room: UnsafeMutableRawBufferPointer) -> Received {
        while true {
            let count = platform_receive(fd, room.baseAddress, room.count)
            if count > 0 {
                isDrained = count < room.count
                return .bytes(count)
            }
            if count == 0 { return .closed }
            let error = platform_errno()
            if error == EINTR { continue }
            guard error == EAGAIN || error == EWOULDBLOCK else { return .failed(errno: error) }
            isDrained = true
            return .nothing
        }
    }

    /// `poller` nil: it is a parent's, which goes on watching; only our copy is closed.
    mutating func end(_ poller: UnsafeMutablePointer<platform_poller>?) {
        guard fd >= 0 else { return }
        if let poller { platform_poller_unwatch(poller, fd) }
        close(fd)
        fd = -1
        watchesWrites = false
        isDrained = false
    }
}
