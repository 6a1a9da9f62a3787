// SPDX-License-Identifier: Apache-2.0
// A reply, part by part, as it comes. Nothing of it is kept, and what lies deep inside is passed
// over while it comes: XINFO STREAM repeats two whole entries, of which only the ids are wanted.

import RedisConnection

/// How far a reply has been read. Pure: it knows no socket.
struct ReplyWalk {
    enum Part {
        /// An array of so many parts begins.
        case array(Int)
        case integer(WireInteger)
        /// Borrowed from the bytes.
        case text(UnsafeBufferPointer<UInt8>)
        /// A null, or a text that is passed over.
        case nothing
    }

    enum Step {
        /// `depth`: in how many arrays it is.
        case part(Part, depth: Int)
        case needsMore, end, malformed
    }

    /// Texts that are in more arrays than this are passed over: the fields of entries.
    static let keptDepth = 2

    /// How many parts each open array still lacks; the outermost "array" is the reply itself.
    private var open = [1]
    private var bytesToPass = 0

    var isAtStart: Bool { open.count == 1 && open[0] == 1 }

    /// Another reply comes next.
    mutating func begin() {
        open.removeAll(keepingCapacity: true)
        open.append(1)
        bytesToPass = 0
    }

    /// Reads on at `position`, and moves it past what was read. Needs 16 zero bytes after `end`.
    mutating func next(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> Step {
        if bytesToPass > 0 {
            let count = min(bytesToPass, end - position)
            position += count
            bytesToPass -= count
            if bytesToPass > 0 { return .needsMore }
        }
        while open.last == 0 { open.removeLast() }
        guard !open.isEmpty else { return .end }
        guard position < end else { return .needsMore }
        let depth = open.count - 1
        var here = position
        let part: Part
        switch here[0] {
        case UInt8(ascii: ":"):
            here += 1
            switch readNumber(&here, end, digitsMax: ProtocolLimits.numberDigits) {
            case .value(let number): part = .integer(WireInteger(number))
            case .needsMore: return .needsMore
            case .malformed: return .malformed
            }
        case UInt8(ascii: "$"):
            let length = readLength(&here, end, UInt8(ascii: "$"))
            if length == Length.needsMore { return .needsMore }
            if length == Length.null {
                part = .nothing
                break
            }
            guard length >= 0, length <= ProtocolLimits.bulkBytes else { return .malformed }
            if depth > ReplyWalk.keptDepth {
                bytesToPass = length + 2
                part = .nothing
                break
            }
            guard end - here >= length + 2 else { return .needsMore }
            guard endsLine(here + length) else { return .malformed }
            part = .text(UnsafeBufferPointer(start: here, count: length))
            here += length + 2
        case UInt8(ascii: "*"):
            let length = readLength(&here, end, UInt8(ascii: "*"))
            if length == Length.needsMore { return .needsMore }
            guard length >= Length.null, open.count <= ProtocolLimits.replyDepth else {
                return .malformed
            }
            part = length == Length.null ? .nothing : .array(length)
        default: return .malformed
        }
        open[depth] -= 1
        if case .array(let count) = part { open.append(count) }
        position = here
        return .part(part, depth: depth)
    }
}
