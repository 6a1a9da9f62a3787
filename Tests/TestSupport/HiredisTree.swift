// SPDX-License-Identifier: Apache-2.0
// What hiredis' own reader makes of some bytes: an oracle that shares no code with our parsers.

import CHiredis

/// A reply as a tree.
public indirect enum Tree: Equatable, Sendable {
    case status([UInt8])
    case error([UInt8])
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([Tree])
}

/// hiredis' reader, fed piece by piece.
public final class HiredisReader {
    private let reader: UnsafeMutablePointer<redisReader>?
    /// hiredis has refused the bytes, and takes no more.
    public private(set) var hasFailed = false

    public init() { reader = redisReaderCreate() }
    deinit { redisReaderFree(reader) }

    public func feed(_ bytes: some Collection<UInt8>) {
        Array(bytes).withUnsafeBytes { raw in
            let text = raw.baseAddress?.assumingMemoryBound(to: CChar.self)
            _ = redisReaderFeed(reader, text, raw.count)
        }
    }

    /// The next reply, if all of it was fed.
    public func next() -> Tree? {
        var object: UnsafeMutableRawPointer?
        if redisReaderGetReply(reader, &object) != REDIS_OK { hasFailed = true }
        guard let object else { return nil }
        defer { freeReplyObject(object) }
        return HiredisReader.tree(object.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// The reply at the start of `bytes`, if it is whole.
    public static func reply(_ bytes: some Collection<UInt8>) -> Tree? {
        let reader = HiredisReader()
        reader.feed(bytes)
        return reader.next()
    }

    static func tree(_ reply: redisReply) -> Tree {
        let text = UnsafeRawBufferPointer(
            start: reply.str, count: reply.str == nil ? 0 : Int(reply.len))
        switch reply.type {
        case REDIS_REPLY_STRING: return .bulk(Array(text))
        case REDIS_REPLY_STATUS: return .status(Array(text))
        case REDIS_REPLY_ERROR: return .error(Array(text))
        case REDIS_REPLY_INTEGER: return .integer(reply.integer)
        case REDIS_REPLY_ARRAY:
            return .array(
                (0..<reply.elements).compactMap { reply.element[$0] }.map { tree($0.pointee) })
        default: return .null
        }
    }
}

extension Tree {
    /// As a server would send it.
    public var resp: [UInt8] {
        switch self {
        case .status(let text): return utf8("+") + text + utf8("\r\n")
        case .error(let text): return utf8("-") + text + utf8("\r\n")
        case .integer(let number): return utf8(":\(number)\r\n")
        case .bulk(let bytes): return Resp.bulk(bytes)
        case .null: return utf8("$-1\r\n")
        case .array(let elements): return Resp.array(elements.map { $0.resp })
        }
    }

    /// The fields of an entry by name: of a field that stands there twice, the last.
    public struct Row: Equatable, Sendable {
        public var id: String
        public var fields: [[UInt8]: [UInt8]] = [:]
        /// In order of first appearance.
        public var names: [[UInt8]] = []
    }

    /// The rows of an answer to XRANGE; nil if it is not one. Deleted entries give no row.
    public var rows: [Row]? {
        guard case .array(let entries) = self else { return self == .null ? [] : nil }
        var rows: [Row] = []
        for entry in entries {
            if entry == .null { continue }
            guard case .array(let pair) = entry, pair.count == 2, case .bulk(let id) = pair[0]
            else {
                return nil
            }
            if pair[1] == .null { continue }
            guard case .array(let words) = pair[1], words.count % 2 == 0 else { return nil }
            var row = Row(id: String(decoding: id, as: UTF8.self))
            for index in stride(from: 0, to: words.count, by: 2) {
                guard case .bulk(let name) = words[index], case .bulk(let value) = words[index + 1]
                else { return nil }
                if row.fields.updateValue(value, forKey: name) == nil { row.names.append(name) }
            }
            rows.append(row)
        }
        return rows
    }
}
