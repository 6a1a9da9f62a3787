// SPDX-License-Identifier: Apache-2.0
// How many entries are asked for at once, when answers do not get through: a server closes the
// connection of a client whose answers are larger than it allows (client-output-buffer-limit).
// Pure.

/// The most entries that an answer may have.
struct AnswerSize {
    /// Answers that must come in full before more is asked for again.
    private static let patienceLeast = 8
    private static let patienceMost = 4_096
    private static let entriesUsual = 1_000_000

    private(set) var entriesMax = Int.max
    /// Answers that were lost in a row.
    private var losses = 0
    private var lastAsked = Int.max
    private var fullAnswers = 0
    private var patience = AnswerSize.patienceLeast

    /// The connection was lost while `asked` entries were awaited, before the first of them came.
    /// True if less should be asked for: a single loss can happen to any answer.
    mutating func lost(asked: Int) -> Bool {
        losses += 1
        lastAsked = asked
        fullAnswers = 0
        guard losses > 1, min(entriesMax, asked) > 1 else { return false }
        if entriesMax < .max { patience = min(2 * patience, AnswerSize.patienceMost) }
        entriesMax = max(1, min(entriesMax, asked) / 2)
        return true
    }

    /// Not even one entry gets through.
    var isStuck: Bool { losses > 1 && lastAsked <= 1 }

    /// An answer came in full. More is asked for after some that had all they may.
    mutating func came(entries: Int) {
        losses = 0
        guard entriesMax < .max, entries >= entriesMax else { return }
        fullAnswers += 1
        guard fullAnswers >= patience else { return }
        fullAnswers = 0
        entriesMax = entriesMax < AnswerSize.entriesUsual ? 2 * entriesMax : .max
    }
}
