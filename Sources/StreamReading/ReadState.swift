// SPDX-License-Identifier: Apache-2.0
// What a read can be asked from any thread: whether it has its connection, what it lost the last
// one by, and where it is.

import RedcolBase

/// The state of a read on one connection.
public final class ReadState: @unchecked Sendable {
    private let locked: Lock
    private var loss: RedcolError?
    private var isUp = false
    /// In each stream, as `StreamReader.position` says.
    private var positions: [EntryID?]

    static func make(streams: Int) throws(RedcolError) -> ReadState {
        ReadState(try Lock(for: "a read"), streams)
    }

    private init(_ lock: consuming Lock, _ streams: Int) {
        locked = lock
        positions = Array(repeating: nil, count: streams)
    }

    /// Whether there was a connection that is logged in when the read last looked.
    public var isConnected: Bool { locked { isUp } }

    /// Why the connection was lost, or a server refused; nil if it was not, or is there again.
    public var lastError: RedcolError? { locked { loss } }

    /// Where the read is in a stream; nil if that is not known.
    func position(_ stream: Int) -> EntryID? { locked { positions[stream] } }

    func moved(_ stream: Int, to position: EntryID?) { locked { positions[stream] = position } }

    func connected() {
        locked {
            isUp = true
            loss = nil
        }
    }

    /// Another server that the read needs cannot be reached.
    func failed(_ error: RedcolError) { locked { loss = error } }

    /// Nil: it was closed on purpose.
    func disconnected(_ error: RedcolError?) {
        locked {
            isUp = false
            if let error { loss = error }
        }
    }
}
