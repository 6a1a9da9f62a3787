// SPDX-License-Identifier: Apache-2.0
// What is done about an error before it reaches the caller.

/// What to do about an error.
public enum Remedy: Equatable, Sendable {
    /// Nothing was executed, and the same request will be answered later.
    case tryAgain
    /// This connection is of no use: connect again, to another server where there is one.
    case relocate
    /// Another node of the cluster has the key, and was named: connect again, which goes there.
    case redirect
    /// The answer is too large to reach us: connect again, and ask for fewer entries.
    case askForLess
    /// The same request gives the same error. Somebody has to look at it.
    case raise

    /// What to do about an error that was found on this side.
    init(for cause: RedcolError.Cause) {
        switch cause {
        case .connection, .timedOut, .name: self = .relocate
        // Another connection may bring the bytes as they were sent.
        case .protocolViolation: self = .relocate
        default: self = .raise
        }
    }
}

extension RedcolError {
    /// Whether the server refused a request without executing any of it, and may take it later.
    public var isRefusalForNow: Bool { isAnswer && remedy != .raise }

    /// Whether the connection is at fault, so that another one may succeed.
    public var isConnectionLoss: Bool { !isAnswer && remedy != .raise }

    /// Whether a request that has one answer is made again: a connection that was lost, and a
    /// server that will answer later, or credentials that could not be had. An address that is
    /// wrong, or a server that says nothing, is told to the caller at once.
    public var isWorthAnotherTry: Bool {
        cause == .connection || isRefusalForNow || remedy == .tryAgain
    }
}
