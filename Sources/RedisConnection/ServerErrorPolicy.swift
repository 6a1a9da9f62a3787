// SPDX-License-Identifier: Apache-2.0
// What to do about an error: the one place that decides whether a request is made again, where,
// and how much is asked for.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors

/// What to do about an error.
public enum Remedy: Equatable, Sendable {
    /// The server executed nothing, and will answer the same request later.
    case tryAgain
    /// This connection is of no use: connect again, to another server where there is one.
    case relocate
    /// The answer is too large to reach us: connect again, and ask for fewer entries.
    case askForLess
    /// The same request gives the same error. Somebody has to look at it.
    case raise
}

enum ServerErrorPolicy {
    /// What to do about an error that a server answered: `word` is the first of `line`, in capital
    /// letters. All but `raise` mean that nothing was executed.
    static func remedy(word: String, line: [UInt8]) -> Remedy {
        switch word {
        case "LOADING",  // it is starting
            "BUSY",  // a script runs
            "TRYAGAIN", "CLUSTERDOWN",  // slots are moving, or have no node
            "NOREPLICAS",  // too few replicas are connected to allow a write
            "MISCONF",  // it cannot save, and so allows no write
            "UNBLOCKED":  // the key was deleted, or has moved, while the request waited
            return .tryAgain
        case "READONLY",  // it became a replica
            "MASTERDOWN":  // a replica that has lost its primary
            return .relocate
        case "ERR" where line.starts(with: ServerErrorPolicy.tooManyClients): return .tryAgain
        // Passwords, permissions, types, memory, unknown commands; and MOVED and ASK, since this
        // library knows no other node.
        default: return .raise
        }
    }

    /// The only error of this kind that has no word of its own.
    static let tooManyClients = Array("ERR max number of clients".utf8)

    /// What to do about an error that was found on this side.
    static func remedy(for cause: RedisError.Cause) -> Remedy {
        switch cause {
        case .connection, .timedOut, .name: return .relocate
        // Another connection may bring the bytes as they were sent.
        case .protocolViolation: return .relocate
        default: return .raise
        }
    }
}

extension RedisError {
    /// Whether the server refused a request, of which it executed nothing, and may take it later.
    public var isRefusalForNow: Bool { isAnswer && remedy != .raise }

    /// Whether the connection is at fault, so that another one may succeed.
    public var isConnectionLoss: Bool { !isAnswer && remedy != .raise }

    /// Whether a request that has one answer is made again: a connection that was lost, and a
    /// server that will answer later. An address that is wrong, or a server that says nothing, is
    /// told to the caller at once.
    public var isWorthAnotherTry: Bool { cause == .connection || isRefusalForNow }
}
