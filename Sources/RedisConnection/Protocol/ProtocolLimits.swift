// SPDX-License-Identifier: Apache-2.0
// What a server may claim before it is taken for broken or hostile. Nothing is ever reserved
// because of a length that has only been claimed; these limits bound what is read and kept.

/// Limits on replies. The sizes are those of Redis itself where it has one.
public enum ProtocolLimits {
    /// An error or status line; a server's own are far below.
    public static let lineBytes = 64 * 1024
    /// The digits of a number: enough for any Int64.
    public static let numberDigits = 19
    /// One string: proto-max-bulk-len, whose default is 512 MiB.
    public static let bulkBytes = 512 * 1024 * 1024
    /// One stream entry, with all its fields: it is kept whole in the receive buffer.
    public static let entryBytes = 1024 * 1024 * 1024
    /// The fields and values of one entry, counted together.
    public static let entryElements = 2 * 1024 * 1024
    /// A reply that is read whole (everything but streams), and its elements and levels.
    public static let replyBytes = 16 * 1024 * 1024
    public static let replyElements = 1024 * 1024
    public static let replyDepth = 7
}
