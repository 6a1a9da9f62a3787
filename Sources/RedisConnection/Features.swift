// SPDX-License-Identifier: Apache-2.0
// What this build is: its version, and what it can do where builds differ.

public enum Features {
    /// The version of redcol.
    public static var version: StaticString { "0.1.0" }
    /// Connections under TLS (rediss://).
    public static var tls: Bool { false }
}
