// SPDX-License-Identifier: Apache-2.0
// How long the first answer of a read took to come: how much is asked for at once depends on it.

import CPlatform

/// The time between the first request and the first of its answer; taken once.
enum RoundTrip {
    case unasked
    case asked(at: Int64)
    case measured

    init() { self = .unasked }

    mutating func asked(_ now: Int64) {
        if case .unasked = self { self = .asked(at: now) }
    }

    /// Something has come: how many milliseconds that took, if it is the first.
    mutating func answered() -> Int64? {
        guard case .asked(let at) = self else { return nil }
        self = .measured
        return platform_monotonic_ms() - at
    }
}
