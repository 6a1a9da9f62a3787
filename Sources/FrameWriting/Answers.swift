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
    private static let stringMost = 64

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Whether the next answer is an error, as far as it has come.
    var isError: Bool { offset < bytes.count && bytes[offset] == 0x2D }

    /// The next answer; the cursor is then behind it.
    @inline(__always)
    mutating func next() throws(AnswerError) -> Answer {
        guard offset < bytes.count else { throw .incomplete }
        let type = bytes[offset]
        // Said at once, since no end of a line may follow.
        switch type {
        case 0x24, 0x2A, 0x2B, 0x2D, 0x3A: break
        default: throw .hostile("a reply of type \"\(escaped([type], limit: 4, keeping: .ascii))\"")
        }
        let begin = offset &+ 1
        let end = try lineEnd(begin)
        let line = UnsafeBufferPointer(rebasing: bytes[begin..<end])
        switch type {
        case 0x24:  // $
            guard let length = integer(line), length >= -1, length <= AnswerCursor.stringMost else {
                throw .hostile("a string where an entry id was expected")
            }
            if length == -1 {
                offset = end &+ 2
                return .null
            }
            let last = end &+ 2 &+ Int(length)
            guard last &+ 2 <= bytes.count else { throw .incomplete }
            guard bytes[last] == 0x0D, bytes[last &+ 1] == 0x0A else {
                throw .hostile("a string without an end of line")
            }
            offset = last &+ 2
            return .bulk(UnsafeBufferPointer(rebasing: bytes[(end &+ 2)..<last]))
        case 0x3A:  // :
            guard let number = integer(line) else { throw .hostile("an integer that is none") }
            offset = end &+ 2
            return .integer(WireInteger(number))
        case 0x2B:  // +
            offset = end &+ 2
            return .status
        case 0x2D:  // -
            offset = end &+ 2
            return .error(line)
        default:  // *
            guard let count = integer(line), count >= -1, count <= 8 else {
                throw .hostile("an array where none was expected")
            }
            offset = end &+ 2
            return count < 0 ? .null : .array(Int(count))
        }
    }

    @inline(__always)
    private func lineEnd(_ begin: Int) throws(AnswerError) -> Int {
        var index = begin
        while index &+ 1 < bytes.count {
            if bytes[index] == 0x0D, bytes[index &+ 1] == 0x0A { return index }
            index &+= 1
        }
        guard bytes.count &- begin <= ProtocolLimits.lineBytes else {
            throw .hostile("a line longer than \(ProtocolLimits.lineBytes) bytes")
        }
        throw .incomplete
    }

    @inline(__always)
    private func integer(_ line: UnsafeBufferPointer<UInt8>) -> Int64? {
        let isNegative = line.first == 0x2D
        let begin = isNegative ? 1 : 0
        guard line.count > begin, line.count <= 19 else { return nil }
        var number: Int64 = 0
        for index in begin..<line.count {
            let digit = line[index] &- 0x30
            guard digit <= 9 else { return nil }
            number = number &* 10 &+ Int64(digit)
        }
        // What is too large for 19 digits has wrapped to a negative number.
        guard number >= 0 else { return nil }
        return isNegative ? 0 &- number : number
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
}

/// The answer to one row.
enum RowAnswer {
    case written(id: UnsafeBufferPointer<UInt8>?)
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
        case (.bulk(let id), .ids): return .written(id: id)
        case (.bulk, _): throw .hostile("a string in answer to a number")
        case (.integer, .ids): throw .hostile("a number in answer to XADD")
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
