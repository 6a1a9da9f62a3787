// SPDX-License-Identifier: Apache-2.0
// Numbers of rows, for people and for the binding: few runs instead of many numbers.

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
