// SPDX-License-Identifier: Apache-2.0
// The errors that a server answers, with what a person can do about them.

import RedcolBase

extension RedcolError {
    /// The error that a server answered: `text` is its line without the leading "-". `commands`:
    /// what was sent, where some servers do not say which of them a user has no right to.
    /// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
    public static func server(
        _ text: [UInt8], endpoint: Endpoint, asked: String, commands: StaticString = "it"
    ) -> RedcolError {
        let text = endpoint.secrets.removed(from: text)
        let shown = escaped(text, limit: 512, keeping: .ascii)
        let capitals = text.prefix { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") }
        let word = String(decoding: capitals, as: UTF8.self)
        let details = word.isEmpty ? [] : [(Detail.serverCode, word)]
        let (cause, advice) = meaning(word, shown, endpoint, commands)
        var remedy = ServerErrorPolicy.remedy(
            word: word, line: text, isClusterNode: endpoint.server.isClusterNode)
        // The next connection may get the right ones.
        if cause == .authentication, endpoint.login.source.isRenewed { remedy = .relocate }
        return RedcolError(
            answered: cause, "\(asked): \(endpoint.shown) answered \"\(shown)\"\(advice)",
            details: details, remedy: remedy)
    }

    private static func meaning(
        _ word: String, _ text: String, _ endpoint: Endpoint, _ commands: StaticString
    ) -> (Cause, String) {
        let login = endpoint.login
        let check = "; check the user and password \(login.source.place)"
        switch word {
        // The user and password of the URL are for the servers alone.
        case "NOAUTH" where endpoint.server.isSentinel && login.password == nil:
            return (
                .authentication, "; give sentinel_password, and sentinel_username if it has one"
            )
        case "NOAUTH" where endpoint.server.isSentinel,
            "WRONGPASS" where endpoint.server.isSentinel:
            return (.authentication, "; check sentinel_username and sentinel_password")
        case "NOAUTH" where !login.source.isRenewed:
            return (.authentication, "; give a user and password in the URL")
        case "NOAUTH", "WRONGPASS":
            return (.authentication, check)
        case "NOPERM": return (.permission, "; ask for an ACL rule that allows \(commands)")
        case "WRONGTYPE":
            return (.wrongType, "; this key holds a value of another type")
        case "LOADING":
            return (.loading, "; the server is starting, try again when it has loaded its data")
        case "NOGROUP":
            return (.noGroup, "; create the group with XGROUP CREATE, or check its name")
        case "MOVED", "ASK":
            return endpoint.server.isClusterNode
                ? (
                    .server,
                    "; the nodes of the cluster do not agree on which of them has the key: see "
                        + "redis-cli --cluster check"
                )
                : (
                    .unsupported,
                    "; it did not say that it is a node of a cluster (HELLO): connect to the "
                        + "nodes of the cluster themselves"
                )
        default:
            if refusesPart(text) {
                return (.permission, "; ask for an ACL rule that allows \(commands)")
            }
            if text.hasPrefix("ERR AUTH") || text.hasPrefix("ERR invalid password") {
                return (.authentication, check)
            }
            return (.server, "")
        }
    }
}

/// Whether a transaction or a script failed since the user has no right to a command in it. No word
/// of its own says so.
private func refusesPart(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    let parts: [StaticString] = [
        "because of: NOPERM", "ACL failure in script", "executing the script can't run",
    ]
    return parts.contains { part in
        let wanted = UnsafeBufferPointer(start: part.utf8Start, count: part.utf8CodeUnitCount)
        return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
    }
}
