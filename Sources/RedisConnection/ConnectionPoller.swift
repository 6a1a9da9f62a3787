// SPDX-License-Identifier: Apache-2.0
// The one descriptor of several connections: readable when one of them can go on, or when somebody
// has cancelled the wait.

import CPlatform
import RedcolBase

/// Watches connections, each by its number. One thread at a time; only `cancel()` may come from
/// another.
public final class ConnectionPoller {
    /// Behind a pointer: `cancel` may come in a signal handler, while this thread is inside `wait`.
    private let poller = UnsafeMutablePointer<platform_poller>.allocate(capacity: 1)
    private let ready = UnsafeMutablePointer<Int32>.allocate(capacity: Int(PLATFORM_POLL_MOST))
    private var numbers: [Int: Int] = [:]
    private let processID = getpid()

    public static func make() throws(RedcolError) -> ConnectionPoller {
        let made = ConnectionPoller()
        let error = platform_poller_open(made.poller)
        guard error == 0 else { throw ConnectionPoller.noDescriptor }
        return made
    }

    private init() {
        poller.initialize(to: platform_poller(epoll_fd: -1, cancel_fd: -1, alarm_fd: -1))
    }

    deinit {
        close()
        poller.deallocate()
        ready.deallocate()
    }

    private static var noDescriptor: RedcolError {
        RedcolError(.memory, "no file descriptor for connections to several nodes of a cluster")
    }

    /// Readable when there is something to do. Borrowed.
    public var descriptor: Int32 { poller.pointee.epoll_fd }

    private var isForked: Bool { getpid() != processID }

    public func watch(_ connection: Connection, _ number: Int) throws(RedcolError) {
        let descriptor = connection.pollDescriptor
        guard platform_poller_watch(poller, descriptor, true, false, true) == 0 else {
            throw ConnectionPoller.noDescriptor
        }
        numbers[Int(descriptor)] = number
    }

    public func unwatch(_ connection: Connection) {
        // A child shares the poller with its parent, which goes on watching.
        if !isForked { platform_poller_unwatch(poller, connection.pollDescriptor) }
        numbers[Int(connection.pollDescriptor)] = nil
    }

    /// Ends the wait that another thread is in, or else the next one. Safe in any thread, and in a
    /// signal handler.
    public func cancel() { if !isForked { platform_poller_cancel(poller) } }

    /// Makes the descriptor readable after so many milliseconds; a negative number: not any more.
    public func wake(afterMs delay: Int64) { platform_poller_set_alarm(poller, delay) }

    public func close() { platform_poller_close(poller) }

    /// Waits until a connection can go on, or the clock shows `until`; nil forever. Calls `isReady`
    /// with the number of each that can.
    public func wait(
        until: Int64?, isReady: (Int) -> Void
    ) throws(RedcolError) -> Connection.Wake {
        var timeout: Int64 = -1
        if let until { timeout = max(0, min(until - platform_monotonic_ms(), Int64(Int32.max))) }
        var count: Int32 = 0
        switch platform_poller_wait_many(
            poller, Int32(timeout), ready, Int32(PLATFORM_POLL_MOST), &count)
        {
        case Int32(PLATFORM_POLL_SOCKET):
            for place in 0..<Int(count) {
                if let number = numbers[Int(ready[place])] { isReady(number) }
            }
            return .ready
        case Int32(PLATFORM_POLL_CANCELLED):
            throw RedcolError(.cancelled, "cancelled while it waited")
        case Int32(PLATFORM_POLL_INTERRUPTED): return .interrupted
        case Int32(PLATFORM_POLL_FAILED):
            throw RedcolError(.connection, "waiting for several nodes of a cluster failed")
        default: return .timeout
        }
    }
}
