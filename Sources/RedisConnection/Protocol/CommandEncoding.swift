// SPDX-License-Identifier: Apache-2.0
// How commands are encoded. Everything that is sent to a server gets its headers here.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server

import CPlatform
import RedcolBase

/// Writes `mark`, a number that is not negative and the end of the line: "*3\r\n" or "$5\r\n".
/// Returns the number of bytes; 32 must be writable.
@inline(__always)
func writeHeader(_ mark: UInt8, _ number: Int, to start: UnsafeMutablePointer<UInt8>) -> Int {
    start.pointee = mark
    let length = 1 &+ writeDecimal(UInt64(number.magnitude), to: start + 1)
    start[length] = UInt8(ascii: "\r")
    start[length &+ 1] = UInt8(ascii: "\n")
    return length &+ 2
}

/// Where a short string is written, before `writeShortHeader` knows how long it is.
let shortHeaderBytes = 5

/// Writes what stands around a string of at most 99 bytes, which stands `shortHeaderBytes` after
/// `start`. Returns the number of bytes in all.
@inline(__always)
func writeShortHeader(_ length: Int, at start: UnsafeMutablePointer<UInt8>) -> Int {
    var header = shortHeaderBytes
    if length >= 10 {
        start[1] = UInt8(truncatingIfNeeded: length / 10) &+ UInt8(ascii: "0")
        start[2] = UInt8(truncatingIfNeeded: length % 10) &+ UInt8(ascii: "0")
    } else {
        // The header is a byte shorter than was left for it.
        header = 4
        start[1] = UInt8(truncatingIfNeeded: length) &+ UInt8(ascii: "0")
        for index in 0..<length { start[4 &+ index] = start[5 &+ index] }
    }
    start[0] = UInt8(ascii: "$")
    start[header &- 2] = UInt8(ascii: "\r")
    start[header &- 1] = UInt8(ascii: "\n")
    start[header &+ length] = UInt8(ascii: "\r")
    start[header &+ length &+ 1] = UInt8(ascii: "\n")
    return header &+ length &+ 2
}

extension GrowingBytes {
    /// `mark`, a number and the end of the line.
    @inline(__always)
    public mutating func appendHeader(_ mark: UInt8, _ number: Int) throws(RedcolError) {
        advance(writeHeader(mark, number, to: try reserve(32)))
    }

    /// A string with its header.
    @inline(__always)
    public mutating func appendBulk(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) throws(RedcolError) {
        let length = bytes.count
        let (room, isTooLarge) = length.addingReportingOverflow(32)
        let start = try reserve(isTooLarge ? length : room)
        let text = start + writeHeader(UInt8(ascii: "$"), length, to: start)
        if let source = bytes.baseAddress { memcpy(text, source, length) }
        text[length] = UInt8(ascii: "\r")
        text[length &+ 1] = UInt8(ascii: "\n")
        advance(text - start &+ length &+ 2)
    }

    public mutating func appendBulk(_ text: StaticString) throws(RedcolError) {
        try appendBulk(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    public mutating func appendBulk(_ bytes: [UInt8]) throws(RedcolError) {
        try appendHeader(UInt8(ascii: "$"), bytes.count)
        try append(bytes)
        try append("\r\n")
    }

    /// A string of at most 64 bytes that `write` writes where it is told; it returns their number.
    @inline(__always)
    public mutating func appendShortBulk(
        _ write: (UnsafeMutablePointer<UInt8>) throws(RedcolError) -> Int
    ) throws(RedcolError) {
        let start = try reserve(80)
        advance(writeShortHeader(try write(start + shortHeaderBytes), at: start))
    }
}
