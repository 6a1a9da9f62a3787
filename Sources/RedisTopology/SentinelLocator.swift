// SPDX-License-Identifier: Apache-2.0
// Asks Sentinels where the master of a service is now, or a replica, each time that a connection
// begins.
// https://redis.io/docs/latest/develop/reference/sentinel-clients/

import CPlatform
import RedcolBase
import RedisConnection

/// The Sentinels of a service, and which of them is asked first: the one that answered last. Any
/// thread.
final class Sentinels: @unchecked Sendable {
    let service: Service
    private let locked: Lock
    private var first: Int?
    private var servers: [Server] = []

    static func make(_ service: Service) throws(RedcolError) -> Sentinels {
        Sentinels(service, try Lock(for: "a client"))
    }

    private init(_ service: Service, _ lock: consuming Lock) {
        self.service = service
        locked = lock
    }

    /// Nil while none has answered.
    var preferred: Int? { locked { first } }

    func hasAnswered(_ index: Int) { locked { first = index } }

    /// The master and its replicas, as a Sentinel has named them last.
    var copies: [Server] { locked { servers } }

    func found(_ servers: [Server]) { locked { self.servers = servers } }
}

/// Finds the master, or a replica that is in order.
final class SentinelLocator: Locator {
    /// Sentinels agree on a new master within seconds, and cost little to ask.
    static let retryMs: Int64 = 500

    private let sentinels: Sentinels
    private let server: Server
    private let timeouts: Timeouts
    /// To the Sentinel that is asked now.
    private var connection: Connection?
    private var deadline: Int64 = 0
    /// Until when that one may answer.
    private var until: Int64 = 0
    /// The Sentinel that is asked first, how many were asked, and why those before the last one did
    /// not help.
    private var first = 0
    private var asked = 0
    private var failures: [RedcolError] = []
    private var isUnknown = false
    private var hasSent = false
    private var answer = SentinelAnswer()
    /// Until when the server that was found may take to log in; nil: none was found.
    private var serverUntil: Int64?
    /// Servers that were found since one was what it should be; and where to begin among replicas.
    private var attempts = 0
    private var turn = Int(platform_random() & 0xFFFF)

    /// Whether the master will do as well as a replica.
    private let takesAny: Bool

    init(_ sentinels: Sentinels, _ server: Server, _ timeouts: Timeouts, _ source: ReadSource) {
        self.sentinels = sentinels
        self.server = server
        self.timeouts = timeouts
        takesAny = source == .any
        super.init(wantsReplica: source != .primary)
    }

    private var service: Service { sentinels.service }
    private var index: Int {
        (first + asked - 1) % service.sentinels.count
    }

    override func begin(_ deadline: Int64, goesOn: Bool) throws(RedcolError) -> Int32 {
        self.deadline = deadline
        first = sentinels.preferred ?? 0
        asked = 0
        failures = []
        isUnknown = false
        serverUntil = nil
        let connection = try Connection(
            Endpoint(server: server, login: service.login), timeouts)
        self.connection = connection
        try askNext(platform_monotonic_ms())
        return connection.pollDescriptor
    }

    override var wakeAt: Int64 { min(until, connection?.deadline ?? .max) }

    override func end() { connection = nil }

    override func advance(_ now: Int64) throws(RedcolError) -> Server? {
        while let connection {
            do throws(RedcolError) {
                connection.hasWaited()
                if try receive(connection) {
                    sentinels.hasAnswered(index)
                    return chosen(now)
                }
                guard now >= until else { return nil }
                throw RedcolError(
                    .timedOut,
                    "\(connection.endpoint.shown): no answer in its share of "
                        + "connect_timeout_ms")
            } catch {
                failures.append(error)
            }
            try askNext(now)
        }
        return nil
    }

    /// Begins with the next Sentinel. Each has its share of the time, and there is one for the
    /// server.
    private func askNext(_ now: Int64) throws(RedcolError) {
        let left = service.sentinels.count - asked
        guard left > 0 else { throw failure }
        asked += 1
        until = now + (deadline - now) / Int64(left + 1)
        hasSent = false
        answer = SentinelAnswer()
        connection?.changeServer(to: service.sentinels[index])
    }

    /// Asks, and takes the answers; true when all have come.
    private func receive(_ connection: Connection) throws(RedcolError) -> Bool {
        guard try connection.advance() else { return false }
        if !hasSent {
            for word in SentinelAnswer.questions(wantsReplica) {
                var command = Command("SENTINEL", word)
                command.add(service.name)
                connection.enqueue(command)
            }
            try connection.flush()
            hasSent = true
        }
        while answer.count < SentinelAnswer.questions(wantsReplica).count {
            guard let reply = try connection.nextReply() else { return false }
            if case .error(let text) = reply {
                throw RedcolError.server(
                    text, endpoint: connection.endpoint, asked: "asking for \(service.shown)")
            }
            guard answer.take(reply) else {
                // What was known before is known again before long.
                isUnknown = sentinels.preferred == nil
                throw RedcolError(
                    isUnknown ? .name : .connection,
                    "\(connection.endpoint.shown) does not know \(service.shown)")
            }
        }
        return true
    }

    private func chosen(_ now: Int64) -> Server {
        attempts += 1
        turn += 1
        let master = server.found(host: answer.host, port: answer.port, as: "master")
        let replicas = answer.replicas.map {
            server.found(host: $0.host, port: $0.port, as: "replica")
        }
        if wantsReplica { sentinels.found([master] + replicas) }
        // Others can be tried after it.
        serverUntil =
            wantsReplica && attempts <= replicas.count ? now + (deadline - now) / 2 : .max
        let place = turn % (replicas.count + (takesAny || replicas.isEmpty ? 1 : 0))
        return attempts <= replicas.count && place < replicas.count ? replicas[place] : master
    }

    /// None of the Sentinels could say.
    private var failure: RedcolError {
        var cause = RedcolError.Cause.connection
        var text = "finding the \(wantsReplica ? "replicas" : "master") of \(service.shown): "
        for (index, failure) in failures.enumerated() {
            // What will not pass by itself is what somebody has to look at.
            if failure.remedy == .raise || failure.cause == .name && cause == .connection {
                cause = failure.cause
            }
            text += (index > 0 ? "; " : "") + failure.message
        }
        if isUnknown { text += "; check the name of the service" }
        return RedcolError(cause, text)
    }

    override var serverDeadline: Int64 { serverUntil ?? .max }

    override func goesOn(after error: RedcolError) -> Bool {
        serverUntil.map { $0 < .max } ?? false && error.remedy != .raise
    }

    override func judge(_ found: Found) throws(RedcolError) -> Verdict {
        if let role = found.role, !wantsReplica, role != Array("master".utf8) {
            throw RedcolError(
                .connection,
                "\(found.endpoint.shown) is a replica now: the Sentinels have to name another "
                    + "master")
        }
        attempts = 0
        return .stay
    }
}

/// What a Sentinel says of a service.
struct SentinelAnswer {
    private(set) var host: [UInt8] = []
    private(set) var port: UInt16 = 0
    /// Those that are in order.
    private(set) var replicas: [(host: [UInt8], port: UInt16)] = []
    /// Replies that were taken.
    private(set) var count = 0

    static func questions(_ wantsReplica: Bool) -> [String] {
        wantsReplica ? ["GET-MASTER-ADDR-BY-NAME", "REPLICAS"] : ["GET-MASTER-ADDR-BY-NAME"]
    }

    /// Takes the next reply; false if the service is not known there.
    mutating func take(_ reply: Reply) -> Bool {
        defer { count += 1 }
        guard case .array(let parts) = reply else { return false }
        if count == 0 {
            guard parts.count == 2, case .bulk(let host) = parts[0],
                case .bulk(let port) = parts[1],
                let number = SentinelAnswer.port(port), !host.isEmpty
            else { return false }
            self.host = host
            self.port = number
            return true
        }
        for part in parts {
            guard let host = part.value(of: "ip"), !host.isEmpty,
                let port = part.value(of: "port").flatMap(SentinelAnswer.port),
                // Others are down, or have lost their master.
                part.value(of: "flags") == Array("slave".utf8),
                part.value(of: "master-link-status") == Array("ok".utf8)
            else { continue }
            replicas.append((host, port))
        }
        return true
    }

    private static func port(_ text: [UInt8]) -> UInt16? {
        UInt16(String(decoding: text, as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil }
    }
}
