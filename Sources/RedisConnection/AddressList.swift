// SPDX-License-Identifier: Apache-2.0
// The addresses that a host stands for, to be tried one after the other. A name is looked up in a
// thread of its own, since the system may take as long as it likes; an address is not.

import CPlatform
import RedcolBase

/// The result of a look-up. The families take turns, since it is often one of them that does not
/// work. RFC 8305
struct AddressList: ~Copyable {
    private let first: UnsafeMutablePointer<addrinfo>
    /// Where the next address is searched for: among those of the first one's family, and the
    /// others.
    private var ofFirstFamily: UnsafeMutablePointer<addrinfo>?
    private var ofOthers: UnsafeMutablePointer<addrinfo>?
    private var isOthersTurn = false

    /// Takes over what getaddrinfo has found.
    init(_ found: UnsafeMutablePointer<addrinfo>) {
        first = found
        ofFirstFamily = found
        ofOthers = found
    }

    /// The address that `host` is; nil if it is a name.
    init?(address host: String, port: UInt16) {
        guard let found = lookUp(host, port, AI_NUMERICHOST | AI_NUMERICSERV).found else {
            return nil
        }
        self.init(found)
    }

    deinit { freeaddrinfo(first) }

    /// Begins a connection to the next address; nil when there is none left.
    mutating func connectNext(_ timeouts: Timeouts) -> (fd: Int32, status: Int32)? {
        var found = next()
        if found == nil { found = next() }
        guard let address = found else { return nil }
        let fd = platform_socket(address.pointee.ai_family, address.pointee.ai_socktype)
        guard fd >= 0 else { return (-1, platform_errno()) }
        // What is allowed to take longer than a vanished server is waited for may do so.
        platform_tune_tcp(
            fd, timeouts.keepaliveMs,
            max(timeouts.keepaliveMs, timeouts.silenceMs, timeouts.connectMs))
        return (fd, platform_connect(fd, address.pointee.ai_addr, address.pointee.ai_addrlen))
    }

    /// The next address of those whose turn it is.
    private mutating func next() -> UnsafeMutablePointer<addrinfo>? {
        var address = isOthersTurn ? ofOthers : ofFirstFamily
        while let found = address?.pointee,
            (found.ai_family != first.pointee.ai_family) != isOthersTurn
        {
            address = found.ai_next
        }
        if isOthersTurn {
            ofOthers = address?.pointee.ai_next
        } else {
            ofFirstFamily = address?.pointee.ai_next
        }
        isOthersTurn.toggle()
        return address
    }
}

/// Asks the system, which may block for as long as it takes to resolve a name.
private func lookUp(
    _ host: String, _ port: UInt16, _ flags: Int32
) -> (status: Int32, found: UnsafeMutablePointer<addrinfo>?) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = flags
    var found: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, String(port), &hints, &found)
    return (status, status == 0 ? found : nil)
}

/// The look-up of a name in a thread of its own.
final class NameLookup: BackgroundJob, @unchecked Sendable {
    private let host: String
    private let port: UInt16
    private var status: Int32 = 0
    private var found: UnsafeMutablePointer<addrinfo>?

    static func make(_ host: String, _ port: UInt16) throws(RedcolError) -> NameLookup {
        NameLookup(host, port, event: try makeEvent())
    }

    private init(_ host: String, _ port: UInt16, event: Int32) {
        self.host = host
        self.port = port
        super.init(event: event)
    }

    deinit { if let found { freeaddrinfo(found) } }

    // Many may be under way at once.
    override var stackBytes: Int { 1 << 20 }

    override func work() { (status, found) = lookUp(host, port, AI_ADDRCONFIG) }

    func isOf(_ host: String, _ port: UInt16) -> Bool { self.host == host && self.port == port }

    /// What was found, once.
    func takeAddresses(shown: String) throws(RedcolError) -> AddressList {
        guard let addresses = found else {
            let reason = gai_strerror(status).map { String(cString: $0) } ?? "no address"
            throw RedcolError(
                .name,
                "connecting to \(shown): the host name could not be resolved (\(reason)); "
                    + "check its spelling and the name server")
        }
        found = nil
        return AddressList(addresses)
    }
}
