// SPDX-License-Identifier: Apache-2.0
// What the rows of a frame become on a server, and how people call it.

/// What rows become.
enum WrittenRows {
    /// Entries of streams.
    case entries
    case hashes
    /// Messages of channels.
    case messages

    /// "3 keys were written", for people.
    func told(_ count: Int) -> String {
        let noun: StaticString
        var verb: StaticString = "written"
        switch self {
        case .entries: noun = count == 1 ? "entry" : "entries"
        case .hashes: noun = count == 1 ? "key" : "keys"
        case .messages:
            noun = count == 1 ? "message" : "messages"
            verb = "published"
        }
        return "\(count) \(noun) \(count == 1 ? "was" : "were") \(verb)"
    }

    /// What the server was asked to do with a row.
    var asked: String {
        switch self {
        case .entries: return "adding an entry"
        case .hashes: return "writing a hash"
        case .messages: return "publishing a message"
        }
    }

    /// What names the place of a row.
    var keyNoun: StaticString {
        switch self {
        case .entries: return "stream"
        case .hashes: return "key"
        case .messages: return "channel"
        }
    }
}
