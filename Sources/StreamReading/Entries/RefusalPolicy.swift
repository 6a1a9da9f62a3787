// SPDX-License-Identifier: Apache-2.0
// What happens to an entry with a value that does not fit its column.

import ArrowColumns

/// The values of the option "on_error".
public enum RefusalPolicy: String, CaseIterable, Sendable {
    case raise
    /// The value becomes null.
    case null
    /// The entry becomes no row.
    case skip
    /// The entry becomes no row, and is moved to the dead letters.
    case deadLetter = "dead_letter"

    /// What the columns do with the value: all but `null` need the row refused.
    var ofValue: RefusedValue { self == .null ? .null : .raise }
}
