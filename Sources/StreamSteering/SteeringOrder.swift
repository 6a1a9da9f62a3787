// SPDX-License-Identifier: Apache-2.0
// What a caller wants done to a stream or to a consumer group, and how messages name it.

import RedcolBase

/// One intervention.
public struct SteeringOrder: Equatable, Sendable {
    public enum Action: Equatable, Sendable {
        /// Nil: at the end of the stream.
        case createGroup(at: EntryID?, createsStream: Bool)
        case deleteGroup
        /// Nil: to the end of the stream.
        case seekGroup(to: EntryID?)
        /// `isForced`: also one that has pending entries.
        case deleteConsumer([UInt8], isForced: Bool)
        case trim(Limit, isApproximate: Bool)
        case deleteEntries([EntryID])
        /// Pending entries of this consumer.
        case release([EntryID], of: [UInt8])
    }

    /// What a trimmed stream keeps.
    public enum Limit: Equatable, Sendable {
        /// So many entries.
        case entries(Int)
        /// This one and those after it.
        case from(EntryID)
    }

    let stream: [UInt8]
    /// Empty for what is done to the stream alone.
    let group: [UInt8]
    let action: Action

    /// Refuses names that are empty.
    public init(
        stream: [UInt8], group: [UInt8]? = nil, _ action: Action
    ) throws(RedcolError) {
        var consumer: [UInt8]?
        switch action {
        case .deleteConsumer(let name, _), .release(_, let name): consumer = name
        default: break
        }
        let names: [(StaticString, [UInt8]?)] = [
            ("stream", stream), ("group", group), ("consumer", consumer),
        ]
        for (what, name) in names where name?.isEmpty == true {
            throw RedcolError(.invalidArgument, "\(what) is empty; give a name")
        }
        self.stream = stream
        self.group = group ?? []
        self.action = action
    }

    /// The commands that do it.
    var commands: StaticString {
        switch action {
        case .createGroup: "XGROUP CREATE"
        case .deleteGroup: "XGROUP DESTROY"
        case .seekGroup: "XINFO STREAM and XGROUP SETID"
        case .deleteConsumer(_, isForced: true): "XGROUP DELCONSUMER"
        case .deleteConsumer: "EVAL, XPENDING and XGROUP DELCONSUMER"
        case .trim: "XTRIM"
        case .deleteEntries: "XDEL"
        case .release: "EVAL, XPENDING and XCLAIM"
        }
    }

    /// What messages begin with.
    var described: String {
        let what: StaticString =
            switch action {
            case .createGroup: "creating"
            case .deleteGroup: "deleting"
            case .seekGroup: "setting the position of"
            case .deleteConsumer: "deleting a consumer of"
            case .trim: "trimming"
            case .deleteEntries: "deleting entries of"
            case .release: "releasing entries of"
            }
        let place = "stream \"\(shownStream)\""
        if group.isEmpty { return "\(what) \(place)" }
        return "\(what) group \"\(escaped(group, limit: 200))\" of \(place)"
    }

    var shownStream: String { escaped(stream, limit: 200) }
}
