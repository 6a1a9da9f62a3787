// SPDX-License-Identifier: Apache-2.0
// A number that a server said. It may be any, so that no arithmetic is done on it: it becomes an
// Int only where it lies in a range that the caller names.

/// A number from the wire. It has no operators on purpose: `sum += reply` does not compile.
public struct WireInteger: Equatable, Sendable {
    private let value: Int64

    public init(_ value: Int64) { self.value = value }

    /// The number, if it lies between these; nil if no server should say it.
    public func within(_ range: ClosedRange<Int64>) -> Int64? {
        range.contains(value) ? value : nil
    }

    /// How many there are of something, of which `most` were asked for; nil if it cannot be.
    public func count(most: Int) -> Int? {
        guard value >= 0, value <= Int64(most) else { return nil }
        return Int(value)
    }
}

extension Reply {
    /// The count that this answers; nil if it is not one, or cannot be where `most` were asked for.
    public func count(most: Int) -> Int? {
        guard case .integer(let number) = self else { return nil }
        return number.count(most: most)
    }
}
