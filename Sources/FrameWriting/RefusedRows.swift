// SPDX-License-Identifier: Apache-2.0
// Rows that a server refused for now, in the middle of a write.

import RedcolBase

/// Rows that the server refused, of which it executed nothing, and what became of those after them.
struct RefusedRows {
    enum Outcome { case refused, empty, written }

    let first: Int
    let error: RedcolError
    var outcomes: [Outcome] = []

    init(first: Int, error: RedcolError) {
        self.first = first
        self.error = error
    }

    var hasWritten: Bool { outcomes.contains(.written) }
}
