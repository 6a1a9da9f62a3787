// Commands on their way to the server, encoded by hiredis.

import CHiredis
import CPlatform

/// One command: its name and arguments, any bytes.
public struct Command: Sendable {
    public private(set) var arguments: [[UInt8]] = []

    public init(_ words: String...) {
        for word in words { arguments.append(Array(word.utf8)) }
    }

    public mutating func add(_ bytes: [UInt8]) { arguments.append(bytes) }
    public mutating func add(_ text: String) { arguments.append(Array(text.utf8)) }

    /// The command's name, for messages.
    public var name: String {
        arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

/// Encoded commands that were not sent yet, or not in full.
struct SendBuffer: ~Copyable {
    private var bytes: [UInt8] = []
    private var sent = 0

    var isEmpty: Bool { sent == bytes.count }

    /// Appends the command as RESP; false when there is no memory.
    mutating func append(_ command: Command) -> Bool {
        var flat: [UInt8] = []
        var lengths: [Int] = []
        for argument in command.arguments {
            flat.append(contentsOf: argument)
            lengths.append(argument.count)
        }
        var encoded: UnsafeMutablePointer<CChar>?
        let length: Int32 = flat.withUnsafeBufferPointer { flat in
            // An empty buffer has no address; hiredis copies nothing from it, but wants one.
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) { nothing in
                var starts: [UnsafePointer<CChar>?] = []
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
