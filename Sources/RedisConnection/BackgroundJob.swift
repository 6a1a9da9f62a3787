// SPDX-License-Identifier: Apache-2.0
// What may block for as long as it likes, done in a thread of its own while a connection waits for
// it as it waits for a server.

import CPlatform
import RedcolBase

/// A piece of work, and an event that its end sets. The last holder frees it: the thread,
/// or the connection, which may be closed before the work is done.
public class BackgroundJob: @unchecked Sendable {
    /// A file descriptor that becomes readable when the work is done.
    final let event: Int32
    private final let processID = getpid()

    static func makeEvent() throws(RedcolError) -> Int32 {
        let event = platform_event_new()
        if event < 0 {
            throw RedcolError(
                .memory, "no file descriptor for a connection: \(errorText(platform_errno()))")
        }
        return event
    }

    init(event: Int32) { self.event = event }

    deinit { close(event) }

    /// The work, in the other thread. Nobody else touches the object until it is done.
    func work() {}

    /// The stack that the work needs; 0 for as much as threads usually have.
    var stackBytes: Int { 0 }

    /// Begins. If the system has no thread to spare, the work is done when this returns.
    final func start() {
        let context = Unmanaged.passRetained(self).toOpaque()
        if !platform_thread_start(runBackgroundJob, context, stackBytes) {
            _ = runBackgroundJob(context)
        }
    }

    /// Whether it is done; asked until it is, and no longer.
    final func takeDone() -> Bool { platform_event_take(event) }

    fileprivate final func run() {
        work()
        // A child that the work has forked shares the event with its parent.
        if getpid() == processID { platform_event_set(event) }
    }
}

private func runBackgroundJob(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<BackgroundJob>.fromOpaque(context).takeRetainedValue().run()
    return nil
}
