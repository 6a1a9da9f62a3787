// SPDX-License-Identifier: Apache-2.0
// Commands on their way to the server. They are encoded here and not by hiredis, whose sprintf for
// each argument takes more of a small batch's time than parsing it: an XACK has one for each entry.

import CPlatform
import RedcolBase

/// One command: its name and arguments, any bytes.
/// https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server
public struct Command: Sendable {
    /// The arguments as the protocol writes strings, one after the other.
    private(set) var encoded: [UInt8] = []
    private(set) var argumentCount = 0
    /// There was no memory for an argument: it must not be sent.
    private(set) var isIncomplete = false

    public init(_ words: String...) {
        // Most commands need no more, and many thousands of them may be made at once.
        encoded.reserveCapacity(128)
        for word in words { add(word) }
    }

    /// The arguments one by one, the command's name first.
    public var arguments: [[UInt8]] {
        var found: [[UInt8]] = []
        var rest = encoded[...]
        while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\r")) {
            var length = 0
            for digit in rest[(rest.startIndex + 1)..<lineEnd] {
                length = length * 10 + Int(digit &- UInt8(ascii: "0"))
            }
            let start = lineEnd + 2
            found.append(Array(encoded[start..<(start + length)]))
            rest = encoded[(start + length + 2)...]
        }
        return found
    }

    // Not inlined, as most commands are written out word by word.

    @inline(never)
    public mutating func add(_ argument: [UInt8]) {
        guard hasRoom(argument.count) else { return }
        addHeader(argument.count)
        encoded.append(contentsOf: argument)
        addLineEnd()
    }

    @inline(never)
    public mutating func add(_ argument: ArraySlice<UInt8>) {
        guard hasRoom(argument.count) else { return }
        addHeader(argument.count)
        encoded.append(contentsOf: argument)
        addLineEnd()
    }

    @inline(never)
    public mutating func add(_ text: String) {
        guard hasRoom(text.utf8.count) else { return }
        addHeader(text.utf8.count)
        encoded.append(contentsOf: text.utf8)
        addLineEnd()
    }

    /// Adds words that spaces divide.
    @inline(never)
    public mutating func add(words text: StaticString) {
        let bytes = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard hasRoom(bytes.count) else { return }
        var start = 0
        for end in 0...bytes.count where end == bytes.count || bytes[end] == UInt8(ascii: " ") {
            addHeader(end - start)
            encoded.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start..<end]))
            addLineEnd()
            start = end + 1
        }
    }

    /// Adds two numbers with a hyphen between them, as entry ids are written.
    @inline(never)
    public mutating func add(_ first: UInt64, hyphen second: UInt64) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: hyphenatedBytes + 8) { room in
            guard let start = room.baseAddress else { return }
            let count = writeHyphenated(first, second, to: start)
            encoded.append(contentsOf: UnsafeBufferPointer(start: start, count: count))
        }
        argumentCount += 1
    }

    /// Adds `count` pairs of numbers, each with a hyphen between them, as entry ids are written.
    /// Acknowledging adds one for each entry.
    public mutating func add(hyphenated count: Int, _ pair: (Int) -> (UInt64, UInt64)) {
        guard hasRoom(count * hyphenatedBytes) else { return }
        let before = encoded
        // Appending to an array copies byte by byte.
        let capacity = before.count + count * hyphenatedBytes + 8
        encoded = [UInt8](unsafeUninitializedCapacity: capacity) { room, used in
            guard let start = room.baseAddress else { return }
            copy(before, to: start)
            used = before.count
            for index in 0..<count {
                let (first, second) = pair(index)
                used &+= writeHyphenated(first, second, to: start + used)
            }
        }
        argumentCount += count
    }

    private mutating func hasRoom(_ count: Int) -> Bool {
        if !encoded.hasRoom(for: count + 64) { isIncomplete = true }
        return !isIncomplete
    }

    private mutating func addHeader(_ length: Int) {
        appendHeader(UInt8(ascii: "$"), length, to: &encoded)
        argumentCount += 1
    }

    private mutating func addLineEnd() {
        encoded.append(UInt8(ascii: "\r"))
        encoded.append(UInt8(ascii: "\n"))
    }

    /// The command's name, for messages.
    public var name: String { arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// "$41\r\n", twice twenty digits, a hyphen and "\r\n". Eight more may be written after a number.
private let hyphenatedBytes = 48

/// Copies all bytes at once.
private func copy(_ bytes: [UInt8], to start: UnsafeMutablePointer<UInt8>) {
    bytes.withUnsafeBufferPointer { source in
        if let first = source.baseAddress { memcpy(start, first, source.count) }
    }
}

/// Writes two numbers with a hyphen between them, as an argument; returns the number of bytes.
@inline(__always)
private func writeHyphenated(
    _ first: UInt64, _ second: UInt64, to start: UnsafeMutablePointer<UInt8>
) -> Int {
    // Ids have 3 to 41 bytes: their own length has one digit or two, and nearly always two.
    let text = start + shortHeaderBytes
    var length = writeDecimal(first, to: text)
    text[length] = UInt8(ascii: "-")
    length &+= 1
    length &+= writeDecimal(second, to: text + length)
    return writeShortHeader(length, at: start)
}

/// Appends `mark`, a number and the end of the line.
@inline(never)
private func appendHeader(_ mark: UInt8, _ number: Int, to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { room in
        guard let start = room.baseAddress else { return }
        let count = writeHeader(mark, number, to: start)
        bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: count))
    }
}

/// Encoded commands that were not sent yet, or not in full.
struct SendBuffer: ~Copyable {
    /// Memory for commands: those before `end` are there, and those before `sent` were sent.
    /// Appending to an array would copy byte by byte.
    private var bytes: [UInt8] = []
    private var end = 0
    private var sent = 0
    /// Bytes that the system has taken, over all connections.
    private(set) var sentInAll = 0
    /// Bytes of the largest command: an error may repeat what stands in it.
    private(set) var largestCommand = 0
    /// Commands that were appended one by one since `reset`, and where those that were not sent in
    /// full end in `bytes`.
    private(set) var commandsQueued = 0
    private var ends: [Int] = []

    /// How many of them were sent in full.
    var commandsSent: Int {
        commandsQueued - ends.reduce(0) { $0 + ($1 > sent ? 1 : 0) }
    }
    /// There was no memory for a command: nothing more can be sent.
    private(set) var isIncomplete = false

    var isEmpty: Bool { sent == end }

    /// Appends the command as an array of strings.
    mutating func append(_ command: Command) {
        guard !command.isIncomplete else {
            isIncomplete = true
            return
        }
        guard makeRoom(command.encoded.count + 32) else { return }
        let used = end
        end += bytes.withUnsafeMutableBufferPointer { room in
            guard let start = room.baseAddress else { return 0 }
            let header = writeHeader(UInt8(ascii: "*"), command.argumentCount, to: start + used)
            copy(command.encoded, to: start + used + header)
            return header + command.encoded.count
        }
        largestCommand = max(largestCommand, command.encoded.count)
        commandsQueued += 1
        ends.append(end)
    }

    /// Appends commands that are encoded already.
    mutating func append(encoded: UnsafeBufferPointer<UInt8>) {
        guard let source = encoded.baseAddress, makeRoom(encoded.count) else { return }
        let used = end
        bytes.withUnsafeMutableBufferPointer { room in
            if let start = room.baseAddress { memcpy(start + used, source, encoded.count) }
        }
        end += encoded.count
    }

    /// Makes room for so many bytes after `end`; false when there is no memory.
    private mutating func makeRoom(_ count: Int) -> Bool {
        if bytes.count - end >= count { return true }
        guard Memory.isThere(end + count, times: 2) else {
            isIncomplete = true
            return false
        }
        let before = bytes
        bytes = [UInt8](unsafeUninitializedCapacity: 2 * (end + count)) { room, used in
            if let start = room.baseAddress { copy(before, to: start) }
            used = room.count
        }
        return true
    }

    /// Everything was sent.
    mutating func clear() {
        isIncomplete = false
        if bytes.count > 1 << 20 { bytes = [] }
        ends.removeAll(keepingCapacity: true)
        end = 0
        sent = 0
    }

    /// Forgets everything: the connection is another one from now on.
    mutating func reset() {
        clear()
        commandsQueued = 0
    }

    /// Passes what waits to `send`, which returns how many bytes it took, until it takes none.
    mutating func flush(_ send: (UnsafeRawBufferPointer) -> Int) {
        while sent < end {
            let count = bytes.withUnsafeBytes {
                send(UnsafeRawBufferPointer(rebasing: $0[sent..<end]))
            }
            guard count > 0 else { return }
            sent += count
            sentInAll &+= count
        }
        clear()
    }
}

extension Command {
    public mutating func add(_ id: EntryID) { add(id.milliseconds, hyphen: id.sequence) }
}
