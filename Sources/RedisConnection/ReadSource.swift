// SPDX-License-Identifier: Apache-2.0
// Where ranges are read, if several servers have them.

/// The values of the option "read_from".
public enum ReadSource: String, CaseIterable, Sendable {
    case primary
    /// A replica that is in order. Without one: the primary.
    case replica
    /// Any of them.
    case any
}
