// SPDX-License-Identifier: Apache-2.0
// What to do about an error: the one place that decides whether a request is made again, where,
// and how much is asked for.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors

import RedcolBase

enum ServerErrorPolicy {
    /// What to do about an error that a server answered: `word` is the first of `line`, in capital
    /// letters. All but `raise` mean that nothing was executed.
    /// `isClusterNode`: whether the server is one.
    static func remedy(word: String, line: [UInt8], isClusterNode: Bool = false) -> Remedy {
        switch word {
        case "LOADING",  // it is starting
            "BUSY",  // a script runs
            "TRYAGAIN", "CLUSTERDOWN",  // slots are moving, or have no node
            "NOREPLICAS",  // too few replicas are connected to allow a write
            "MISCONF",  // it cannot save, and so allows no write
            "UNBLOCKED":  // the key was deleted, or has moved, while the request waited
            return .tryAgain
        case "MOVED" where isClusterNode, "ASK" where isClusterNode: return .redirect
        case "READONLY",  // it became a replica
            "MASTERDOWN":  // a replica that has lost its primary
            return .relocate
        case "ERR" where line.starts(with: ServerErrorPolicy.tooManyClients): return .tryAgain
        // Passwords, permissions, types, memory, unknown commands.
        default: return .raise
        }
    }

    /// The only error of this kind that has no word of its own.
    static let tooManyClients = Array("ERR max number of clients".utf8)
}
