// SPDX-License-Identifier: Apache-2.0
// What this build is, and what it can do on this machine.

import CPlatform

public enum Features {
    /// The version of redcol.
    public static var version: StaticString { "0.1.0" }
    /// Connections under TLS (rediss://): whether OpenSSL is there.
    public static var tls: Bool { platform_tls_is_there() }
    /// Certificates of authorities that OpenSSL finds by itself.
    public static var tlsRoots: Bool { platform_tls_has_roots() }
}
