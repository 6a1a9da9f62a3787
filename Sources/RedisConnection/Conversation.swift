// One question and its answer on a connection, asked again when the connection is lost: for what
// does no harm when it is done twice.

import CPlatform

/// How far a question has come. Whoever keeps it beside its connection can go on after a signal,
/// and no time limit begins again.
public struct Conversation: Sendable {
    fileprivate var backoff = Backoff()
    fileprivate var retryAt: Int64?
    fileprivate var began: Int64?

    public init() {}
}

extension Connection {
    /// Connects, and calls `exchange` whenever something has come until it says that everything was
    /// answered. When the connection is lost, `lost` is called and it begins again, for as long as
    /// the server may be silent. A signal ends it as an error of the cause `interrupted`; calling
    /// it again with the same conversation goes on.
    public func converse(
        _ conversation: inout Conversation, lost: () -> Void,
        _ exchange: () throws(RedisError) -> Bool
    ) throws(RedisError) {
        let began = conversation.began ?? platform_monotonic_ms()
        conversation.began = began
        while true {
            do throws(RedisError) {
                if let until = conversation.retryAt, platform_monotonic_ms() < until {
                    try waitOrStop(until: until)
                    continue
                }
                if try advance(), try exchange() { return }
                try waitOrStop()
            } catch {
                guard error.cause == .connection || error.isTemporary else { throw error }
                let delay = conversation.backoff.nextDelayMs()
                let now = platform_monotonic_ms()
                guard now + delay - began <= timeouts.silenceMs else { throw error }
                conversation.retryAt = now + delay
                closeSocket()
                lost()
            }
        }
    }
}
