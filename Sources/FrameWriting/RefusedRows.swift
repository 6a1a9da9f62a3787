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

/// Row numbers, added in their order, as runs.
struct RowRanges {
    private(set) var count = 0
    private var runs: [ClosedRange<Int>] = []

    mutating func add(_ row: Int) {
        count += 1
        if let run = runs.last, row == run.upperBound + 1 {
            runs[runs.count - 1] = run.lowerBound...row
        } else {
            runs.append(row...row)
        }
    }

    /// Such as "3,7-9"; cut after about `limit` bytes.
    func text(limit: Int) -> String {
        var text = ""
        for run in runs {
            if text.utf8.count > limit { return text + ",…" }
            if !text.isEmpty { text += "," }
            text += "\(run.lowerBound)"
            if run.count > 1 { text += "-\(run.upperBound)" }
        }
        return text
    }
}
