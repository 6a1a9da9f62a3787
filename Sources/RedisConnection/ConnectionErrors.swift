// SPDX-License-Identifier: Apache-2.0
// What went wrong on a connection, in words: what was being done, why it failed, and what to do.

import CPlatform
import RedcolBase

extension Connection {
    func refused(_ error: Int32) -> RedcolError {
        RedcolError(
            .connection,
            "connecting to \(endpoint.shown): \(errorText(error)); "
                + "check that a server is running there and that the address is right")
    }

    func lost(_ reason: String) -> RedcolError { RedcolError(.connection, asked + reason) }

    func lost(_ failure: Transport.Failure) -> RedcolError {
        var reason: String
        switch failure {
        case .closed: reason = "the server closed the connection"
        case .system(let error): reason = errorText(error)
        case .tls(let fault):
            guard let tls = endpoint.server.tls else { return lost(.closed) }
            // What has worked until now is broken on the way, and may work again.
            return tls.described(fault, asked, phase == .ready ? .connection : .tls)
        }
        // What a server that speaks the other one does.
        if phase == .handshaking {
            reason += TLS.plainHint
        } else if phase == .loggingIn, repliesTaken == 0, endpoint.server.tls == nil,
            !endpoint.server.isLocal
        {
            reason += "; if the server speaks TLS at this port, use rediss://"
        }
        return lost(reason)
    }

    /// What is being done, as the beginning of an error.
    var asked: String {
        let doing =
            switch phase {
            case .ready: "reading from "
            case .loggingIn: "logging in to "
            default: "connecting to "
            }
        return doing + endpoint.shown + ": "
    }

    func unasked() -> RedcolError {
        let shown = endpoint.secrets.shown(incoming.waiting, limit: 40, mayGoOn: true)
        return violation("an answer that nobody asked for (\"\(shown)\")")
    }

    /// `withKey`: the key was asked for, too.
    func noAsking(_ withKey: Bool) -> RedcolError {
        if !withKey { return violation("something else in answer to ASKING") }
        return RedcolError(
            answered: .server,
            "\(endpoint.shown) does not have the key of a slot that is being moved, or does not "
                + "allow EXISTS; its old node is asked again", details: [], remedy: .redirect)
    }

    /// The error for bytes that no server should send.
    public func violation(_ what: String) -> RedcolError {
        RedcolError(
            .protocolViolation,
            "\(endpoint.shown) sent \(what); is it a Redis server? The connection was closed")
    }

    var tooLate: RedcolError {
        var missing = "answer"
        if phase == .fetchingCredentials { missing = "credentials" }
        if phase == .resolving { missing = "address for the host name" }
        return RedcolError(
            .timedOut,
            "connecting to \(endpoint.shown): no \(missing) within \(timeouts.connectMs) ms "
                + "(connect_timeout_ms)" + (phase == .handshaking ? TLS.plainHint : ""))
    }
}

/// The system's words for an errno value.
func errorText(_ error: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let start = buffer.baseAddress else { return "error \(error)" }
        platform_error_text(error, start, buffer.count)
        return String(cString: start)
    }
}
