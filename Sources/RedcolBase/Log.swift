// SPDX-License-Identifier: Apache-2.0
// The log: what somebody who runs redcol should know and no call returns. Lines have no values of
// entries and no credentials in them.

import CPlatform

/// Writes lines to the callback that the host has set, at most one a second about the same thing.
public enum Log {
    /// How much a line matters, with the numbers of the C interface.
    public enum Level: Int32, Sendable {
        case error = 1
        /// Somebody should look at it.
        case warning = 2
        case info = 3
        case debug = 4
    }

    /// What a line is about. Lines about the same topic and subject are limited together.
    public enum Topic: Sendable {
        case connection, retry
        /// A consumer group.
        case group
        case deadLetter
        /// Entries that were gone before they were read, and a stream that was begun again.
        case gap
        /// Columns that are not called as their fields are.
        case schema
        /// Streams that are missing.
        case stream
        /// Values that do not fit their columns.
        case value

        var name: StaticString {
            switch self {
            case .connection: return "connection"
            case .group: return "group"
            case .deadLetter: return "dead_letter"
            case .gap: return "gap"
            case .retry: return "retry"
            case .schema: return "schema"
            case .stream: return "stream"
            case .value: return "value"
            }
        }
    }

    /// Writes a line. `subject` (a stream, a server) tells things of one topic apart; `message` is
    /// made only when somebody wants lines of that level. False if a line about the same thing was
    /// written less than a second ago, or nobody wants this one.
    @discardableResult
    public static func write(
        _ level: Level, _ topic: Topic, about subject: String = "", _ message: () -> String
    ) -> Bool {
        guard platform_log_wants(level.rawValue) else { return false }
        let name = topic.name
        return message().withCString { text in
            platform_log_write(
                level.rawValue,
                UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self),
                key(name, subject), text)
        }
    }

    /// FNV-1a. http://www.isthe.com/chongo/tech/comp/fnv/
    private static func key(_ name: StaticString, _ subject: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        for index in 0..<name.utf8CodeUnitCount { add(name.utf8Start[index]) }
        for byte in subject.utf8 { add(byte) }
        return hash
    }
}
