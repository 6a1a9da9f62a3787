// SPDX-License-Identifier: Apache-2.0
// What a read does about a stream that is missing: an error where that was asked for, and a line in
// the log if the name looks like a pattern, which only reads of many streams take.

import RedcolBase
import RedisConnection

extension ReadOptions {
    /// Whether it matters if this stream is there.
    func asksFor(_ stream: ArraySlice<UInt8>) -> Bool {
        raisesMissingStreams || looksLikePattern(stream)
    }

    /// Whether something is asked before the first batch is.
    var beginsNow: Bool {
        waits || !group.isEmpty || needsServerTime || raisesMissingStreams
    }
}

private func looksLikePattern(_ stream: ArraySlice<UInt8>) -> Bool {
    stream.contains {
        $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[")
    }
}

extension Command {
    static func exists(_ stream: ArraySlice<UInt8>) -> Command {
        var command = Command("EXISTS")
        command.add(stream)
        return command
    }
}

extension StreamReader {
    /// Asks whether the streams are there, where that matters, before the read begins. See
    /// `askNow`. A call for all that there is tries again in states that pass.
    ///
    /// `all`: asks for each of them, for the sake of a slot that is being moved: a connection that
    /// says ASKING goes back to the old node then if one is not at the new node.
    final func lookForStreams(all: Bool = false) throws(RedcolError) {
        if hasLookedForStreams { return }
        let asked = streams.filter { all || options.asksFor($0[...]) }
        if !asked.isEmpty {
            try askNow(
                asked.map { .exists($0[...]) }, isPatient: !options.follows,
                take: { (stream: Int) throws(RedcolError) in
                    guard let reply = try connection.nextReply() else { return false }
                    try note(reply, whether: asked[stream])
                    return true
                })
        }
        hasLookedForStreams = true
    }

    final func noStream(matching pattern: [UInt8]) -> RedcolError {
        RedcolError(
            .noStream,
            "no stream matches \"\(shownStream(pattern))\", and if_missing is \"raise\"")
    }

    /// The answer to EXISTS: whether this stream is there.
    final func note(_ reply: Reply, whether stream: [UInt8]) throws(RedcolError) {
        if case .error(let text) = reply {
            let error = RedcolError.server(
                text, endpoint: connection.endpoint, asked: "EXISTS, for if_missing")
            // For a line in the log alone, a user needs no right.
            if options.raisesMissingStreams || error.remedy == .redirect { throw error }
            return
        }
        guard let count = reply.count(most: 1) else {
            throw connection.violation("no number in answer to EXISTS")
        }
        if count > 0 || !options.asksFor(stream[...]) { return }
        let name = shownStream(stream)
        let hint =
            looksLikePattern(stream[...])
            ? "; the name is taken as it is, since patterns are for reads of many streams" : ""
        guard options.raisesMissingStreams else {
            Log.write(.warning, .stream, about: name) { "there is no stream \"\(name)\"\(hint)" }
            return
        }
        let error = RedcolError(
            .noStream, "there is no such stream, and if_missing is \"raise\"\(hint)")
        throw streamInHand == nil
            ? error.adding("stream \"\(name)\": ", .stream, name) : error
    }
}
