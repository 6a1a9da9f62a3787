// SPDX-License-Identifier: Apache-2.0
// The addresses that a host name stands for, to be tried one after the other.

import CPlatform
import RedcolBase

/// The result of a name look-up. Asking the system may block for as long as it takes to resolve a
/// name.
struct AddressList: ~Copyable {
    private let first: UnsafeMutablePointer<addrinfo>?
    private var next: UnsafeMutablePointer<addrinfo>?

    init(host: String, port: UInt16, shown: String) throws(RedcolError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var result: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &result)
        first = result
        next = result
        guard status == 0, result != nil else {
            let reason = gai_strerror(status).map { String(cString: $0) } ?? "no address"
            throw RedcolError(
                .name,
                "connecting to \(shown): the host name could not be resolved (\(reason)); "
                    + "check its spelling and the name server")
        }
    }

    deinit { if let first { freeaddrinfo(first) } }

    /// Begins a connection to the next address; nil when there is none left.
    mutating func connectNext() -> (fd: Int32, status: Int32)? {
        guard let address = next else { return nil }
        next = address.pointee.ai_next
        let fd = platform_socket(address.pointee.ai_family, address.pointee.ai_socktype)
        guard fd >= 0 else { return (-1, platform_errno()) }
        platform_tune_tcp(fd)
        return (fd, platform_connect(fd, address.pointee.ai_addr, address.pointee.ai_addrlen))
    }
}
