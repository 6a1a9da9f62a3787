// SPDX-License-Identifier: Apache-2.0
// What can go wrong between a caller and a server, made where it happens with what is known there.

/// An error with its cause, the words for a person and the details for a program.
public struct RedisError: Error, Sendable {
    /// Causes are the C interface's error statuses, one to one, but for `interrupted`: a signal
    /// came while a call waited that has nothing to go on with, and is to be made again.
    public enum Cause: Sendable {
        case invalidArgument, connection, name, timedOut, authentication, permission, wrongType
        case loading, server, protocolViolation, value, schema, memory, unsupported, cancelled
        case closed, busy, forked, noGroup, keyExists, tooLarge
        case interrupted
    }

    public static let interrupted = RedisError(.interrupted, "a signal came; call again")

    public enum Detail: Sendable {
        case serverCode, stream, entryID, field, dtype, value, path, row, key
    }

    public let cause: Cause
    public private(set) var message: String
    public private(set) var details: [(Detail, String)]
    public private(set) var remedy: Remedy
    /// Whether a server answered it.
    public private(set) var isAnswer = false

    public init(_ cause: Cause, _ message: String, details: [(Detail, String)] = []) {
        self.cause = cause
        self.message = message
        self.details = details
        remedy = ServerErrorPolicy.remedy(for: cause)
    }

    /// The same error with what a caller further up knows, put before the message.
    public func adding(_ context: String, _ detail: Detail? = nil, _ value: String = "")
        -> RedisError
    {
        var error = self
        error.message = context + message
        if let detail { error.details.append((detail, value)) }
        return error
    }

    /// The same error with more to its message.
    public func saying(_ more: String) -> RedisError {
        var error = self
        error.message += more
        return error
    }

    /// Whether the message has `words` in it, byte by byte.
    public func mentions(_ words: String) -> Bool {
        let text = Array(message.utf8)
        return text.indices.contains { text[$0...].starts(with: words.utf8) }
    }
}

extension RedisError {
    /// The error that a server answered: `text` is its line without the leading "-".
    /// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
    public static func server(_ text: [UInt8], endpoint: Endpoint, asked: String) -> RedisError {
        let text = endpoint.secrets.removed(from: text)
        let shown = escaped(text, limit: 512)
        var word = ""
        for byte in text {
            guard byte >= 0x41, byte <= 0x5A else { break }
            word.unicodeScalars.append(Unicode.Scalar(byte))
        }
        let details = word.isEmpty ? [] : [(Detail.serverCode, word)]
        let (cause, advice) = meaning(word, shown)
        var error = RedisError(
            cause, "\(asked): \(endpoint.shown) answered \"\(shown)\"\(advice)", details: details)
        error.isAnswer = true
        error.remedy = ServerErrorPolicy.remedy(word: word, line: text)
        return error
    }

    private static func meaning(_ word: String, _ text: String) -> (Cause, String) {
        switch word {
        case "NOAUTH":
            return (.authentication, "; give a user and password in the URL")
        case "WRONGPASS":
            return (.authentication, "; check the user and password in the URL")
        case "NOPERM":
            return (.permission, "; ask for an ACL rule that allows it")
        case "WRONGTYPE":
            return (.wrongType, "; this key holds a value of another type")
        case "LOADING":
            return (.loading, "; the server is starting, try again when it has loaded its data")
        case "NOGROUP":
            return (.noGroup, "; create the group with XGROUP CREATE, or check its name")
        case "MOVED", "ASK":
            return (
                .unsupported,
                "; clusters are not supported: connect to the node that holds the key"
            )
        default:
            if text.hasPrefix("ERR AUTH") || text.hasPrefix("ERR invalid password") {
                return (.authentication, "; check the user and password in the URL")
            }
            return (.server, "")
        }
    }
}

/// `bytes` as text that is safe to print: everything but printable ASCII becomes \xNN, a backslash
/// is doubled, and what goes past `limit` bytes becomes an ellipsis.
public func escaped(_ bytes: [UInt8], limit: Int) -> String {
    bytes.withUnsafeBufferPointer { escaped($0, limit: limit) }
}

/// See `escaped(_:limit:)` for an array.
public func escaped(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int) -> String {
    var text: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
        if index == limit {
            text.append(contentsOf: [0xE2, 0x80, 0xA6])  // …
            break
        }
        if byte == 0x5C {
            text.append(contentsOf: [0x5C, 0x5C])
        } else if byte >= 0x20, byte < 0x7F {
            text.append(byte)
        } else {
            let digits: [UInt8] = Array("0123456789abcdef".utf8)
            text.append(contentsOf: [0x5C, 0x78, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }
    }
    return String(decoding: text, as: UTF8.self)
}
