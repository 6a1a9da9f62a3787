// SPDX-License-Identifier: Apache-2.0
// Carries an order out on a connection.

import RedcolBase
import RedisConnection
import RedisTopology

/// One order in progress.
public struct Steering {
    private var plan: SteeringPlan
    private var conversation = Conversation()

    public init(_ order: SteeringOrder) { plan = SteeringPlan(order) }

    public var stream: [UInt8] { plan.order.stream }
    /// How many of what the order is about; 1 for a group that was created or deleted.
    public var count: Int64 { plan.count }
    /// Where a group was set to.
    public var position: EntryID? { plan.position }

    /// Whether this is the same order as `other`, however far each of them is.
    public func isSame(as other: Steering) -> Bool { plan.order == other.plan.order }

    /// Runs on `connection`. After a signal it continues there when it is called again.
    public mutating func run(_ connection: Connection) throws(RedcolError) {
        var conversation = self.conversation
        defer { self.conversation = conversation }
        // All of it may be done twice without harm.
        try connection.converse(
            &conversation, lost: { plan.connectionLost() },
            { () throws(RedcolError) in try exchange(connection) })
    }

    /// True when everything has been answered.
    private mutating func exchange(_ connection: Connection) throws(RedcolError) -> Bool {
        if plan.isEmpty { return true }
        while true {
            let commands = plan.next()
            for command in commands { connection.enqueue(command) }
            if !commands.isEmpty { try connection.flush() }
            guard let reply = try connection.nextReply(bytesMax: plan.answerBytesMax) else {
                return false
            }
            switch plan.take(reply) {
            case .more: continue
            case .done:
                connection.expectNothing()
                return true
            case .malformed:
                throw connection.violation("something else in answer to \(plan.order.commands)")
            case .refused(let text):
                throw RedcolError.server(
                    text, endpoint: connection.endpoint, asked: plan.order.described,
                    commands: plan.order.commands
                ).adding("", .stream, plan.order.shownStream)
            case .noStream: throw failed(.noGroup, "there is no such stream")
            case .pending(let entries):
                throw failed(
                    .pending,
                    "the consumer has \(entries) pending entries, and was not deleted: acknowledge "
                        + "them or have them claimed first, or use force to make the group forget "
                        + "that they are pending")
            }
        }
    }

    private func failed(_ cause: RedcolError.Cause, _ what: String) -> RedcolError {
        RedcolError(
            cause, "\(plan.order.described): \(what)",
            details: [(.stream, plan.order.shownStream)])
    }
}
