// SPDX-License-Identifier: Apache-2.0
// What is sent, when it is sent again, and the memory that replies are received into.

import CPlatform
import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

private struct Sent: CustomTestStringConvertible, Sendable {
    var words: [[UInt8]]
    var testDescription: String { "\(words)" }
}

/// Everything that a send buffer gives to a socket.
private func sent(_ commands: [Command]) -> [UInt8] {
    var buffer = SendBuffer()
    for command in commands { buffer.append(command) }
    #expect(buffer.isEmpty == commands.isEmpty)
    var sockets: [Int32] = [0, 0]
    #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0)
    defer { close(sockets[1]) }
    var transport = Transport()
    transport.open(sockets[0])
    guard case .all = transport.send(&buffer) else {
        Issue.record("not sent")
        return []
    }
    #expect(buffer.isEmpty == true)
    close(sockets[0])
    var received: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = recv(sockets[1], &piece, piece.count, 0)
        guard count > 0 else { return received }
        received += piece[..<count]
    }
}

@Test(arguments: [
    Sent(words: [utf8("PING")]),
    Sent(words: [utf8("XRANGE"), utf8("events"), utf8("-"), utf8("+")]),
    Sent(words: [[]]),
    Sent(words: [utf8("XACK"), [], []]),
    Sent(words: [utf8("SET"), [0, 0x0D, 0x0A, 0xFF], []]),
    Sent(words: [utf8("SET"), utf8("größe"), [UInt8](repeating: 7, count: 10_000)]),
])
private func commandsAreArraysOfStrings(_ example: Sent) {
    var command = Command()
    for word in example.words { command.add(word) }
    #expect(command.arguments == example.words)
    #expect(sent([command]) == Resp.strings(example.words))
}

@Test func idsAreWrittenAsTheyAreRead() {
    var numbers: [UInt64] = [0, .max, .max - 1, 1 << 63]
    var power: UInt64 = 1
    for _ in 0..<20 {
        numbers += [power - 1, power, power + 1, power &* 7 / 3]
        power = power.multipliedReportingOverflow(by: 10).partialValue
    }
    var generator = SystemRandomNumberGenerator()
    for bits in 1..<64 { numbers.append(generator.next() >> UInt64(bits)) }
    var command = Command()
    for (index, number) in numbers.enumerated() {
        command.add(number, hyphen: numbers[numbers.count - 1 - index])
    }
    let expected = numbers.enumerated().map { index, number in
        utf8("\(number)-\(numbers[numbers.count - 1 - index])")
    }
    #expect(command.arguments == expected)
    #expect(sent([command]) == Resp.strings(expected))

    for count in [0, 1, 2, 511, 512, 513, 1_024, 1_500] {
        var atOnce = Command("XACK")
        atOnce.add(hyphenated: count) { (numbers[$0 % numbers.count], UInt64($0)) }
        let ids = (0..<count).map { utf8("\(numbers[$0 % numbers.count])-\($0)") }
        #expect(atOnce.arguments == [utf8("XACK")] + ids)
        #expect(sent([atOnce]) == Resp.strings([utf8("XACK")] + ids))
    }
}

@Test func commandsByHand() {
    var command = Command("XACK", "s", "")
    command.add("g")
    command.add([0x00, 0x0A])
    #expect(command.name == "XACK")
    #expect(Command().name == "")
    #expect(
        sent([command])
            == utf8("*5\r\n$4\r\nXACK\r\n$1\r\ns\r\n$0\r\n\r\n$1\r\ng\r\n$2\r\n\0\n\r\n"))
    #expect(
        sent([Command("PING"), Command("GET", "k")])
            == utf8("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"))
    #expect(sent([]) == [])
}

@Test func aSocketThatIsFullIsWrittenToLater() {
    var sockets: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
    #expect(socketpair(AF_UNIX, type, 0, &sockets) == 0)
    defer { close(sockets[1]) }
    var command = Command("SET")
    command.add([UInt8](repeating: 0x61, count: 4_000_000))
    var buffer = SendBuffer()
    buffer.append(command)
    var received = 0
    var piece = [UInt8](repeating: 0, count: 65_536)
    var waits = 0
    var transport = Transport()
    transport.open(sockets[0])
    while case .wouldBlock = transport.send(&buffer) {
        waits += 1
        #expect(buffer.isEmpty == false)
        received += max(0, recv(sockets[1], &piece, piece.count, 0))
    }
    #expect(waits > 1)
    #expect(buffer.isEmpty == true)
    close(sockets[0])
    while true {
        let count = recv(sockets[1], &piece, piece.count, 0)
        guard count > 0 else { break }
        received += count
    }
    #expect(received == utf8("*2\r\n$3\r\nSET\r\n$4000000\r\n\r\n").count + 4_000_000)
}

@Test func sendingToNobodyFails() {
    var buffer = SendBuffer()
    buffer.append(Command("PING"))
    guard case .failed(.system(let error)) = Transport().send(&buffer) else {
        Issue.record("sent")
        return
    }
    #expect(error == EBADF)
    buffer.clear()
    #expect(buffer.isEmpty == true)
}

@Test func waitsGrowAndVaryByAQuarter() {
    var seen: Set<Int64> = []
    for _ in 0..<200 {
        var backoff = Backoff()
        #expect(backoff.nextDelayMs() == 0)
        var middle: Int64 = 50
        for attempt in 2...40 {
            let delay = backoff.nextDelayMs()
            #expect(delay >= middle - middle / 4 && delay <= middle + middle / 4)
            #expect(backoff.attempts == attempt)
            if middle == 5_000 { seen.insert(delay) }
            middle = min(middle * 2, 5_000)
        }
        backoff.succeeded()
        #expect(backoff.attempts == 0)
        #expect(backoff.nextDelayMs() == 0)
    }
    #expect(seen.count > 100)
}

private func hasZeroedSlack(_ buffer: borrowing ReceiveBuffer) -> Bool {
    guard let end = buffer.waiting.baseAddress.map({ $0 + buffer.count }) else { return true }
    return UnsafeBufferPointer(start: end, count: ReceiveBuffer.slack).allSatisfy { $0 == 0 }
}

@Test(arguments: 0..<20)
func receivedBytesStayInOrder(_ seed: UInt64) {
    var generator = SeededGenerator(seed)
    var buffer = ReceiveBuffer()
    var expected: [UInt8] = []
    for _ in 0..<60 {
        let bytes = generator.bytes(generator.below(generator.pick([8, 3_000, 30_000])))
        let isAppended = bytes.withUnsafeBytes { buffer.append($0) }
        #expect(isAppended)
        expected += bytes
        #expect(buffer.count == expected.count)
        #expect(Array(buffer.waiting) == expected)
        let isZeroed = hasZeroedSlack(buffer)
        #expect(isZeroed || expected.isEmpty)
        let used = generator.below(expected.count + 1)
        buffer.consume(used)
        expected.removeFirst(used)
        #expect(Array(buffer.waiting) == expected)
        // Nothing may come into the room, and what waits is looked at again.
        _ = buffer.room()
        #expect(Array(buffer.waiting) == expected)
        let isZeroedAgain = hasZeroedSlack(buffer)
        #expect(isZeroedAgain || expected.isEmpty)
    }
    buffer.consume(.max)
    #expect(buffer.count == 0)
    buffer.clear()
    #expect(buffer.waiting.count == 0)
}
