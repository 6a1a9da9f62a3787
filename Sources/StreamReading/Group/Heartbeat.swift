// SPDX-License-Identifier: Apache-2.0
// Keeps the idle time of entries low while the caller works on them, so that no other member claims
// them: from a thread and on a connection of its own, since the reader's thread is the caller's.
// https://redis.io/docs/latest/commands/xclaim/

import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

/// The thread of one reader. It ends with `stop`, and needs nobody who waits for it.
final class Heartbeat: @unchecked Sendable {
    private let member: GroupMember
    private let pending: PendingEntries
    private let topology: Topology
    /// Its own; also what the thread waits on.
    private let connection: Connection
    private let everyMs: Int64
    private let locked: Lock
    private var isOver = false
    private var failure: RedcolError?

    /// Ids in one command: other clients wait for each.
    private static let idsMax = 100

    /// Claims entries for the consumer that has them already, and no others. JUSTID does not count
    /// it as a delivery. The look and the claim are one step: what another member has claimed
    /// meanwhile stays with it. The answer is how many entries there were.
    private static var script: String {
        """
        local n=0
        for i=3,#ARGV do
        local p=redis.pcall('XPENDING',KEYS[1],ARGV[1],ARGV[i],ARGV[i],1,ARGV[2])
        if p.err then return p end
        if p[1] then
        p=redis.pcall('XCLAIM',KEYS[1],ARGV[1],ARGV[2],0,ARGV[i],'JUSTID')
        if p.err then return p end
        n=n+#p
        end end
        return n
        """
    }

    /// Begins; the error says that there is no thread, or no memory.
    static func make(
        _ member: GroupMember, _ pending: PendingEntries, _ topology: Topology, everyMs: Int64
    ) throws(RedcolError) -> Heartbeat {
        let made = Heartbeat(
            member, pending, topology, everyMs,
            try topology.take(for: member.streams[0], to: .writing), try Lock(for: "a heartbeat"))
        let context = Unmanaged.passRetained(made).toOpaque()
        guard platform_thread_start(runHeartbeat, context, 0) else {
            Unmanaged<Heartbeat>.fromOpaque(context).release()
            throw RedcolError(.memory, "no thread for heartbeat_ms")
        }
        return made
    }

    private init(
        _ member: GroupMember, _ pending: PendingEntries, _ topology: Topology, _ everyMs: Int64,
        _ connection: Connection, _ lock: consuming Lock
    ) {
        self.member = member
        self.pending = pending
        self.topology = topology
        self.everyMs = everyMs
        self.connection = connection
        locked = lock
    }

    /// The thread ends soon. Any thread.
    func stop() {
        // A child has no such thread, and its parent's may have been within the lock.
        if topology.isForked { return }
        locked { isOver = true }
        connection.cancel()
    }

    /// Why the last beat failed; says it once.
    func takeFailure() -> RedcolError? {
        locked {
            defer { failure = nil }
            return failure
        }
    }

    // MARK: In the thread

    fileprivate func run() {
        while !locked({ isOver }) {
            do throws(RedcolError) {
                try wait(until: platform_monotonic_ms() + everyMs)
                try beat()
            } catch {
                connection.closeSocket()
                if error.cause != .cancelled { locked { failure = error } }
            }
        }
        connection.closeSocket()
    }

    private func wait(until end: Int64) throws(RedcolError) {
        while true {
            switch try connection.wait(until: end) {
            case .timeout: return
            case .interrupted: break
            case .ready:
                // Nothing is awaited: the server closes the connection, or disturbs it.
                if connection.isReady, connection.isStale() { connection.closeSocket() }
            }
            if platform_monotonic_ms() >= end { return }
        }
    }

    private func beat() throws(RedcolError) {
        try Memory.require(pending.memory(for: 0), for: "a heartbeat")
        var rows = pending.handedOver()[...]
        while let first = rows.first {
            let same = rows.prefix(Heartbeat.idsMax).prefix { $0.stream == first.stream }
            rows = rows.dropFirst(same.count)
            try refresh(same, of: member.streams[Int(first.stream)])
        }
    }

    private func refresh(_ rows: ArraySlice<RowID>, of stream: [UInt8]) throws(RedcolError) {
        var command = Command("EVAL", Heartbeat.script, "1")
        for name in [stream, member.group, member.consumer] { command.add(name) }
        command.add(hyphenated: rows.count) {
            let id = rows[rows.startIndex + $0].id
            return (id.milliseconds, id.sequence)
        }
        var conversation = Conversation()
        var isSent = false
        try connection.converse(
            &conversation, lost: { isSent = false },
            { () throws(RedcolError) in
                if !isSent {
                    connection.enqueue(command)
                    try connection.flush()
                    isSent = true
                }
                guard let reply = try connection.nextReply() else { return false }
                if case .error(let text) = reply {
                    throw RedcolError.server(
                        text, endpoint: connection.endpoint, asked: "keeping entries from idling",
                        commands: "EVAL, XPENDING and XCLAIM")
                }
                connection.expectNothing()
                return true
            })
    }
}

private func runHeartbeat(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<Heartbeat>.fromOpaque(context).takeRetainedValue().run()
    return nil
}
