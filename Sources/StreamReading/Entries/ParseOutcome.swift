// SPDX-License-Identifier: Apache-2.0
// The outcome of a call of the row parser, and of one entry.

import RedcolBase

/// How far a call of the parser came.
enum ParseOutcome {
    /// More bytes are needed.
    case needsMore
    /// The batch has as many rows as wanted.
    case batchFull
    /// The whole reply has been parsed.
    case replyEnd
    /// An error answer stands where the reply should begin.
    case serverError
    /// An entry has a value that does not fit; it was passed over, and parsing can continue after
    /// it.
    case refused(RedcolError)
    case failed(RedcolError)
}

/// An entry of one of a reader's streams.
struct RowID: Hashable {
    var id: EntryID
    var stream: Int32
}

extension RowParser {
    /// What `parseEntry` says instead of how many bytes it has used.
    enum Step {
        static let needsMore = 0
        static let malformed = -1
        static let tooLarge = -2
        static let refused = -3
        static let noMemory = -4
        static let tooManyColumns = -5
        static let passedOver = -6
        static let newField = -7
        static let tooLong = -8
        static let hugeValue = -9
        static let wrongOrder = -10
    }
}
