// One question and its answer on a connection, asked again when the connection is lost: for what
// does no harm when it is done twice.

import CPlatform

extension Connection {
    /// Connects, and calls `exchange` whenever something has come until it says that everything was
    /// answered. When the connection is lost, `lost` is called and it begins again, for as long as
    /// the server may be silent. A signal ends it as an error of the cause `interrupted`.
    public func converse(
        lost: () -> Void, _ exchange: () throws(RedisError) -> Bool
    ) throws(RedisError) {
        var backoff = Backoff()
        var retryAt: Int64?
        let began = platform_monotonic_ms()
        while true {
            do throws(RedisError) {
                if let until = retryAt, platform_monotonic_ms() < until {
                    try waitOrStop(until: until)
                    continue
                }
                if try advance(), try exchange() { return }
                try waitOrStop()
            } catch {
                guard error.cause == .connection || error.isTemporary else { throw error }
                let delay = backoff.nextDelayMs()
                let now = platform_monotonic_ms()
                guard now + delay - began <= timeouts.silenceMs else { throw error }
                retryAt = now + delay
                closeSocket()
                lost()
            }
        }
    }
}
