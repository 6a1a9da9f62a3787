// Commands on their way to the server, encoded by hiredis.

import CHiredis
import CPlatform

/// One command: its name and arguments, any bytes, in one piece of memory.
public struct Command: Sendable {
    private(set) var bytes: [UInt8] = []
    private(set) var lengths: [Int] = []

    public init(_ words: String...) {
        for word in words { add(word) }
    }

    /// The arguments one by one, the command's name first.
    public var arguments: [[UInt8]] {
        var start = 0
        return lengths.map { length in
            defer { start += length }
            return Array(bytes[start..<(start + length)])
        }
    }

    public mutating func add(_ argument: [UInt8]) {
        bytes.append(contentsOf: argument)
        lengths.append(argument.count)
    }

    public mutating func add(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        lengths.append(text.utf8.count)
    }

    /// Adds two numbers with a hyphen between them, as entry ids are written. Acknowledging adds
    /// one of these for each entry, so no String is made.
    public mutating func add(_ first: UInt64, hyphen second: UInt64) {
        let before = bytes.count
        appendDigits(first)
        bytes.append(0x2D)
        appendDigits(second)
        lengths.append(bytes.count - before)
    }

    private mutating func appendDigits(_ value: UInt64) {
        let start = bytes.count
        var rest = value
        repeat {
            bytes.append(UInt8(truncatingIfNeeded: rest % 10) &+ 0x30)
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    /// The command's name, for messages.
    public var name: String { arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// Encoded commands that were not sent yet, or not in full.
struct SendBuffer: ~Copyable {
    private var bytes: [UInt8] = []
    private var sent = 0
    /// Bytes that the system has taken, over all connections.
    private(set) var sentInAll = 0

    var isEmpty: Bool { sent == bytes.count }

    /// Appends the command as RESP; false when there is no memory.
    mutating func append(_ command: Command) -> Bool {
        let lengths = command.lengths
        var encoded: UnsafeMutablePointer<CChar>?
        let length: Int32 = command.bytes.withUnsafeBufferPointer { flat in
            // An empty buffer has no address; hiredis copies nothing from it, but wants one.
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) { nothing in
                var starts: [UnsafePointer<CChar>?] = []
                starts.reserveCapacity(lengths.count)
                var offset = 0
                for length in lengths {
                    let start = flat.baseAddress.map { $0 + offset } ?? nothing
                    starts.append(UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
                    offset += length
                }
                return starts.withUnsafeMutableBufferPointer { starts in
                    redisFormatCommandArgv(
                        &encoded, Int32(truncatingIfNeeded: lengths.count), starts.baseAddress,
                        lengths)
                }
            }
        }
        guard length >= 0, let encoded else { return false }
        defer { redisFreeCommand(encoded) }
        let raw = UnsafeRawPointer(encoded).assumingMemoryBound(to: UInt8.self)
        bytes.append(contentsOf: UnsafeBufferPointer(start: raw, count: Int(length)))
        return true
    }

    /// Appends commands that are encoded already.
    mutating func append(encoded: UnsafeBufferPointer<UInt8>) {
        bytes.append(contentsOf: encoded)
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
                sentInAll &+= count
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
