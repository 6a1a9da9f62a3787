// SPDX-License-Identifier: Apache-2.0
// How far each stream of a group was handled, and which entries have come again.

import RedcolBase
import Testing

@testable import StreamReading

private func rows(_ stream: Int32, _ milliseconds: UInt64...) -> [RowID] {
    milliseconds.map { RowID(id: EntryID($0, 1), stream: stream) }
}

@Test(arguments: [1, 2])
func entriesThatComeAgain(streams: Int) {
    var handled = HandledEntries(streams: streams)
    #expect(handled.repeated(rows(0, 1, 2)[...]) == 0)
    handled.note(rows(0, 1, 2, 3))
    #expect(handled.repeated([]) == 0)
    #expect(handled.repeated(rows(0, 4, 5)[...]) == 0)
    #expect(handled.repeated(rows(0, 2, 3, 4)[...]) == 2)
    #expect(handled.repeated(rows(0, 1, 2, 3)[1...]) == 2)
    // The group was made again, and the stream may have begun again.
    handled.begin(0, at: EntryID(9, 0))
    #expect(handled.repeated(rows(0, 2, 3)[...]) == 0)
}

@Test func entriesThatComeAgainInOneOfTwoStreams() {
    var handled = HandledEntries(streams: 2)
    handled.note(rows(1, 1, 2, 3))
    #expect(handled.repeated((rows(0, 1, 2) + rows(1, 3, 4))[...]) == 1)
    #expect(handled.repeated((rows(1, 3, 4) + rows(0, 1, 2))[...]) == 1)
}
