// SPDX-License-Identifier: Apache-2.0
// What a read asks before it begins: whether its streams are there, where they end, what time it
// is.

import CPlatform
import RedcolBase
import RedisConnection
import RedisTopology

extension StreamReader {
    /// Connects, asks and waits for the answers, before the read begins. Whoever makes a reader
    /// that waits, or a group's member, wants to know what is wrong: then no second attempt is
    /// made, but for an iterator on a cluster: one of its nodes may be about to be replaced. Before
    /// a range is read, it is asked again in states that pass, as its pages are; so it is if
    /// `isPatient`. `take` takes the answer to one of the commands, false when it has not come in
    /// full; `askMore` may ask for more, which the read itself then awaits. Where another node of a
    /// cluster has the key, it is asked. A signal, or the end of the time to wait, ends it; calling
    /// it again goes on with what was asked.
    func askNow(
        _ commands: [Command], isPatient: Bool = false,
        askMore: () throws(RedcolError) -> Void = {},
        take: (Int) throws(RedcolError) -> Bool = { _ in true }
    ) throws(RedcolError) {
        let triesAgain = isPatient || !options.waits && options.group.isEmpty
        var redirects = 0
        while true {
            do throws(RedcolError) {
                while !beginning.mayTry(platform_monotonic_ms()) { try waitToTryAgain() }
                try ask(commands, askMore, take)
                return beginning.begin()
            } catch {
                if error.cause != .interrupted, error.cause != .cancelled { opening = nil }
                if error.remedy == .redirect, redirects < RetryWindow.redirectsMax {
                    redirects += 1
                } else if !(triesAgain && error.isWorthAnotherTry), !awaitsNode(after: error) {
                    throw failed(error)
                } else if beginning.failed(platform_monotonic_ms()) == nil {
                    throw failed(reconnecting.tooLate(error))
                }
                (askedIDs, askedEntry) = ([], LastEntry())
                dropConnection(error)
            }
        }
    }

    /// Whether an iterator waits for a node of a cluster, or for the one that takes its place.
    private func awaitsNode(after error: RedcolError) -> Bool {
        guard options.follows, topology.isCluster, error.isConnectionLoss,
            error.remedy != .redirect, error.cause == .connection || error.cause == .timedOut
        else { return false }
        // Whether it is a cluster may be known only now.
        beginning.wait(longestMs: topology.timeouts.retryMs)
        Log.write(.warning, .retry, about: connection.endpoint.shown) {
            "beginning again: \(error.message)"
        }
        return true
    }

    private func waitToTryAgain() throws(RedcolError) {
        guard let at = beginning.nextAt else { return }
        let until = beginUntil.map { min($0, at) } ?? at
        if case .interrupted = try connection.wait(until: until) { throw RedcolError.interrupted }
        if let beginUntil, platform_monotonic_ms() >= beginUntil { throw RedcolError.interrupted }
    }

    private func ask(
        _ commands: [Command], _ askMore: () throws(RedcolError) -> Void,
        _ take: (Int) throws(RedcolError) -> Bool
    ) throws(RedcolError) {
        if opening == nil {
            // It may have been taken long ago, and be closed by now.
            if connection.isReady, connection.isStale() { connection.closeSocket() }
            while try !connection.advance() { try waitToBegin() }
            noteConnected()
            for command in commands { connection.enqueue(command) }
            try askMore()
            try connection.flush()
            opening = (commands.count, 0)
        }
        while let (count, taken) = opening, taken < count {
            if try take(taken) { opening = (count, taken + 1) } else { try waitToBegin() }
        }
        opening = nil
        if !awaitsReply { connection.expectNothing() }
    }

    /// Asks for the id of each stream's last entry, before the read begins; nil for a stream that
    /// is empty or missing. See `askNow`, also for `askMore`.
    func askLastIDs(
        askMore: () throws(RedcolError) -> Void = {}
    ) throws(RedcolError) -> [EntryID?] {
        if opening == nil {
            askedIDs = []
            askedEntry = LastEntry()
        }
        try askNow(
            streams.map { LastEntry.command($0) }, askMore: askMore,
            take: { (stream: Int) throws(RedcolError) in
                switch try askedEntry.take(from: connection) {
                case .incomplete: return false
                case .id(let id): askedIDs.append(id)
                case .error(let text):
                    let error = RedcolError.server(
                        text, endpoint: connection.endpoint,
                        asked: "asking for the stream's last id")
                    throw error.naming(stream, of: streams)
                }
                return true
            })
        return askedIDs
    }

    /// Asks for the server's clock before the read begins, in milliseconds since 1970. Asked once;
    /// see `askNow`.
    func askTime() throws(RedcolError) -> UInt64 {
        if let serverTime { return serverTime }
        var parts: [UInt64] = []
        try askNow(
            [Command("TIME")],
            take: { (_: Int) throws(RedcolError) in
                guard let reply = try connection.nextReply() else { return false }
                if case .error(let text) = reply {
                    throw RedcolError.server(
                        text, endpoint: connection.endpoint, asked: "TIME, for the server's clock")
                }
                guard case .array(let texts) = reply else { return true }
                for case .bulk(let text) in texts {
                    if let number = EntryID(text, sequenceIfMissing: 0) {
                        parts.append(number.milliseconds)
                    }
                }
                return true
            })
        guard parts.count == 2, parts[0] < 1 << 40, parts[1] < 1_000_000 else {
            throw failed(connection.violation("no time in answer to TIME"))
        }
        let time = parts[0] * 1_000 + parts[1] / 1_000
        serverTime = time
        return time
    }

    private func waitToBegin() throws(RedcolError) {
        guard case .ready = try connection.wait(until: beginUntil) else {
            throw RedcolError.interrupted
        }
    }
}
