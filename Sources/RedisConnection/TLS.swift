// SPDX-License-Identifier: Apache-2.0
// TLS to the servers of a URL: what its options say, what the connections share, and the errors.

import CPlatform
import RedcolBase

/// The options of TLS; the defaults are those of the table.
public struct TLSOptions: Sendable {
    fileprivate var caCerts, caPath, certfile, keyfile, password: String?
    fileprivate var certReqs = CertificateNeed.required
    fileprivate var checkHostname = true
    /// Whether the host was asked to be checked, and not only by default.
    private var hostnameOption = false
    fileprivate var minVersion = Version.tls12

    fileprivate enum CertificateNeed: String, CaseIterable {
        case required, none
    }

    fileprivate enum Version: String, CaseIterable {
        case tls12 = "TLSv1.2"
        case tls13 = "TLSv1.3"
    }

    public init() {}

    /// False: it is not an option of TLS.
    mutating func take(_ name: ClientOption, _ value: GivenOption) throws(RedcolError) -> Bool {
        switch name {
        case .sslCACerts: caCerts = try value.filled()
        case .sslCAPath: caPath = try value.filled()
        case .sslCertfile: certfile = try value.filled()
        case .sslKeyfile: keyfile = try value.filled()
        case .sslPassword: password = value.text
        case .sslCertReqs: certReqs = try value.word(as: CertificateNeed.self)
        case .sslCheckHostname:
            checkHostname = try value.boolean()
            hostnameOption = checkHostname
        case .sslMinVersion: minVersion = try value.word(as: Version.self)
        default: return false
        }
        return true
    }

    /// Takes the parameters of a URL that are options of TLS. Where a password may be among them,
    /// they stay, and are refused unseen.
    mutating func take(_ query: inout URLParts.Query) throws(RedcolError) {
        for row in ClientOption.allCases where !query.mayHoldPassword {
            let name = row.option.nameText
            guard name.hasPrefix("ssl_"), let text = try query.removeValue(name) else { continue }
            var value = text.value
            // Python writes True and False.
            if case .boolean = row.option.kind { value = value.map { $0 | 0x20 } }
            let given = try ClientOption.given(name, String(decoding: value, as: UTF8.self))
            _ = try take(given.name, given.value)
        }
    }

    /// Looks whether they go together.
    func check() throws(RedcolError) {
        if certfile == nil, keyfile != nil || password != nil {
            throw RedcolError(
                .invalidArgument, "ssl_keyfile and ssl_password need ssl_certfile, the certificate")
        }
        if certReqs == .none, hostnameOption {
            throw RedcolError(
                .invalidArgument,
                "ssl_check_hostname cannot be true where ssl_cert_reqs is none, which trusts any "
                    + "certificate: leave one of them out")
        }
    }
}

/// What the connections to the servers of a URL share. Any thread.
public final class TLS: @unchecked Sendable {
    /// Not changed once there is a connection.
    public var options: TLSOptions
    private let lock: Lock
    /// Made when it is first needed.
    private var context: OpaquePointer?
    /// A connection has succeeded with this context.
    private var hasWorked = false

    static func make(_ options: TLSOptions) throws(RedcolError) -> TLS {
        TLS(options, try Lock(for: "TLS"))
    }

    private init(_ options: TLSOptions, _ lock: consuming Lock) {
        self.options = options
        self.lock = lock
    }

    deinit { if let context { platform_tls_context_free(context) } }

    private static var noMemory: RedcolError { RedcolError(.memory, "no memory for TLS") }

    // MARK: Connections

    /// Finds OpenSSL and reads the files, unless that was done before.
    func prepare(for server: Server) throws(RedcolError) {
        var fault = platform_tls_fault()
        if !lock({ isPrepared(&fault) }) {
            throw described(fault, "connecting to \(server.shown): ", .tls)
        }
    }

    private func isPrepared(_ fault: inout platform_tls_fault) -> Bool {
        guard context == nil else { return true }
        var copy = platform_tls_options(
            ca_certs: copied(options.caCerts), ca_path: copied(options.caPath),
            certfile: copied(options.certfile), keyfile: copied(options.keyfile),
            password: copied(options.password), verifies: options.certReqs == .required,
            checks_host: options.checkHostname,
            min_version: options.minVersion == .tls13 ? 0x0304 : 0x0303)
        context = platform_tls_context_new(&copy, &fault)
        for text in [copy.ca_certs, copy.ca_path, copy.certfile, copy.keyfile, copy.password] {
            free(text)
        }
        return context != nil
    }

    private func copied(_ text: String?) -> UnsafeMutablePointer<CChar>? {
        text.flatMap { strdup($0) }
    }

    /// A connection on a socket, whose handshake is to come.
    func begin(
        _ socket: Int32, to server: Server
    ) throws(RedcolError) -> UnsafeMutablePointer<platform_tls> {
        guard case .tcp(let host, _) = server.address else { throw TLS.noMemory }
        var fault = platform_tls_fault()
        let connection = lock {
            // Another connection may have failed since, and given up what they share.
            isPrepared(&fault) ? context.flatMap { platform_tls_new($0, socket, host) } : nil
        }
        if let connection { return connection }
        if fault.kind == 0 { throw TLS.noMemory }
        throw described(fault, "connecting to \(server.shown): ", .tls)
    }

    /// A connection was made, and the server has accepted our certificate.
    func succeeded() { lock { hasWorked = true } }

    /// The next connection reads the files again. Whether that may help: one has succeeded before.
    func readAgain() -> Bool {
        lock {
            let mayHelp = hasWorked
            if let context { platform_tls_context_free(context) }
            context = nil
            hasWorked = false
            return mayHelp
        }
    }
}

// MARK: - Errors

extension TLS {
    /// For a server that may speak no TLS.
    static var plainHint: String { "; if the server does not speak TLS at this port, use redis://" }

    /// The error for a fault; `asked` stands before it.
    func described(
        _ fault: platform_tls_fault, _ asked: String, _ cause: RedcolError.Cause
    ) -> RedcolError {
        let text = fault.text.map { String(cString: $0) } ?? "error \(fault.code)"
        var reason: String
        let advice: StaticString
        switch fault.kind {
        case Int32(PLATFORM_TLS_NO_OPENSSL):
            return RedcolError(
                .unsupported,
                asked + "TLS needs OpenSSL, but neither libssl.so.3 nor libssl.so.1.1 was found; "
                    + "install it: the package libssl3 of Debian and Ubuntu, openssl-libs of Fedora"
            )
        case Int32(PLATFORM_TLS_MEMORY): return TLS.noMemory
        case Int32(PLATFORM_TLS_CERTIFICATE):
            reason = "the server's certificate was refused: \(text)"
            advice = TLS.advice(verification: fault.code)
        case Int32(PLATFORM_TLS_PROTOCOL):
            reason = "TLS failed: \(text)"
            advice = TLS.advice(reason: fault.code)
        case Int32(PLATFORM_TLS_OTHER_KEY):
            reason = "the key does not belong to the certificate of ssl_certfile"
            advice = "give its key as ssl_keyfile"
        case Int32(PLATFORM_TLS_NO_PASSWORD):
            reason = "the key of the certificate is encrypted"
            advice = "give its password as ssl_password"
        case Int32(PLATFORM_TLS_PASSWORD):
            reason = "the key of the certificate cannot be decrypted with ssl_password"
            advice = "check the password"
        default:
            let (name, path) = file(fault.kind)
            reason = "\(name) (\(escaped(Array((path ?? "").utf8), limit: 200))) "
            reason +=
                fault.code == 0
                ? "does not hold what it should" : "cannot be read: \(errorText(fault.code))"
            advice = "it must be readable, and in PEM format"
        }
        return RedcolError(cause, asked + reason + "; \(advice)")
    }

    private func file(_ kind: Int32) -> (StaticString, String?) {
        switch kind {
        case Int32(PLATFORM_TLS_CA_CERTS): return ("ssl_ca_certs", options.caCerts)
        case Int32(PLATFORM_TLS_CA_PATH): return ("ssl_ca_path", options.caPath)
        case Int32(PLATFORM_TLS_CERTFILE): return ("ssl_certfile", options.certfile)
        default: return ("ssl_keyfile", options.keyfile ?? options.certfile)
        }
    }

    /// Values of X509_V_ERR_….
    private static func advice(verification code: Int32) -> StaticString {
        switch code {
        case 62, 64: "it is for another host: check the host in the URL"
        case 10: "it must be renewed, unless this machine's clock is wrong"
        case 9: "it is not valid yet, unless this machine's clock is wrong"
        case 2, 18, 19, 20, 21:
            "if it is to be trusted, give the certificate of its authority as ssl_ca_certs"
        default: "it must be replaced on the server"
        }
    }

    /// Values of SSL_R_…; 1000 and an alert, which is what the server has said.
    private static func advice(reason code: Int32) -> StaticString {
        switch code {
        case 267: "if the server does not speak TLS at this port, use redis://"
        case 1116: "the server wants a certificate of the client: give ssl_certfile and ssl_keyfile"
        case 1040:
            "the server may want a certificate of the client (ssl_certfile), or another TLS version"
        case 1042...1046, 1048, 1049: "the server refused the certificate of ssl_certfile"
        case 191, 258, 1070, 1071: "the server speaks no version of TLS that is allowed here"
        default: "check the server's log"
        }
    }
}
