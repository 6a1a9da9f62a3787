// SPDX-License-Identifier: Apache-2.0
// Entry ids: two 64-bit numbers, compared in that order.
// https://redis.io/docs/latest/develop/data-types/streams/#entry-ids

/// The id of a stream entry: milliseconds and a sequence number.
public struct EntryID: Comparable, Hashable, Sendable {
    public var milliseconds: UInt64
    public var sequence: UInt64

    public init(_ milliseconds: UInt64, _ sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    public static let smallest = EntryID(0, 0)
    public static let largest = EntryID(.max, .max)

    public static func < (one: EntryID, other: EntryID) -> Bool {
        one.milliseconds != other.milliseconds
            ? one.milliseconds < other.milliseconds : one.sequence < other.sequence
    }

    /// The id after this one; nil after the largest.
    public var next: EntryID? {
        if sequence < .max { return EntryID(milliseconds, sequence + 1) }
        return milliseconds < .max ? EntryID(milliseconds + 1, 0) : nil
    }

    /// The id before this one; nil before the smallest.
    public var previous: EntryID? {
        if sequence > 0 { return EntryID(milliseconds, sequence - 1) }
        return milliseconds > 0 ? EntryID(milliseconds - 1, .max) : nil
    }

    /// The id at the same distance from the other end: the order of ids turned around.
    public var mirrored: EntryID { EntryID(~milliseconds, ~sequence) }

    /// As Redis writes it: `1704067200000-0`.
    public var text: String { "\(milliseconds)-\(sequence)" }

    /// Reads `milliseconds-sequence`, or `milliseconds` alone with the sequence number given.
    @inline(never)
    public init?(_ text: UnsafeBufferPointer<UInt8>, sequenceIfMissing: UInt64?) {
        var (number, digits) = (UInt64(0), 0)
        var milliseconds: UInt64?
        for byte in text {
            if byte == 0x2D {
                guard digits > 0, milliseconds == nil else { return nil }
                milliseconds = number
                (number, digits) = (0, 0)
                continue
            }
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (product, tooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(byte - 0x30))
            if tooLarge || overflow { return nil }
            (number, digits) = (sum, digits + 1)
        }
        guard digits > 0 else { return nil }
        if let milliseconds {
            self.init(milliseconds, number)
        } else if let sequenceIfMissing {
            self.init(number, sequenceIfMissing)
        } else {
            return nil
        }
    }

    /// The same of bytes that something else holds.
    public init?(_ text: some BytesInOnePiece, sequenceIfMissing: UInt64?) {
        let id = text.withContiguousStorageIfAvailable {
            EntryID($0, sequenceIfMissing: sequenceIfMissing)
        }
        guard case let id?? = id else { return nil }
        self = id
    }
}

/// One end of a range, as XRANGE writes it.
/// https://redis.io/docs/latest/commands/xrange/
public enum RangeBound {
    /// The first id that a `start_id` lets in; nil when there can be none. `now`: the server's
    /// clock in milliseconds, for times before it; nil where there are none.
    public static func lower(
        _ text: String, name: String, now: UInt64? = nil
    ) throws(RedcolError) -> EntryID? {
        if text == "-" { return .smallest }
        if text == "+" { return .largest }
        let (id, isExclusive) = try parse(text, sequenceIfMissing: 0, name: name, now)
        return isExclusive ? id.next : id
    }

    /// The last id that an `end_id` lets in; nil when there can be none. `now`: as in `lower`.
    public static func upper(
        _ text: String, name: String, now: UInt64? = nil
    ) throws(RedcolError) -> EntryID? {
        if text == "+" { return .largest }
        if text == "-" { return .smallest }
        let (id, isExclusive) = try parse(text, sequenceIfMissing: .max, name: name, now)
        return isExclusive ? id.previous : id
    }

    /// The milliseconds of a time before now: "-1h", "-1d12h", "-500ms". Nil for other texts.
    public static func millisecondsBack(_ text: String) -> UInt64? {
        var total: UInt64 = 0
        var number: UInt64?
        var bytes = Array(text.utf8)[...]
        guard bytes.popFirst() == UInt8(ascii: "-"), !bytes.isEmpty else { return nil }
        while let byte = bytes.popFirst() {
            if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                let (tens, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
                let (sum, isTooMuch) = tens.addingReportingOverflow(
                    UInt64(byte - UInt8(ascii: "0")))
                if isTooLarge || isTooMuch { return nil }
                number = sum
                continue
            }
            let unit: UInt64
            switch byte {
            case UInt8(ascii: "m") where bytes.first == UInt8(ascii: "s"):
                bytes.removeFirst()
                unit = 1
            case UInt8(ascii: "s"): unit = 1_000
            case UInt8(ascii: "m"): unit = 60_000
            case UInt8(ascii: "h"): unit = 3_600_000
            case UInt8(ascii: "d"): unit = 86_400_000
            case UInt8(ascii: "w"): unit = 604_800_000
            default: return nil
            }
            guard let complete = number else { return nil }
            let (product, isTooLarge) = complete.multipliedReportingOverflow(by: unit)
            let (sum, isTooMuch) = total.addingReportingOverflow(product)
            if isTooLarge || isTooMuch { return nil }
            total = sum
            number = nil
        }
        return number == nil ? total : nil
    }

    @inline(never)
    private static func parse(
        _ text: String, sequenceIfMissing: UInt64, name: String, _ now: UInt64?
    ) throws(RedcolError) -> (EntryID, Bool) {
        if let now, let back = millisecondsBack(text) {
            return (EntryID(now > back ? now - back : 0, sequenceIfMissing), false)
        }
        let isExclusive = text.utf8.first == 0x28
        let digits = text.utf8.dropFirst(isExclusive ? 1 : 0)
        // Redis completes the milliseconds of an excluded bound in the same way as of an included
        // one.
        guard let id = EntryID(digits, sequenceIfMissing: sequenceIfMissing) else {
            let shown = escaped(Array(text.utf8), limit: 80)
            let hint =
                text == "$"
                ? "\"$\" means new entries only, which a range does not have; give block_ms to "
                    + "wait for them"
                : "give \"-\", \"+\", milliseconds, milliseconds-sequence, one after \"(\", or a "
                    + "time before now, such as \"-1h\", \"-1d12h\" or \"-500ms\""
            throw RedcolError(
                .invalidArgument, "\(name) is \"\(shown)\", which is not an entry id: \(hint)")
        }
        return (id, isExclusive)
    }
}
