// SPDX-License-Identifier: Apache-2.0
// A connection to one server of several that have the same keys, and to no other: while a read is
// shared among them, each is asked for what it has.

import RedcolBase
import RedisConnection

/// Names its server, and sees that it is what it was taken for.
final class CopyLocator: Locator {
    private let server: Server
    private let isPrimary: Bool

    init(_ server: Server, isPrimary: Bool) {
        self.server = server
        self.isPrimary = isPrimary
        super.init(wantsReplica: true)
    }

    override func advance(_ now: Int64) throws(RedcolError) -> Server? { server }

    override func judge(_ found: Found) throws(RedcolError) -> Verdict {
        if case .error(let text)? = found.answer {
            throw RedcolError.server(
                text, endpoint: found.endpoint, asked: "reading from a replica",
                commands: "READONLY")
        }
        let isReplica = found.role.map { !$0.elementsEqual("master".utf8) } ?? false
        if isReplica, isPrimary {
            throw RedcolError(.connection, "\(server.shown) is a replica now")
        }
        // A replica of a cluster serves nobody who has not said READONLY.
        if isReplica, found.isClusterNode, found.answer == nil {
            return .ask(Command("READONLY"))
        }
        return .stay
    }
}
