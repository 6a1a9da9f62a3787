// SPDX-License-Identifier: Apache-2.0
// What can go wrong between a caller and a server, made where it happens with what is known there.

/// An error with its cause, the words for a person and the details for a program.
public struct RedcolError: Error, Sendable {
    /// Causes are the C interface's error statuses, one to one, except for `interrupted`: a signal
    /// came while a call waited, and the caller must make the call again.
    public enum Cause: Sendable {
        case invalidArgument, connection, name, timedOut, authentication, permission, wrongType
        case loading, server, protocolViolation, value, schema, memory, unsupported, cancelled
        case closed, busy, forked, noGroup, keyExists, tooLarge, tls, pending
        case interrupted
    }

    public static let interrupted = RedcolError(.interrupted, "a signal came; call again")

    public enum Detail: Sendable {
        case serverCode, stream, entryID, field, dtype, value, path, row, key, refusedRows
        case unknownRows
        case providerCode
    }

    public let cause: Cause
    public private(set) var message: String
    public private(set) var details: [(Detail, String)]
    public let remedy: Remedy
    /// Whether a server answered it.
    public let isAnswer: Bool

    /// `remedy`: another one than its cause has by itself.
    public init(
        _ cause: Cause, _ message: String, details: [(Detail, String)] = [], remedy: Remedy? = nil
    ) {
        self.cause = cause
        self.message = message
        self.details = details
        self.remedy = remedy ?? Remedy(for: cause)
        isAnswer = false
    }

    /// An error that a server answered; what to do about it is for its words to say.
    public init(
        answered cause: Cause, _ message: String, details: [(Detail, String)], remedy: Remedy
    ) {
        self.cause = cause
        self.message = message
        self.details = details
        self.remedy = remedy
        isAnswer = true
    }

    /// The same error with what a caller further up knows, put before the message.
    public func adding(_ context: String, _ detail: Detail? = nil, _ value: String = "")
        -> RedcolError
    {
        var error = self
        error.message = context + message
        if let detail { error.details.append((detail, value)) }
        return error
    }

    /// The same error with more to its message.
    public func saying(_ more: String) -> RedcolError {
        var error = self
        error.message += more
        return error
    }

    /// The first word of a server's error: its code.
    public var serverCode: String? { details.first { $0.0 == .serverCode }?.1 }
}
