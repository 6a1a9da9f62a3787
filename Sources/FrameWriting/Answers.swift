// SPDX-License-Identifier: Apache-2.0
// Answers to what was written, found in the bytes that have come, without a copy of them.

import RedcolBase
import RedisConnection

/// One answer, or the beginning of one that has parts.
enum Answer {
    case status, integer(WireInteger), null
    case bulk(UnsafeBufferPointer<UInt8>)
    case error(UnsafeBufferPointer<UInt8>)
    case array(Int)
}

enum AnswerError: Error {
    case incomplete
    case hostile(String)
}

/// A place in the bytes that have come.
struct AnswerCursor {
    private let bytes: UnsafeBufferPointer<UInt8>
    private(set) var offset = 0

    /// An entry id is shorter, and no other string is asked for.
    private static let stringMax = 64
    /// A transaction has fewer commands.
    private static let arrayMax = 8
    /// No server has more clients.
    fileprivate static let receiversMax = 1 << 32

    /// 16 zero bytes must stand after `bytes`, as they do in a `ReceiveBuffer`.
    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Whether the next answer begins as an error.
    var isError: Bool { offset < bytes.count && bytes[offset] == UInt8(ascii: "-") }

    /// The next answer; the cursor is then after it.
    @inline(__always)
    mutating func next() throws(AnswerError) -> Answer {
        guard let start = bytes.baseAddress, offset < bytes.count else { throw .incomplete }
        let end = start + bytes.count
        let answer: Answer
        var position = start + offset
        switch position[0] {
        case UInt8(ascii: "$"):
            let length = readLength(&position, end, UInt8(ascii: "$"))
            if length == Length.needsMore { throw .incomplete }
            if length == Length.null {
                answer = .null
                break
            }
            guard length >= 0, length <= AnswerCursor.stringMax else {
                throw .hostile("a string where an entry id was expected")
            }
            guard end - position >= length &+ 2 else { throw .incomplete }
            guard endsLine(position + length) else {
                throw .hostile("a string without an end of line")
            }
            answer = .bulk(UnsafeBufferPointer(start: position, count: length))
            position += length &+ 2
        case UInt8(ascii: ":"):
            // Nearly all counts are small, which this reads at once.
            let count = readLength(&position, end, UInt8(ascii: ":"))
            if count >= 0 {
                answer = .integer(WireInteger(Int64(count)))
                break
            }
            position = start + (offset + 1)
            switch readNumber(&position, end, digitsMax: ProtocolLimits.numberDigits) {
            case .value(let number): answer = .integer(WireInteger(number))
            case .needsMore: throw .incomplete
            case .malformed: throw .hostile("an integer that is not valid")
            }
        case UInt8(ascii: "*"):
            let count = readLength(&position, end, UInt8(ascii: "*"))
            if count == Length.needsMore { throw .incomplete }
            guard count == Length.null || count >= 0 && count <= AnswerCursor.arrayMax else {
                throw .hostile("an array where none was expected")
            }
            answer = count < 0 ? .null : .array(count)
        case UInt8(ascii: "+"):
            _ = try readLine(&position, end)
            answer = .status
        case UInt8(ascii: "-"): answer = .error(try readLine(&position, end))
        default:
            let type = escaped([position[0]], limit: 4, keeping: .ascii)
            throw .hostile("a reply of type \"\(type)\"")
        }
        offset = position - start
        return answer
    }

    private func readLine(
        _ position: inout UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) throws(AnswerError) -> UnsafeBufferPointer<UInt8> {
        position += 1
        switch readTextLine(&position, end, bytesMax: ProtocolLimits.lineBytes) {
        case .text(let text): return text
        case .needsMore: throw .incomplete
        case .tooLong: throw .hostile("a line longer than \(ProtocolLimits.lineBytes) bytes")
        }
    }
}

extension AnswerCursor {
    /// The answers to a transaction of `count` commands: nil if it was done, else the first error.
    /// `most`: what the largest of them may count.
    mutating func transaction(
        _ count: Int, most: Int
    ) throws(AnswerError) -> UnsafeBufferPointer<UInt8>? {
        var failure: UnsafeBufferPointer<UInt8>?
        for _ in 0...count {
            switch try next() {
            case .status: break
            case .error(let text): failure = failure ?? text
            default: throw .hostile("no status in answer to a command of a transaction")
            }
        }
        switch try next() {
        case .error(let text): return failure ?? text
        case .array(let parts):
            for _ in 0..<parts {
                switch try next() {
                case .integer(let number) where number.count(most: most) != nil: break
                case .status: break
                case .error(let text): failure = failure ?? text
                default: throw .hostile("no count in answer to a command of a transaction")
                }
            }
            guard failure != nil || parts == count else {
                throw .hostile("\(parts) answers to a transaction of \(count)")
            }
            return failure
        default: throw .hostile("no array in answer to EXEC")
        }
    }
}

/// What the answers to a frame's rows look like.
enum ExpectedAnswers {
    /// The ids of entries.
    case ids
    /// What hashes count, up to `max`; a transaction has so many commands between MULTI and EXEC.
    case counts(max: Int, transactionCount: Int, zeroMeansExists: Bool)
    /// How many clients have received a message.
    case receivers
}

/// The answer to one row.
enum RowAnswer {
    case written(id: UnsafeBufferPointer<UInt8>?)
    /// So many clients have received the message.
    case received(Int)
    /// The row has no values, and its key is gone.
    case deleted
    /// The key exists, and must not.
    case exists
    case refused(UnsafeBufferPointer<UInt8>)
}

extension AnswerCursor {
    /// The answer to a row that was encoded as `kind`.
    @inline(__always)
    mutating func answer(
        to kind: EncodedRow, _ expected: ExpectedAnswers
    ) throws(AnswerError) -> RowAnswer {
        if case .counts(let max, let transactionCount, _) = expected, kind == .transaction {
            let refusal = try transaction(transactionCount, most: max)
            return refusal.map { .refused($0) } ?? .written(id: nil)
        }
        switch (try next(), expected) {
        // A fence has nothing to say of a row that was written before.
        case (.bulk(let id), .ids): return .written(id: id.isEmpty ? nil : id)
        case (.bulk, _): throw .hostile("a string in answer to a number")
        case (.integer, .ids): throw .hostile("a number in answer to XADD")
        case (.integer(let number), .receivers):
            guard let count = number.count(most: AnswerCursor.receiversMax) else {
                throw .hostile("a count that cannot be")
            }
            return .received(count)
        case (.integer(let number), .counts(let max, _, let zeroMeansExists)):
            guard let count = number.count(most: kind == .deletion ? 1 : max) else {
                throw .hostile("a count that cannot be")
            }
            if kind == .deletion { return .deleted }
            return count == 0 && zeroMeansExists ? .exists : .written(id: nil)
        case (.error(let text), _): return .refused(text)
        default: throw .hostile("an answer that does not fit the command")
        }
    }
}
