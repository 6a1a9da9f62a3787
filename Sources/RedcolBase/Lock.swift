// SPDX-License-Identifier: Apache-2.0
// A mutex that belongs to one object: what several threads look at is looked at within it.

import CPlatform

public struct Lock: ~Copyable, @unchecked Sendable {
    private let lock: OpaquePointer

    /// `what`: what the lock is for; the error says "no memory for" it.
    public init(for what: StaticString) throws(RedcolError) {
        guard let lock = platform_lock_new() else {
            throw RedcolError(.memory, "no memory for \(what)")
        }
        self.lock = lock
    }

    deinit { platform_lock_free(lock) }

    /// Runs `body` while no other thread runs one within this lock.
    public func callAsFunction<Result>(_ body: () -> Result) -> Result {
        platform_lock_acquire(lock)
        defer { platform_lock_release(lock) }
        return body()
    }
}
