// SPDX-License-Identifier: Apache-2.0
// How texts are compared: byte by byte. Swift compares what a person would read, for which an "é"
// of two characters is one of one; that takes Unicode's tables, which would be a tenth of the
// library. What is compared here are options, ids and codes. The compiler prefers these functions.

extension String {
    @inline(never)
    public static func == (one: String, other: String) -> Bool {
        one.utf8.count == other.utf8.count && one.utf8.elementsEqual(other.utf8)
    }

    public static func != (one: String, other: String) -> Bool { !(one == other) }

    /// For `switch`.
    public static func ~= (pattern: String, text: String) -> Bool { pattern == text }

    public func hasPrefix(_ start: String) -> Bool { utf8.starts(with: start.utf8) }
}

extension String? {
    public static func == (one: String?, other: String) -> Bool {
        if let one { one == other } else { false }
    }
}
