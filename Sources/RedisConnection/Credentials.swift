// SPDX-License-Identifier: Apache-2.0
// Credentials that are not in the URL: a file that is read, or a function of the host's that is
// asked, each time that a connection begins. Both may block, and so have a thread of their own.

import CPlatform
import RedcolBase

/// Where the user and the password come from.
public enum CredentialsSource: Sendable {
    case url
    /// The file holds the password. The user is in the URL; without one, it is the default user.
    case file(path: String)
    case provider(CredentialsProvider)

    /// Whether the next connection may get other ones.
    var isRenewed: Bool {
        if case .url = self { return false }
        return true
    }

    /// Where a person should look, to continue after "the user and password".
    var place: String {
        switch self {
        case .url: return "in the URL"
        case .file(let path): return "in the URL and the file \(escaped(path))"
        case .provider: return "that the credentials provider returned"
        }
    }
}

/// A function of the host's, and what it is called with.
public final class CredentialsProvider: @unchecked Sendable {
    /// Takes the request that it answers.
    public typealias Function =
        @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32
    public typealias Release = @convention(c) (UnsafeMutableRawPointer?) -> Void

    fileprivate let function: Function
    fileprivate let userData: UnsafeMutableRawPointer?
    private let release: Release?

    public init(
        _ function: @escaping Function, _ userData: UnsafeMutableRawPointer?, _ release: Release?
    ) {
        self.function = function
        self.userData = userData
        self.release = release
    }

    deinit { release?(userData) }
}

/// The last credentials that the connections of a client have used: a server may still repeat those
/// of an earlier one.
final class UsedSecrets: @unchecked Sendable {
    private let lock: Lock
    private var secrets = Secrets.none

    static func make() throws(RedcolError) -> UsedSecrets {
        UsedSecrets(try Lock(for: "credentials"))
    }

    private init(_ lock: consuming Lock) { self.lock = lock }

    /// All of them, with what one more connection uses.
    func adding(user: [UInt8], password: [UInt8]) -> Secrets {
        lock {
            secrets = Secrets(
                user: user, password: password, raw: (user, password), earlier: secrets)
            return secrets
        }
    }
}

/// Credentials that are being fetched for one connection.
public final class CredentialsRequest: BackgroundJob, @unchecked Sendable {
    /// A password is a word or a token.
    public static let bytesMax = 65_536

    private enum Outcome {
        case password([UInt8])
        case failed(errno: Int32)
        /// Of a file.
        case tooLong
        /// What the provider has returned; 0 if it has set nothing.
        case refused(Int32)
    }

    /// Given up with the end of the work, before anybody is told of it: this thread may hold the
    /// request a moment longer than its last user, who may expect that the provider is released.
    private var source: CredentialsSource
    private var user: [UInt8]
    private var outcome = Outcome.refused(0)

    static func make(_ login: Login) throws(RedcolError) -> CredentialsRequest {
        CredentialsRequest(login, event: try makeEvent())
    }

    private init(_ login: Login, event: Int32) {
        source = login.source
        user = login.user
        super.init(event: event)
    }

    override func work() {
        defer { source = .url }
        switch source {
        case .url: break
        case .file(let path): outcome = CredentialsRequest.read(path)
        case .provider(let provider):
            let answer = OpaquePointer(Unmanaged.passUnretained(self).toOpaque())
            platform_callback_begins()
            let result = provider.function(answer, provider.userData)
            platform_callback_ended()
            if result != 0 { outcome = .refused(result) }
        }
    }

    /// What the provider says, in its thread.
    public func set(user: UnsafeBufferPointer<UInt8>, password: UnsafeBufferPointer<UInt8>) {
        self.user = Array(user)
        outcome = .password(Array(password))
    }

    private static func read(_ path: String) -> Outcome {
        // One byte more, to see that there is more, and a line's end.
        let room = bytesMax + 3
        return withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { bytes in
            let count = platform_read_file(path, bytes.baseAddress, room)
            if count < 0 { return .failed(errno: platform_errno()) }
            var text = bytes[..<count]
            if text.last == 0x0A { text.removeLast() }
            if text.last == 0x0D { text.removeLast() }
            if text.count > bytesMax { return .tooLong }
            return .password(Array(text))
        }
    }

    /// The login with what was fetched. After `takeDone`.
    func completed(_ login: Login, shown: String) throws(RedcolError) -> Login {
        if case .password(let password) = outcome {
            return Login(
                user: user, password: password, database: login.database, name: login.name,
                source: login.source,
                secrets: login.used?.adding(user: user, password: password)
                    ?? Secrets(user: user, password: password, raw: (user, password)),
                used: login.used)
        }
        var reason = "the credentials provider "
        var details: [(RedcolError.Detail, String)] = []
        if case .file(let path) = login.source { reason = "the password file \(escaped(path)) " }
        switch outcome {
        case .failed(errno: ESPIPE): reason += "cannot be used: it is not a regular file"
        case .failed(let error): reason += "cannot be read: \(errorText(error))"
        case .tooLong: reason += "has more than \(CredentialsRequest.bytesMax) bytes"
        case .refused(0), .password: reason += "set no credentials"
        case .refused(let code):
            reason += "returned an error"
            details.append((.providerCode, String(code)))
        }
        throw RedcolError(
            .authentication, "logging in to \(shown): \(reason)", details: details,
            remedy: .tryAgain)
    }
}

private func escaped(_ path: String) -> String { escaped(Array(path.utf8), limit: 200) }
