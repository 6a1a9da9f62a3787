// Commands on their way to the server. They are encoded here and not by hiredis, whose sprintf for
// each argument takes more of a small batch's time than parsing it: an XACK has one for each entry.

import CPlatform

/// One command: its name and arguments, any bytes.
/// https://redis.io/docs/latest/develop/reference/protocol-spec/#sending-commands-to-a-redis-server
public struct Command: Sendable {
    /// The arguments as the protocol writes strings, one after the other.
    private(set) var encoded: [UInt8] = []
    private(set) var argumentCount = 0

    public init(_ words: String...) {
        for word in words { add(word) }
    }

    /// The arguments one by one, the command's name first.
    public var arguments: [[UInt8]] {
        var found: [[UInt8]] = []
        var rest = encoded[...]
        while let lineEnd = rest.firstIndex(of: 0x0D) {
            var length = 0
            for digit in rest[(rest.startIndex + 1)..<lineEnd] {
                length = length * 10 + Int(digit) - 0x30
            }
            let start = lineEnd + 2
            found.append(Array(encoded[start..<(start + length)]))
            rest = encoded[(start + length + 2)...]
        }
        return found
    }

    public mutating func add(_ argument: [UInt8]) {
        addHeader(argument.count)
        encoded.append(contentsOf: argument)
        addLineEnd()
    }

    public mutating func add(_ text: String) {
        addHeader(text.utf8.count)
        encoded.append(contentsOf: text.utf8)
        addLineEnd()
    }

    /// Adds two numbers with a hyphen between them, as entry ids are written. Acknowledging adds
    /// one of these for each entry.
    public mutating func add(_ first: UInt64, hyphen second: UInt64) {
        // "$41\r\n", twice twenty digits, a hyphen and "\r\n" are 48 bytes.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 48) { room in
            guard let start = room.baseAddress else { return }
            let length = decimalDigits(first) &+ 1 &+ decimalDigits(second)
            var end = start
            end.pointee = 0x24
            end = writeDecimal(UInt64(length), to: end + 1)
            end[0] = 0x0D
            end[1] = 0x0A
            end = writeDecimal(first, to: end + 2)
            end.pointee = 0x2D
            end = writeDecimal(second, to: end + 1)
            end[0] = 0x0D
            end[1] = 0x0A
            encoded.append(contentsOf: UnsafeBufferPointer(start: start, count: end + 2 - start))
        }
        argumentCount += 1
    }

    /// Makes room for arguments of `bytes` bytes in all, their headers included.
    public mutating func reserve(bytes: Int) { encoded.reserveCapacity(encoded.count + bytes) }

    private mutating func addHeader(_ length: Int) {
        appendHeader(0x24, length, to: &encoded)
        argumentCount += 1
    }

    private mutating func addLineEnd() {
        encoded.append(0x0D)
        encoded.append(0x0A)
    }

    /// The command's name, for messages.
    public var name: String { arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// `mark`, a number and the end of the line: "*3\r\n" or "$5\r\n".
private func appendHeader(_ mark: UInt8, _ number: Int, to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 24) { room in
        guard let start = room.baseAddress else { return }
        start.pointee = mark
        let end = writeDecimal(UInt64(number.magnitude), to: start + 1)
        end[0] = 0x0D
        end[1] = 0x0A
        bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: end + 2 - start))
    }
}

/// How many digits a number has.
@inline(__always)
private func decimalDigits(_ value: UInt64) -> Int {
    var count = 1
    var rest = value
    while rest >= 10_000 {
        rest /= 10_000
        count &+= 4
    }
    return count &+ (rest >= 1_000 ? 3 : rest >= 100 ? 2 : rest >= 10 ? 1 : 0)
}

/// Writes a number, and gives the place behind it.
@inline(__always)
private func writeDecimal(
    _ value: UInt64, to start: UnsafeMutablePointer<UInt8>
) -> UnsafeMutablePointer<UInt8> {
    let end = start + decimalDigits(value)
    var position = end
    var rest = value
    while rest >= 10 {
        position -= 1
        position.pointee = UInt8(truncatingIfNeeded: rest % 10) &+ 0x30
        rest /= 10
    }
    start.pointee = UInt8(truncatingIfNeeded: rest) &+ 0x30
    return end
}

/// Encoded commands that were not sent yet, or not in full.
struct SendBuffer: ~Copyable {
    private var bytes: [UInt8] = []
    private var sent = 0

    var isEmpty: Bool { sent == bytes.count }

    /// Appends the command as an array of strings.
    mutating func append(_ command: Command) {
        appendHeader(0x2A, command.argumentCount, to: &bytes)
        bytes.append(contentsOf: command.encoded)
    }

    mutating func clear() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
        sent = 0
    }

    enum Outcome {
        case sent, wouldBlock
        case failed(errno: Int32)
    }

    mutating func flush(to fd: Int32) -> Outcome {
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                platform_send(fd, raw.baseAddress.map { $0 + sent }, raw.count - sent)
            }
            if count > 0 {
                sent += count
                continue
            }
            let error = platform_errno()
            if error == EINTR { continue }
            if error == EAGAIN || error == EWOULDBLOCK { return .wouldBlock }
            return .failed(errno: error)
        }
        clear()
        return .sent
    }
}
