// SPDX-License-Identifier: Apache-2.0
// What a subscription does next: subscribe, wait, hand a batch over, end, or ask whether the server
// is still there. Pure: it knows no socket, and time is passed in.

/// Where a subscription is.
struct MessagePlan {
    enum Step: Equatable {
        /// All channels are named again.
        case subscribe
        /// A connection on which nothing comes may be dead: PING.
        case ping
        case handOver
        case end
        /// Nothing to do until something comes, or `wakeAt`.
        case wait
    }

    private enum State: Equatable {
        case unsubscribed
        /// So many channels are not confirmed yet.
        case asked(left: Int)
        case subscribed
    }

    private let channels: Int
    private let batchRows: Int
    private let batchMs: Int64
    private let onIdle: IdleAction
    private let blockMs: Int64?
    private let windowMs: Int64?
    /// How long a connection may be silent before it is asked for a sign of life.
    private let silenceMs: Int64

    private var state = State.unsubscribed
    /// Rows that may still come.
    private(set) var remaining: Int
    /// When all channels were confirmed for the first time.
    private var begunAt: Int64?
    /// When the last batch was handed over, or the subscription began.
    private var batchFrom: Int64 = 0
    private var messageAt: Int64 = 0
    private var waitsSince: Int64?
    private var heardAt: Int64 = 0
    private(set) var awaitsPong = false
    /// Since when there is no subscription, after there was one.
    private var lostAt: Int64?

    init(channels: Int, options: MessageOptions, silenceMs: Int64) {
        self.channels = channels
        self.silenceMs = max(1_000, silenceMs)
        batchRows = options.read.batchRows
        batchMs = options.batchMs
        onIdle = options.read.onIdle
        blockMs = options.read.blockMs
        windowMs = options.read.windowMs
        remaining = options.read.count ?? .max
    }

    var isSubscribed: Bool { state == .subscribed }
    /// Whether channels were named that are not confirmed yet.
    var awaitsConfirmation: Bool {
        if case .asked = state { return true }
        return false
    }

    var rowsMax: Int { min(batchRows, remaining) }

    /// When it ends by its time.
    var endsAt: Int64? {
        guard let begunAt, let windowMs else { return nil }
        return begunAt + windowMs
    }

    // MARK: What to do

    /// What to do when all that has come is in the batch, which has `rows` rows.
    mutating func next(_ now: Int64, rows: Int) -> Step {
        if state == .unsubscribed { return .subscribe }
        if remaining <= rows { return .end }
        if let endsAt, now >= endsAt { return .end }
        if isIdle(now) {
            if onIdle == .stop { return .end }
            return .handOver
        }
        if rows > 0, now >= batchFrom + batchMs { return .handOver }
        if !awaitsPong, isSubscribed, now >= heardAt + silenceMs { return .ping }
        return .wait
    }

    /// When `next` has something else to say, although nothing comes.
    func wakeAt(rows: Int) -> Int64? {
        var wake: Int64?
        func add(_ moment: Int64?) {
            if let moment { wake = min(wake ?? moment, moment) }
        }
        if !awaitsPong, isSubscribed { add(heardAt + silenceMs) }
        if rows > 0 { add(batchFrom + batchMs) }
        add(endsAt)
        if let since = idleSince { add(since + (blockMs ?? 0)) }
        return wake
    }

    private var idleSince: Int64? {
        guard isSubscribed else { return nil }
        switch onIdle {
        case .wait: return nil
        case .stop: return max(messageAt, begunAt ?? 0)
        case .empty: return waitsSince.map { max($0, messageAt) }
        }
    }

    private func isIdle(_ now: Int64) -> Bool {
        guard blockMs != 0, let since = idleSince else { return false }
        return now >= since + (blockMs ?? 0)
    }

    // MARK: Results

    mutating func asked() { state = .asked(left: channels) }

    /// A channel was confirmed. When it was the last one: how long there had been no subscription,
    /// if there had been one before.
    mutating func confirmed(_ now: Int64) -> Int64? {
        guard case .asked(let left) = state else { return nil }
        guard left <= 1 else {
            state = .asked(left: left - 1)
            return nil
        }
        state = .subscribed
        heardAt = now
        if begunAt == nil {
            begunAt = now
            batchFrom = now
        }
        defer { lostAt = nil }
        return lostAt.map { max(0, now - $0) }
    }

    /// The connection is gone. True if a subscription went with it.
    mutating func connectionLost(_ now: Int64) -> Bool {
        let isGap = state == .subscribed
        state = .unsubscribed
        awaitsPong = false
        if isGap, lostAt == nil { lostAt = now }
        return isGap
    }

    mutating func heard(_ now: Int64) { heardAt = now }

    mutating func gotMessages(_ now: Int64) { messageAt = now }

    mutating func pinged() { awaitsPong = true }

    /// The server has answered PING, or refused to: it is there.
    mutating func ponged() { awaitsPong = false }

    /// The caller waits for the next batch.
    mutating func isAsked(_ now: Int64) {
        if waitsSince == nil { waitsSince = now }
    }

    mutating func handedOver(rows: Int, _ now: Int64) {
        waitsSince = nil
        batchFrom = now
        if remaining != .max { remaining -= min(rows, remaining) }
    }
}
