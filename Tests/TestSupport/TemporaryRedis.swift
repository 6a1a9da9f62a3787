// SPDX-License-Identifier: Apache-2.0
// A redis-server of a test's own, on a unix socket in a directory that vanishes with it.

import CHiredis
import Foundation

/// Started by `init`, which fails when there is no server. `stop`, or the deinitializer, stops it
/// by its own process id.
public final class TemporaryRedis {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public let socket: String
    public var url: String { "unix://\(socket)" }
    public var processID: Int32 { process.processIdentifier }
    private let directory: URL
    private let process = Process()
    private var context: UnsafeMutablePointer<redisContext>?

    /// `arguments`: more options of redis-server, such as "--requirepass", "secret".
    public init(_ arguments: String...) throws {
        // Short, since a socket's path has room for 107 bytes only.
        let name = "redcol-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        directory = URL(fileURLWithPath: "/tmp").appendingPathComponent(name)
        socket = directory.appendingPathComponent("redis.sock").path
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments =
            ["--port", "0", "--unixsocket", socket, "--dir", directory.path, "--save", ""]
            + ["--enable-debug-command", "yes"] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        for _ in 0..<500 {
            if let context = redisConnectUnix(socket) {
                if context.pointee.err == 0 {
                    self.context = context
                    return
                }
                redisFree(context)
            }
            usleep(10_000)
        }
        stop()
        throw Failure(description: "redis-server does not answer on \(socket)")
    }

    deinit { stop() }

    public func stop() {
        if let context { redisFree(context) }
        context = nil
        if process.isRunning {
            resume()
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: directory)
    }

    /// The server answers nothing, and does not notice, until `resume`.
    public func freeze() { kill(process.processIdentifier, SIGSTOP) }
    public func resume() { kill(process.processIdentifier, SIGCONT) }

    /// Sends a command and gives the answer.
    @discardableResult
    public func run(_ words: [[UInt8]]) throws -> Tree {
        var copies = words.map { word -> UnsafePointer<CChar>? in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: max(word.count, 1))
            for (index, byte) in word.enumerated() { copy[index] = CChar(bitPattern: byte) }
            return UnsafePointer(copy)
        }
        defer { for copy in copies { copy?.deallocate() } }
        let answer = redisCommandArgv(context, Int32(words.count), &copies, words.map { $0.count })
        guard let answer else { throw Failure(description: "the connection to the server is lost") }
        defer { freeReplyObject(answer) }
        return HiredisReader.tree(answer.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// The same with words of text; an error answer is thrown.
    @discardableResult
    public func run(_ words: String...) throws -> Tree {
        let answer = try run(words.map { utf8($0) })
        if case .error(let text) = answer {
            throw Failure(description: String(decoding: text, as: UTF8.self))
        }
        return answer
    }
}
