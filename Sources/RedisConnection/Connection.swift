// SPDX-License-Identifier: Apache-2.0
// One connection to a server: made, logged in, written to and read from without ever blocking, so
// that the same code serves callers who wait here and callers who wait in an event loop of their
// own.

import CPlatform
import RedcolBase

/// A socket, what waits to be sent, what was received, and the poller that tells when to continue.
/// One thread at a time; only `cancel()` may come from another.
public final class Connection {
    /// With the credentials of this connection, wherever they came from, and the server that the
    /// locator has found.
    public private(set) var endpoint: Endpoint
    /// Says which server it is, each time that the connection begins; nil if that is known.
    public let locator: Locator?
    public let timeouts: Timeouts

    enum Phase {
        case closed, locating, fetchingCredentials, resolving, connecting, handshaking, loggingIn
        case ready
    }

    private(set) var phase = Phase.closed
    var transport = Transport()
    /// Behind a pointer: `cancel` may come in a signal handler, while this thread is inside `wait`.
    let poller = UnsafeMutablePointer<platform_poller>.allocate(capacity: 1)
    /// Whether a cancel of another connection ends the wait for this one.
    var sharesCancel = false
    /// Jobs under way. One that was not done in time is for the next attempt to wait for, so that
    /// there is never more than one of a kind.
    private var credentials: CredentialsRequest?
    private var lookup: NameLookup?
    var attempts = ConnectAttempts()
    private var outgoing = SendBuffer()
    public private(set) var incoming = ReceiveBuffer()
    private var login = LoginExchange()
    /// Whether the server has said that it is one node of a cluster.
    public var isClusterNode: Bool { login.isClusterNode }
    /// Whether the server counts a group's lag right after a gap.
    public var countsLag: Bool { login.countsLag }
    /// When connecting and logging in has taken too long: to this server, and to any.
    private(set) var connectDeadline: Int64 = 0
    private(set) var attemptDeadline: Int64 = 0
    /// The attempt to connect goes on with another server.
    var attemptGoesOn = false
    /// Until when ASKING is said before each command: by then the node has the slot, or it answers
    /// MOVED and its old node is asked again.
    private var asksUntil: Int64 = 0
    private static let askingMs: Int64 = 1_000
    /// Whether an answer has come since. ASK was about the commands before it. Later, the slot may
    /// have gone back, and may be on its way here a second time: what is asked about a key that is
    /// not here yet would be answered as if there were none, and could create it.
    private var asksAboutKeys = false
    /// ASK was about one of several keys, of which some may still be at the old node: each of them
    /// is asked about from the beginning.
    public var asksAboutEveryKey = false
    private var isInTransaction = false
    /// Which of the answers that are to come are those to ASKING, and whether EXISTS follows it.
    private var askingAnswers: [(place: Int, withKey: Bool)] = []
    private var awaitsKey = false
    /// What the locator waits for; -1 while it does not look.
    var locatorFD: Int32 = -1
    /// When the locator is asked the next time about a server that is silent.
    var doubtsAgainAt: Int64 = 0
    var clock: AnswerClock
    /// Answers that were taken since it was connected, without those to `enqueue(encoded:)`.
    private var answersTaken = 0
    /// The server sends what nobody asks for: messages of a channel.
    public var hearsMessages = false
    /// How often more can be received before it is waited for again. See `receive`.
    var receivesLeft = Connection.receivesPerTurn
    static let receivesPerTurn = 16

    public init(
        _ endpoint: Endpoint, _ timeouts: Timeouts, locator: Locator? = nil
    ) throws(RedcolError) {
        self.endpoint = endpoint
        self.locator = locator
        self.timeouts = timeouts
        clock = AnswerClock(timeouts)
        poller.initialize(to: platform_poller(epoll_fd: -1, cancel_fd: -1, alarm_fd: -1))
        let error = platform_poller_open(poller)
        if error != 0 {
            throw RedcolError(.memory, "no file descriptor for a connection: \(errorText(error))")
        }
    }

    deinit {
        closeSocket()
        platform_poller_close(poller)
        poller.deallocate()
    }

    public var isReady: Bool { phase == .ready }

    /// Whether this process is a fork of the one that made the connection: it is not ours to use.
    var isForked: Bool { getpid() != processID }
    private let processID = getpid()

    /// A file descriptor that becomes readable when the connection can continue. It stays the same
    /// over reconnects. Borrowed.
    public var pollDescriptor: Int32 { poller.pointee.epoll_fd }

    /// Ends the wait that another thread is in, or else the next one. Safe in any thread, and in a
    /// signal handler.
    public func cancel() {
        if !isForked { platform_poller_cancel(poller) }
    }

    /// Forgets a cancel that nobody has waited for.
    public func takeCancel() {
        if !isForked { _ = platform_poller_take_cancel(poller) }
    }

    // MARK: Connecting

    /// Continues connecting and logging in, or begins it; true when that is done.
    public func advance() throws(RedcolError) -> Bool {
        do {
            switch phase {
            case .ready: return true
            case .closed: try begin()
            case .locating: try locate()
            case .fetchingCredentials: try finishCredentials()
            case .resolving: try finishResolving()
            case .connecting: try finishConnecting()
            case .handshaking: try shakeHands()
            case .loggingIn: break
            }
            if phase == .loggingIn { try readLogin() }
            return phase == .ready
        } catch {
            closeSocket()
            // Its files may have been replaced since they were read.
            guard
                error.cause == .tls && endpoint.server.tls?.readAgain() == true || goesOn(error)
            else { throw error }
            return try advance()
        }
    }

    /// Whether the attempt to connect goes on with another server, after this error.
    func goesOn(_ error: RedcolError) -> Bool {
        attemptGoesOn = locator?.goesOn(after: error) ?? false
        return attemptGoesOn
    }

    private func begin() throws(RedcolError) {
        let goesOn = attemptGoesOn
        attemptGoesOn = false
        if !goesOn { attemptDeadline = platform_monotonic_ms() + timeouts.connectMs }
        connectDeadline = attemptDeadline
        if locator == nil { return try fetchCredentials() }
        phase = .locating
        try startLocating(until: attemptDeadline, goesOn: goesOn)
        try locate()
    }

    private func locate() throws(RedcolError) {
        guard let locator, let server = try locator.advance(platform_monotonic_ms()) else {
            return
        }
        stopLocating()
        endpoint.server = server
        connectDeadline = min(attemptDeadline, locator.serverDeadline)
        try fetchCredentials()
    }

    private func fetchCredentials() throws(RedcolError) {
        guard endpoint.login.source.isRenewed else { return try connect() }
        phase = .fetchingCredentials
        if let credentials {
            try watch(credentials)
        } else {
            let request = try CredentialsRequest.make(endpoint.login)
            try watch(request)
            request.start()
            credentials = request
        }
        try finishCredentials()
    }

    /// Watches for the end of a job.
    private func watch(_ job: BackgroundJob) throws(RedcolError) {
        let error = platform_poller_watch(poller, job.event, true, false, true)
        if error != 0 { throw refused(error) }
    }

    private func finishCredentials() throws(RedcolError) {
        guard let request = credentials, request.takeDone() else { return }
        platform_poller_unwatch(poller, request.event)
        credentials = nil
        endpoint.login = try request.completed(endpoint.login, shown: endpoint.shown)
        try connect()
    }

    private func connect() throws(RedcolError) {
        phase = .connecting
        try endpoint.server.tls?.prepare(for: endpoint.server)
        switch endpoint.server.address {
        case .service: break  // never: a locator has found its server
        case .file: break  // never: a topology of a file gives no connection
        case .unix(let path):
            let socket = platform_socket(AF_UNIX, Int32(SOCK_STREAM.rawValue))
            guard socket >= 0 else { throw refused(platform_errno()) }
            let status = path.utf8CString.withUnsafeBufferPointer {
                platform_connect_unix(socket, $0.baseAddress, $0.count - 1)
            }
            // A unix socket whose backlog is full says EAGAIN, and cannot be waited for.
            attempts.add(socket, status, poller)
        case .tcp(let host, let port):
            guard let addresses = AddressList(address: host, port: port) else {
                phase = .resolving
                if let lookup, lookup.isOf(host, port) {
                    try watch(lookup)
                } else {
                    let job = try NameLookup.make(host, port)
                    try watch(job)
                    job.start()
                    lookup = job
                }
                return try finishResolving()
            }
            attempts.begin(addresses)
        }
        try finishConnecting()
    }

    private func finishResolving() throws(RedcolError) {
        guard let job = lookup, job.takeDone() else { return }
        platform_poller_unwatch(poller, job.event)
        lookup = nil
        attempts.begin(try job.takeAddresses(shown: endpoint.shown))
        phase = .connecting
        try finishConnecting()
    }

    /// Looks whether one of the addresses has answered, and tries the next one when it is time.
    private func finishConnecting() throws(RedcolError) {
        switch attempts.advance(platform_monotonic_ms(), timeouts, poller) {
        case .pending: break
        case .failed(let error): throw refused(error)
        case .connected(let socket):
            phase = .handshaking
            transport.open(socket)
            try transport.secure(for: endpoint.server)
            try shakeHands()
        }
    }

    private func shakeHands() throws(RedcolError) {
        switch transport.handshake() {
        case .done: try beginLogin()
        case .pending: try watch()
        case .failed(let failure): throw lost(failure)
        }
    }

    /// Has the poller watch for what is waited for.
    private func watch() throws(RedcolError) {
        let error = transport.watch(poller, unsent: !outgoing.isEmpty)
        if error != 0 { throw lost(errorText(error)) }
    }

    private func beginLogin() throws(RedcolError) {
        phase = .loggingIn
        login.begin(endpoint.login)
        for command in login.awaited { enqueue(command) }
        try flush()
    }

    private func readLogin() throws(RedcolError) {
        while !login.isComplete {
            guard let reply = try nextReply() else { return }
            try login.received(reply, from: endpoint)
        }
        if incoming.count > 0 { throw unasked() }
        if login.isSentinel, !endpoint.server.isSentinel {
            throw RedcolError(
                .unsupported,
                "\(endpoint.shown) is a Sentinel and has no data; use redis+sentinel://"
                    + "\(endpoint.server.place)/ and the name of the service")
        }
        endpoint.server.isClusterNode = login.isClusterNode
        switch try locator?.judge(login.found(endpoint)) ?? .stay {
        case .stay: break
        case .ask(let command):
            login.ask(command)
            enqueue(command)
            try flush()
            return try readLogin()
        case .goElsewhere:
            closeSocket()
            attemptGoesOn = true
            return try begin()
        }
        if locator?.saysAsking == true {
            asksUntil = platform_monotonic_ms() + Connection.askingMs
            asksAboutKeys = asksAboutEveryKey
        }
        phase = .ready
        endpoint.server.tls?.succeeded()
        if login.isRepeated { return }
        Log.write(.debug, .connection, about: endpoint.shown) { "connected to \(endpoint.shown)" }
    }

    /// Before an idle connection is used again: asks what its server is now, if that can change.
    /// False if it is lost.
    public func checkAgain() -> Bool {
        guard locator?.doubtsIdle ?? false else { return true }
        do throws(RedcolError) {
            attemptDeadline = platform_monotonic_ms() + timeouts.connectMs
            connectDeadline = attemptDeadline
            phase = .loggingIn
            login.repeatHello()
            for command in login.awaited { enqueue(command) }
            try flush()
            return true
        } catch {
            return false
        }
    }

    /// Closes the connection; the next one is to this server.
    public func changeServer(to server: Server) {
        closeSocket()
        endpoint.server = server
    }

    // MARK: Talking

    /// Adds a command to what will be sent.
    public func enqueue(_ command: Command) {
        if asksUntil > 0 { enqueueAsking(before: command) }
        outgoing.append(command)
    }

    /// Says ASKING, whose answer is not seen, and asks whether the key is there.
    private func enqueueAsking(before command: Command) {
        // What is said before MULTI holds until EXEC.
        let wasInTransaction = isInTransaction
        isInTransaction = command.opensTransaction || wasInTransaction && !command.endsTransaction
        guard !wasInTransaction, platform_monotonic_ms() < asksUntil else { return }
        let key = asksAboutKeys ? command.key : nil
        askingAnswers.append((outgoing.commandsQueued, key != nil))
        outgoing.append(Command("ASKING"))
        if let key {
            var exists = Command("EXISTS")
            exists.add(key)
            outgoing.append(exists)
            outgoing.append(Command("ASKING"))
        }
        passOverAsking()
    }

    /// If the answer to ASKING comes next, it is passed over as it comes.
    private func passOverAsking() {
        guard let next = askingAnswers.first, next.place == answersTaken else { return }
        askingAnswers.removeFirst()
        awaitsKey = next.withKey
        answersTaken &+= awaitsKey ? 3 : 1
        incoming.passOver(awaitsKey ? "+OK\r\n:1\r\n+OK\r\n" : "+OK\r\n")
    }

    /// Adds commands that are encoded already to what will be sent.
    public func enqueue(encoded commands: UnsafeBufferPointer<UInt8>) {
        outgoing.append(encoded: commands)
    }

    /// Whether some of what was added still waits for the system to take it.
    public var hasUnsent: Bool { !outgoing.isEmpty }

    /// How many bytes the system has taken so far, over all times that this was connected.
    public var bytesSent: Int { outgoing.sentInAll }

    /// Sends what can be sent without waiting, and expects an answer from now on. `extraMs`: how
    /// long the server was asked to wait before it answers.
    public func flush(extraMs: Int64 = 0) throws(RedcolError) {
        if phase == .ready {
            if !clock.isAwaiting, incoming.count > 0, !hearsMessages { throw unasked() }
            clock.asked(extraMs: extraMs, platform_monotonic_ms())
        }
        try sendMore()
    }

    private func sendMore() throws(RedcolError) {
        if outgoing.isIncomplete {
            throw RedcolError(.memory, "no memory for a command to \(endpoint.shown)")
        }
        let sentBefore = outgoing.sentInAll
        let sent = transport.send(&outgoing)
        // A server that takes what it is sent is not silent, however slowly it does.
        noteSignOfLife(bytes: outgoing.sentInAll &- sentBefore)
        if case .failed(let failure) = sent {
            // Under TLS a server that refuses our certificate says so only now, and then goes.
            if transport.isTLS, phase == .loggingIn { _ = try receiveOnly() }
            throw lost(failure)
        }
        try watch()
    }

    /// Nothing is awaited any more: silence is no fault.
    public func expectNothing() { clock.expectNothing() }

    /// A whole answer was taken. One that comes before its request was sent is an error, as is one
    /// to no request; but a server may refuse a request that it has not read to the end.
    public func answered(isError: Bool = false) throws(RedcolError) {
        repliesTaken &+= 1
        answersTaken &+= 1
        asksAboutKeys = true
        let most = isError ? outgoing.commandsQueued : outgoing.commandsSent
        if answersTaken > most { throw unasked() }
        if !askingAnswers.isEmpty {
            passOverAsking()
            if incoming.hasUnexpected { throw noAsking(awaitsKey) }
        }
        if answersTaken == outgoing.commandsQueued {
            expectNothing()
        } else {
            clock.answered(platform_monotonic_ms())
        }
    }

    /// Answers to commands that came encoded were taken.
    public func answeredEncoded() { clock.answered(platform_monotonic_ms()) }

    /// Receives what has come; false when nothing has, or when it was received so often that it is
    /// the caller's turn: to wait, which returns at once, and to look at the time and at signals.
    /// Bytes are in `incoming`.
    public func receive() throws(RedcolError) -> Bool {
        guard transport.isOpen else { throw lost("the connection is closed") }
        if transport.watchesWrites || !outgoing.isEmpty { try sendMore() }
        guard !transport.isDrained, receivesLeft > 0 else { return false }
        receivesLeft -= 1
        return try receiveOnly()
    }

    /// Receives what has come although the connection may be lost; false when nothing has. What the
    /// server said before it went is still there when nothing can be sent any more.
    public func receiveLast() -> Bool {
        guard transport.isOpen, phase == .ready else { return false }
        do throws(RedcolError) {
            return try receiveOnly()
        } catch {
            return false
        }
    }

    private func receiveOnly() throws(RedcolError) -> Bool {
        guard let room = incoming.room() else {
            throw RedcolError(.memory, "no memory to receive from \(endpoint.shown)")
        }
        switch transport.receive(into: room) {
        case .bytes(let count):
            incoming.received(count)
            if incoming.hasUnexpected { throw noAsking(awaitsKey) }
            if transport.isTLS { try watch() }
            if phase == .ready, !clock.isAwaiting, !hearsMessages { throw unasked() }
            noteSignOfLife(bytes: count)
            return true
        case .nothing:
            if transport.isTLS { try watch() }
            return false
        case .failed(let failure): throw lost(failure)
        }
    }

    /// Bytes that were received since this was asked last.
    public func takeReceived() -> Int { incoming.takeReceived() }

    private func noteSignOfLife(bytes: Int) {
        if phase == .ready, bytes > 0 { clock.moved(bytes: bytes, platform_monotonic_ms()) }
    }

    /// The caller goes away and looks at no answer until `callerIsBack`: that time is not the
    /// server's.
    public func callerIsAway() { clock.callerIsAway(platform_monotonic_ms()) }
    public func callerIsBack() { clock.callerIsBack(platform_monotonic_ms()) }

    /// Whole replies that were taken, over all times that this was connected.
    public private(set) var repliesTaken = 0

    /// Marks the first `count` bytes of `incoming` as used.
    public func consume(_ count: Int) { incoming.consume(count) }

    /// The next whole reply; nil when it has not come in full. Not for the replies that hold
    /// entries.
    public func nextReply(
        bytesMax: Int = ProtocolLimits.replyBytes
    ) throws(RedcolError) -> Reply? {
        while true {
            let errorBytesMax = ProtocolLimits.lineBytes + outgoing.largestCommand
            switch scanReply(
                incoming.waiting, bytesMax: bytesMax, errorBytesMax: errorBytesMax)
            {
            case .complete(let count):
                let bytes = UnsafeBufferPointer(rebasing: incoming.waiting[..<count])
                let reply: Reply
                try Memory.require(replyMemory(bytes), for: "a reply from \(endpoint.shown)")
                do throws(ReplyFault) {
                    reply = try parseReply(bytes)
                } catch .noMemory {
                    throw RedcolError(.memory, "no memory for a reply from \(endpoint.shown)")
                } catch {
                    throw violation("an unreadable reply")
                }
                consume(count)
                var isError = false
                if case .error(let line) = reply {
                    isError = true
                    redirected(line)
                }
                try answered(isError: isError)
                return reply
            case .hostile(let what):
                // An alert of TLS.
                if phase == .loggingIn, incoming.waiting.first == 0x15 {
                    throw RedcolError(
                        .tls, asked + "the server speaks TLS at this port: use rediss://")
                }
                throw violation(what)
            case .incomplete:
                guard try receive() else { return nil }
            }
        }
    }

    /// The server has answered this error: it may say which other node of a cluster has the key.
    /// `nextReply` calls this itself.
    public func redirected(_ line: [UInt8]) {
        if phase == .ready, endpoint.server.isClusterNode {
            locator?.answered(line, by: endpoint.server)
        }
    }

    // MARK: Closing

    /// Closes the socket and forgets what was sent and received. `advance` begins again.
    public func closeSocket() {
        // A child shares the poller with its parent, which keeps watching.
        transport.end(isForked ? nil : poller)
        attempts.end(isForked ? nil : poller)
        if !isForked {
            if let credentials { platform_poller_unwatch(poller, credentials.event) }
            if let lookup { platform_poller_unwatch(poller, lookup.event) }
        }
        if locatorFD >= 0 { stopLocating() }
        outgoing.reset()
        incoming.clear()
        login = LoginExchange()
        answersTaken = 0
        askingAnswers = []
        asksUntil = 0
        isInTransaction = false
        attemptGoesOn = false
        hearsMessages = false
        clock.expectNothing()
        phase = .closed
    }

    /// Closes it for good, and frees what it holds, although somebody may still have it: what is
    /// said of it then is that it is closed.
    public func discard() {
        closeSocket()
        credentials = nil
        lookup = nil
        incoming.discard()
        platform_poller_close(poller)
    }

    /// Whether the server has closed or disturbed a connection that should be silent: then it must
    /// not be used again.
    public func isStale() -> Bool {
        guard phase == .ready, incoming.count == 0, outgoing.isEmpty else { return true }
        transport.somethingMayHaveCome()
        receivesLeft = Connection.receivesPerTurn
        do {
            return try receive()
        } catch {
            return true
        }
    }
}

extension Connection {
    /// Connects and logs in, waiting as long as that may take.
    public func connectNow() throws(RedcolError) {
        while try !advance() { try waitOrStop() }
    }

    /// Waits for something to do; a signal ends it as an error of the cause `interrupted`.
    public func waitOrStop(until: Int64? = nil) throws(RedcolError) {
        if case .interrupted = try wait(until: until) { throw RedcolError.interrupted }
    }
}
