// SPDX-License-Identifier: Apache-2.0
// What this build can do, where builds differ.

public enum Features {
    /// Connections under TLS (rediss://).
    public static var tls: Bool { false }
}
