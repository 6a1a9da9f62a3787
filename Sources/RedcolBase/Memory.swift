// SPDX-License-Identifier: Apache-2.0
// Looking for memory before the language's runtime is asked for it: what it is refused ends the
// process. So whatever a caller or a server can make large, and is kept in arrays and texts, is
// looked for first.

import CPlatform

public enum Memory {
    /// Throws if there is no memory for so many bytes now. For some kilobytes there is a reserve.
    public static func require(
        _ bytes: Int, for what: @autoclosure () -> String
    ) throws(RedcolError) {
        if !isThere(bytes) { throw RedcolError(.memory, "no memory for \(what())") }
    }

    /// Whether there is memory for `count` times `size` bytes.
    public static func isThere(_ count: Int, times size: Int = 1) -> Bool {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
        return !overflow && bytes >= 0 && platform_memory_is_there(bytes)
    }
}

extension Array {
    /// Whether `more` elements can be appended. An array that grows takes twice as much.
    public func hasRoom(for more: Int) -> Bool {
        if capacity - count >= more { return true }
        let (sum, overflow) = count.addingReportingOverflow(more)
        return !overflow && Memory.isThere(sum, times: 2 * MemoryLayout<Element>.stride)
    }

    /// Makes room for `more` elements; false when there is no memory.
    public mutating func makeRoom(for more: Int) -> Bool {
        if capacity - count >= more { return true }
        guard hasRoom(for: more) else { return false }
        reserveCapacity(Swift.max(count + more, 2 * capacity))
        return true
    }
}
