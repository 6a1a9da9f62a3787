// SPDX-License-Identifier: Apache-2.0
// Which gaps are noticed, and how many entries they have: without a server.

import RedcolBase
import TestSupport
import Testing

@testable import StreamReading

private func id(_ milliseconds: UInt64) -> EntryID { EntryID(milliseconds, 0) }

private func rows(_ ids: ClosedRange<UInt64>) -> ArraySlice<RowID> {
    ids.map { RowID(id: id($0), stream: 0) }[...]
}

/// A stream whose entries are 1-0, 2-0, … without a gap, of which the first ones are gone.
private func stream(_ first: UInt64, _ last: UInt64, counts: Bool = true) -> StreamExtent {
    StreamExtent(
        last: id(last), first: first <= last ? id(first) : nil,
        length: Int64(last) - Int64(first) + 1, added: counts ? Int64(last) : nil)
}

@Suite struct GapWatchTests {
    @Test func aReaderThatIsOvertaken() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 3), cursor: id(3)) == nil)
        #expect(
            watch.looked(stream(10, 13), cursor: id(3))
                == Gap(entries: 6, after: id(3), before: id(10)))
        #expect(watch.looked(stream(10, 13), cursor: id(3)) == nil)
        watch.read(rows(10...13))
        #expect(watch.reached(id(13)) == nil)
        #expect(
            watch.looked(stream(21, 20), cursor: id(13))
                == Gap(entries: 7, after: id(13), before: nil))
    }

    @Test func aGapBetweenTwoLooksIsNoticedWhenItIsRead() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 3), cursor: id(3)) == nil)
        watch.read(rows(6...10))
        #expect(watch.reached(id(10)) == nil)
        // The reader is in the middle, and more was added by the time it has read up to there.
        #expect(watch.looked(stream(6, 12), cursor: id(10)) == nil)
        watch.read(rows(11...11))
        #expect(watch.reached(id(11)) == nil)
        watch.read(rows(12...15))
        #expect(watch.reached(id(15)) == Gap(entries: 2, after: id(3), before: id(12)))
        #expect(watch.looked(stream(6, 15), cursor: id(15)) == nil)
    }

    @Test func whatComesFirstAfterALookStandsBeforeTheGap() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 90), cursor: id(0)) == nil)
        watch.read(rows(1...5))
        watch.read(rows(70...90))
        #expect(watch.reached(id(90)) == Gap(entries: 64, after: id(5), before: id(90)))
        // It was trimmed before anything was read.
        var late = GapWatch()
        #expect(late.looked(stream(1, 90), cursor: id(0)) == nil)
        late.read(rows(70...72))
        #expect(
            late.looked(stream(91, 90), cursor: id(72))
                == Gap(entries: 87, after: id(72), before: nil))
    }

    @Test func theEndOfARead() {
        func watch() -> GapWatch {
            var watch = GapWatch()
            #expect(watch.looked(stream(1, 9), cursor: id(0)) == nil)
            watch.read(rows(1...4))
            return watch
        }
        func ended(
            _ watch: GapWatch, _ extent: StreamExtent?, _ cursor: UInt64 = 4, end: UInt64 = 9,
            wasThere: Bool = true
        ) -> Gap? {
            var watch = watch
            return watch.ended(extent, cursor: id(cursor), end: id(end), wasThere: wasThere)
        }
        let five = Gap(entries: 5, after: id(4), before: nil)
        #expect(ended(watch(), nil) == five)
        #expect(ended(watch(), stream(13, 12)) == five)
        #expect(ended(watch(), stream(11, 12))?.before == id(11))
        // All was read, or up to an end where no entry was.
        var whole = watch()
        whole.read(rows(5...9))
        #expect(whole.reached(id(9)) == nil)
        #expect(ended(whole, nil, 9) == nil)
        #expect(ended(whole, nil, 9, end: 20, wasThere: false) == nil)
        // How many there were is not known: more had been added by the time of the look.
        let one = Gap(entries: 1, isExact: false, after: id(4), before: nil)
        #expect(ended(watch(), nil, end: 8) == one)
        #expect(ended(watch(), nil, end: 8, wasThere: false) == nil)
        #expect(ended(GapWatch(), nil) == one)
    }

    @Test func aReaderThatBeginsInTheMiddleLearnsWhereItIs() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 9), cursor: id(4)) == nil)
        // What was lost before it knew is not noticed.
        watch.read(rows(7...9))
        #expect(watch.reached(id(9)) == nil)
        #expect(
            watch.looked(stream(13, 20), cursor: id(9))
                == Gap(entries: 3, after: id(9), before: id(13)))
    }

    @Test func aBeginningAfterTheLastEntryTellsNothing() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 3), cursor: id(50)) == nil)
        #expect(watch.looked(stream(1, 40), cursor: id(50)) == nil)
        watch.read(rows(51...52))
        #expect(watch.looked(stream(1, 52), cursor: id(52)) == nil)
    }

    @Test func entriesThatAreReadAreNoGapWhateverIsTrimmed() {
        var watch = GapWatch()
        var generator = SeededGenerator(7)
        var (first, last, cursor): (UInt64, UInt64, UInt64) = (1, 0, 0)
        var (noticed, missed): (Int64, Int64) = (0, 0)
        // Without a look before the first entry is lost, the beginning would be unknown.
        #expect(watch.looked(stream(1, 0), cursor: id(0)) == nil)
        func add(_ gap: Gap?) { noticed += gap?.entries ?? 0 }
        for _ in 0..<2_000 {
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: last += UInt64.random(in: 1...20, using: &generator)
            case 1: first = max(first, UInt64.random(in: first...(last + 1), using: &generator))
            case 2:
                let from = max(cursor + 1, first)
                guard from <= last else { continue }
                let to = min(last, from + UInt64.random(in: 0...9, using: &generator))
                missed += Int64(from - cursor - 1)
                watch.read(rows(from...to))
                cursor = to
                add(watch.reached(id(cursor)))
            default: add(watch.looked(stream(first, last), cursor: id(cursor)))
            }
        }
        if cursor < last, first <= last {
            let from = max(cursor + 1, first)
            missed += Int64(from - cursor - 1)
            watch.read(rows(from...last))
            cursor = last
            add(watch.reached(id(cursor)))
        } else if cursor < last {
            missed += Int64(last - cursor)
        }
        add(watch.looked(stream(first, last), cursor: id(cursor)))
        #expect(missed > 100)
        #expect(noticed == missed)
    }

    @Test func aGroupThatStandsBeforeAGap() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 9), delivered: id(3), read: 3) == nil)
        let gap = Gap(entries: 2, after: id(3), before: id(6))
        #expect(watch.looked(stream(6, 9), delivered: id(3), read: 3) == gap)
        #expect(watch.looked(stream(6, 9), delivered: id(3), read: 3) == nil)
        // A part of it was counted before.
        #expect(watch.looked(stream(8, 9), delivered: id(3), read: 3)?.entries == 2)
        #expect(watch.looked(stream(8, 9), delivered: id(9), read: 9) == nil)
        // A new group: what was gone before it is no gap.
        var new = GapWatch()
        #expect(new.looked(stream(6, 9), delivered: id(0), read: nil) == nil)
        #expect(new.looked(stream(8, 9), delivered: id(0), read: nil)?.entries == 2)
    }

    @Test func withoutACountOnlyAnEntryThatWasSeenIsMissed() {
        var watch = GapWatch()
        #expect(watch.looked(stream(1, 9, counts: false), cursor: id(3)) == nil)
        #expect(watch.looked(stream(9, 12, counts: false), cursor: id(3)) == nil)
        #expect(
            watch.looked(stream(13, 15, counts: false), cursor: id(3))
                == Gap(entries: 1, isExact: false, after: id(3), before: id(13)))
        #expect(watch.looked(stream(13, 15, counts: false), cursor: id(3)) == nil)
        #expect(watch.looked(stream(16, 15, counts: false), cursor: id(3))?.entries == 1)
        #expect(watch.looked(stream(16, 15, counts: false), cursor: id(3)) == nil)
    }
}
