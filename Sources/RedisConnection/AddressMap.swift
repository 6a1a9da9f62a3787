// SPDX-License-Identifier: Apache-2.0
// Where the nodes of a cluster are reached, if not where they say that they are: behind NAT, or
// through tunnels.

import RedcolBase

/// Addresses of nodes, and those that are used in their place.
public struct AddressMap: Sendable {
    private var pairs: [(named: Server, reached: Server)] = []

    init() {}

    /// `text`: "10.0.0.1:7000=127.0.0.1:17000,10.0.0.2:7000=127.0.0.1:17001".
    init(_ text: [UInt8], _ wrong: RedcolError) throws(RedcolError) {
        for pair in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let sides = pair.split(separator: UInt8(ascii: "="), omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else { throw wrong }
            do throws(RedcolError) {
                pairs.append(
                    (
                        try Server(hostAndPort: sides[0], defaultPort: 6379),
                        try Server(hostAndPort: sides[1], defaultPort: 6379)
                    ))
            } catch {
                throw wrong
            }
        }
    }

    /// Where a node is reached that says it is at this address.
    public func reached(_ host: [UInt8], _ port: UInt16) -> (host: [UInt8], port: UInt16) {
        pairs.first { AddressMap.isAt($0.named, host, port) }?.reached.hostAndPort ?? (host, port)
    }

    /// What a node that was reached at this address is called.
    public func named(_ host: [UInt8], _ port: UInt16) -> [UInt8] {
        pairs.first { AddressMap.isAt($0.reached, host, port) }?.named.hostAndPort?.host ?? host
    }

    private static func isAt(_ server: Server, _ host: [UInt8], _ port: UInt16) -> Bool {
        guard let (knownHost, knownPort) = server.hostAndPort else { return false }
        return knownPort == port && knownHost == host
    }
}
