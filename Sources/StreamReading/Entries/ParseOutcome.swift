// SPDX-License-Identifier: Apache-2.0
// What a call of the row parser has come to.

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
    /// An entry has a value that does not fit; it was passed over, and parsing can go on after it.
    case refused(RedcolError)
    case failed(RedcolError)
}

/// An entry of one of a reader's streams.
struct RowID: Hashable {
    var id: EntryID
    var stream: Int32
}
