// SPDX-License-Identifier: Apache-2.0
// Why a column cannot be made.

/// A schema that cannot be read, or memory that was not given.
public struct ColumnError: Error, Sendable {
    public enum Cause: Sendable { case schema, memory }

    public let cause: Cause
    public let message: String

    public init(cause: Cause, message: String) {
        self.cause = cause
        self.message = message
    }

    static var noMemory: ColumnError {
        ColumnError(cause: .memory, message: "no memory for a schema")
    }

    static func schema(_ message: String) -> ColumnError {
        ColumnError(cause: .schema, message: message)
    }
}
