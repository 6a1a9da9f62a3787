// SPDX-License-Identifier: Apache-2.0
// What can go wrong between a caller and a server, made where it happens with what is known there.

/// An error with its cause, the words for a person and the details for a program. It is an object:
/// half of all functions can throw one, and a single word is passed on in little code.
public final class RedcolError: Error, Sendable {
    /// Causes are the C interface's error statuses, one to one, except for `interrupted`: a signal
    /// came while a call waited, and the caller must make the call again.
    public enum Cause: Sendable {
        case invalidArgument, connection, name, timedOut, authentication, permission, wrongType
        case loading, server, protocolViolation, value, schema, memory, unsupported, cancelled
        case closed, busy, forked, noGroup, keyExists, tooLarge, tls, pending
        case gap, noStream
        case interrupted
    }

    public static let interrupted = RedcolError(.interrupted, "a signal came; call again")

    public enum Detail: Sendable {
        case serverCode, stream, entryID, field, dtype, value, path, row, key, refusedRows
        case unknownRows
        case providerCode
        case lostEntries, afterID, beforeID
    }

    public let cause: Cause
    public let message: String
    public let details: [(Detail, String)]
    public let remedy: Remedy
    /// Whether a server answered it.
    public let isAnswer: Bool

    private init(
        _ cause: Cause, _ message: String, _ details: [(Detail, String)], _ remedy: Remedy,
        isAnswer: Bool
    ) {
        self.cause = cause
        self.message = message
        self.details = details
        self.remedy = remedy
        self.isAnswer = isAnswer
    }

    @inline(never)
    public convenience init(_ cause: Cause, _ message: String) {
        self.init(cause, message, details: [])
    }

    /// `remedy`: another one than its cause has by itself.
    @inline(never)
    public convenience init(
        _ cause: Cause, _ message: String, details: [(Detail, String)] = [], remedy: Remedy? = nil
    ) {
        self.init(cause, message, details, remedy ?? Remedy(for: cause), isAnswer: false)
    }

    /// An error that a server answered; what to do about it is for its words to say.
    @inline(never)
    public convenience init(
        answered cause: Cause, _ message: String, details: [(Detail, String)], remedy: Remedy
    ) {
        self.init(cause, message, details, remedy, isAnswer: true)
    }

    /// The same error with what a caller further up knows, put before the message.
    @inline(never)
    public func adding(_ context: String, _ detail: Detail? = nil, _ value: String = "")
        -> RedcolError
    {
        RedcolError(
            cause, context + message, detail.map { details + [($0, value)] } ?? details, remedy,
            isAnswer: isAnswer)
    }

    /// The same error with more to its message.
    @inline(never)
    public func saying(_ more: String) -> RedcolError {
        RedcolError(cause, message + more, details, remedy, isAnswer: isAnswer)
    }

    /// The first word of a server's error: its code.
    public var serverCode: String? { details.first { $0.0 == .serverCode }?.1 }
}
