// SPDX-License-Identifier: Apache-2.0
// Replies that are read whole: everything but stream entries. hiredis parses them, after a scan of
// ours has found that the reply is complete and within the limits, since hiredis reserves what a
// peer only claims.

import CHiredis
import CPlatform
import RedcolBase

/// A reply of the second version of the Redis protocol.
public indirect enum Reply: Sendable {
    case status([UInt8])
    case error([UInt8])
    case integer(WireInteger)
    case bulk([UInt8])
    case null
    case array([Reply])

    /// The string that follows `name` in an array of names and values.
    public func value(of name: StaticString) -> [UInt8]? {
        if case .bulk(let value)? = part(named: name) { return value }
        return nil
    }

    /// What follows `name` in an array of names and values.
    public func part(named name: StaticString) -> Reply? {
        guard case .array(let parts) = self else { return nil }
        let wanted = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        for index in stride(from: 0, to: parts.count - 1, by: 2) {
            guard case .bulk(let found) = parts[index], found.elementsEqual(wanted) else {
                continue
            }
            return parts[index + 1]
        }
        return nil
    }
}

/// What a look at the start of some bytes has found.
public enum ReplyExtent: Equatable, Sendable {
    /// A reply of this many bytes.
    case complete(Int)
    case incomplete
    /// No server should send this; the text says why.
    case hostile(String)
}

/// Finds where the reply at the start of `bytes` ends, without reserving anything. `bytesMax`: how
/// long it may be; `errorBytesMax`: how long the line of an error may be, which can repeat a key.
public func scanReply(
    _ bytes: UnsafeBufferPointer<UInt8>, bytesMax: Int = ProtocolLimits.replyBytes,
    errorBytesMax: Int = ProtocolLimits.lineBytes
) -> ReplyExtent {
    let bytesMax = max(bytesMax, errorBytesMax)
    guard let start = bytes.baseAddress else { return .incomplete }
    var offset = 0
    var elements = 0
    // How many elements each open array still lacks; the outermost "array" is the reply itself.
    var open = [1]
    while let missing = open.last {
        if missing == 0 {
            open.removeLast()
            continue
        }
        open[open.count - 1] = missing - 1
        elements += 1
        if elements > ProtocolLimits.replyElements {
            return .hostile("a reply of more than \(ProtocolLimits.replyElements) elements")
        }
        guard offset < bytes.count else {
            return offset > bytesMax ? tooLong(bytesMax) : .incomplete
        }
        let begin = start + (offset + 1)
        var position = begin
        let end = start + bytes.count
        switch bytes[offset] {
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            let isError = bytes[offset] == UInt8(ascii: "-")
            let lineMax = isError ? errorBytesMax : ProtocolLimits.lineBytes
            switch readTextLine(&position, end, bytesMax: lineMax) {
            case .text: offset = position - start
            case .needsMore: return .incomplete
            case .tooLong: return .hostile("a line longer than \(lineMax) bytes")
            }
        case UInt8(ascii: ":"):
            switch readNumber(&position, end, digitsMax: ProtocolLimits.numberDigits) {
            case .value: offset = position - start
            case .needsMore: return .incomplete
            case .malformed: return notANumber("an integer", begin, end)
            }
        case UInt8(ascii: "$"):
            switch readNumber(&position, end, digitsMax: ProtocolLimits.numberDigits) {
            case .value(let length) where length >= -1:
                guard length <= Int64(bytesMax) else { return tooLong(bytesMax) }
                offset = position - start
                if length < 0 { continue }
                offset += Int(length) + 2
                if offset <= bytes.count, !endsLine(start + (offset - 2)) {
                    return .hostile("a string without an end of line")
                }
            case .needsMore: return .incomplete
            default: return notANumber("a string length", begin, end)
            }
        case UInt8(ascii: "*"):
            switch readNumber(&position, end, digitsMax: ProtocolLimits.numberDigits) {
            case .value(let count) where count >= -1:
                guard count <= Int64(ProtocolLimits.replyElements) else {
                    return .hostile("an array of \(count) elements")
                }
                offset = position - start
                if count <= 0 { continue }
                guard open.count < ProtocolLimits.replyDepth else {
                    return .hostile("arrays nested deeper than \(ProtocolLimits.replyDepth)")
                }
                open.append(Int(count))
            case .needsMore: return .incomplete
            default: return notANumber("an array length", begin, end)
            }
        default:
            let type = escaped([bytes[offset]], limit: 4, keeping: .ascii)
            return .hostile("a reply of type \"\(type)\"")
        }
    }
    if offset > bytesMax { return tooLong(bytesMax) }
    return offset <= bytes.count ? .complete(offset) : .incomplete
}

private func tooLong(_ bytesMax: Int) -> ReplyExtent {
    .hostile("a reply of more than \(bytesMax) bytes")
}

/// There is no number at `begin`; this is reported when the end of its line has come.
private func notANumber(
    _ what: StaticString, _ begin: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
) -> ReplyExtent {
    var position = begin
    switch readTextLine(&position, end, bytesMax: ProtocolLimits.lineBytes) {
    case .text: return .hostile("\(what) that is not valid")
    case .needsMore: return .incomplete
    case .tooLong: return .hostile("a line longer than \(ProtocolLimits.lineBytes) bytes")
    }
}

/// What a reply takes, at most, when it has been parsed: its parts twice, and objects for them. The
/// shortest part is an empty array.
func replyMemory(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    bytes.count * 2 + min(bytes.count / 4, ProtocolLimits.replyElements) * 192
}

/// Why bytes were not made a reply.
public enum ReplyFault: Error {
    case noMemory
    case malformed
}

/// Parses one whole reply with hiredis.
public func parseReply(_ bytes: UnsafeBufferPointer<UInt8>) throws(ReplyFault) -> Reply {
    var parts = ReplyParts()
    var functions = ReplyParts.functions
    let fault = withUnsafeMutablePointer(to: &parts) { parts in
        withUnsafeMutablePointer(to: &functions) { read(bytes, $0, into: parts) }
    }
    if let fault { throw fault }
    guard let reply = parts.reply else { throw .malformed }
    return reply
}

private func read(
    _ bytes: UnsafeBufferPointer<UInt8>,
    _ functions: UnsafeMutablePointer<redisReplyObjectFunctions>,
    into parts: UnsafeMutablePointer<ReplyParts>
) -> ReplyFault? {
    guard let reader = redisReaderCreateWithFunctions(functions) else { return .noMemory }
    defer { redisReaderFree(reader) }
    reader.pointee.privdata = UnsafeMutableRawPointer(parts)
    let text = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
    var object: UnsafeMutableRawPointer?
    guard redisReaderFeed(reader, text, bytes.count) == REDIS_OK,
        redisReaderGetReply(reader, &object) == REDIS_OK
    else { return reader.pointee.err == REDIS_ERR_OOM ? .noMemory : .malformed }
    return nil
}

/// What hiredis' reader has found: it calls a function for each part, in the order of the bytes.
/// With functions of its own it would bring all that it has for connections into the library.
private struct ReplyParts {
    private(set) var reply: Reply?
    /// Arrays of which parts are still to come, the outermost first.
    private var open: [(missing: Int, parts: [Reply])] = []

    private mutating func add(_ part: Reply) {
        var part = part
        while let last = open.indices.last {
            open[last].parts.append(part)
            open[last].missing -= 1
            if open[last].missing > 0 { return }
            part = .array(open.removeLast().parts)
        }
        reply = part
    }

    private mutating func beginArray(_ count: Int) {
        if count > 0 { open.append((count, [])) } else { add(.array([])) }
    }

    /// Any address but nil stands for a part: nothing but this looks at it.
    private static func parts(
        of task: UnsafePointer<redisReadTask>?
    ) -> UnsafeMutablePointer<ReplyParts>? {
        task?.pointee.privdata?.assumingMemoryBound(to: ReplyParts.self)
    }

    static var functions: redisReplyObjectFunctions {
        var functions = redisReplyObjectFunctions()
        functions.createString = { task, start, count in
            let raw = UnsafeRawPointer(start)?.assumingMemoryBound(to: UInt8.self)
            let text = Array(UnsafeBufferPointer(start: raw, count: Int(count)))
            let parts = ReplyParts.parts(of: task)
            switch task?.pointee.type {
            case REDIS_REPLY_STATUS: parts?.pointee.add(.status(text))
            case REDIS_REPLY_ERROR: parts?.pointee.add(.error(text))
            default: parts?.pointee.add(.bulk(text))
            }
            return UnsafeMutableRawPointer(parts)
        }
        functions.createArray = { task, count in
            let parts = ReplyParts.parts(of: task)
            parts?.pointee.beginArray(Int(count))
            return UnsafeMutableRawPointer(parts)
        }
        functions.createInteger = { task, value in
            let parts = ReplyParts.parts(of: task)
            parts?.pointee.add(.integer(WireInteger(value)))
            return UnsafeMutableRawPointer(parts)
        }
        functions.createNil = { task in
            let parts = ReplyParts.parts(of: task)
            parts?.pointee.add(.null)
            return UnsafeMutableRawPointer(parts)
        }
        functions.freeObject = { _ in }
        return functions
    }
}
