// SPDX-License-Identifier: Apache-2.0
// Calls that meet: cancelling, closing and calling from other threads, signals, forked children.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

/// Waits until `iter` is inside a call on another thread.
private func waitUntilBusy(_ iter: OpaquePointer) -> Bool {
    for _ in 0..<1_000 {
        let outcome = next(iter, waitMs: 0)
        if outcome.status == REDCOL_ERROR_BUSY { return true }
        usleep(1_000)
    }
    return false
}

@Test(arguments: [["follow", "true"], []])
func aCancelledIteratorGoesOn(_ options: [String]) throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url, ["timeout_ms", "20000"]).handle)
    let iter = try #require(read(client, utf8("s"), options).handle)
    defer { for handle in [client, iter] { release(handle) } }
    let isRange = options.isEmpty
    if isRange { try redis.addEntries("s", 1...3) }
    if isRange { redis.freeze() }
    let shared = Shared(value: iter)
    let waiting = inThread { next(shared.value) }
    usleep(100_000)
    #expect(cancel(iter) == REDCOL_OK)
    let began = ContinuousClock.now
    #expect(waiting()?.status == REDCOL_ERROR_CANCELLED)
    #expect(ContinuousClock.now - began < .seconds(2))
    redis.resume()
    if !isRange { try redis.addEntries("s", 1...3) }
    #expect(next(iter, waitMs: 10_000).rows.count >= 1)
}

@Test func aCancelThatCameTooEarly() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "follow", "true").handle)
    defer { for handle in [client, iter] { release(handle) } }
    #expect(cancel(iter) == REDCOL_OK)
    #expect(next(iter, waitMs: 10_000).status == REDCOL_ERROR_CANCELLED)
    #expect(next(iter, waitMs: 10).status == REDCOL_TIMEOUT)
}

@Test func aCancelledClient() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url, ["timeout_ms", "20000"]).handle)
    defer { release(client) }
    redis.freeze()
    let shared = Shared(value: client)
    let waiting = inThread { acknowledge(shared.value, "s", "g", "1-1") }
    usleep(100_000)
    #expect(cancel(client) == REDCOL_OK)
    #expect(waiting()?.status == REDCOL_ERROR_CANCELLED)
    redis.resume()
    #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_NO_GROUP)
}

@Test func oneCallAtATime() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...3)
    let client = try #require(open(redis.url, ["timeout_ms", "20000"]).handle)
    let iter = try #require(read(client, "s").handle)
    defer { for handle in [client, iter] { release(handle) } }
    redis.freeze()
    let shared = Shared(value: iter)
    let waiting = inThread { next(shared.value) }
    usleep(100_000)
    #expect(waitUntilBusy(iter))
    redis.resume()
    #expect(waiting()?.rows.count == 3)
    #expect(next(iter).status == REDCOL_END)
}

@Test func closingAnIteratorThatWaits() throws {
    let redis = try TemporaryRedis()
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "follow", "true").handle)
    defer { for handle in [client, iter] { release(handle) } }
    let shared = Shared(value: iter)
    let waiting = inThread { next(shared.value) }
    usleep(100_000)
    #expect(waitUntilBusy(iter))
    #expect(close(iter) == REDCOL_ERROR_BUSY)
    #expect(waiting()?.status == REDCOL_ERROR_CANCELLED)
    #expect(close(iter) == REDCOL_OK)
    #expect(next(iter).status == REDCOL_ERROR_CLOSED)
}

@Test func manyThreadsUseOneClient() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...100)
    let client = try #require(open(redis.url).handle)
    defer { release(client) }
    let shared = Shared(value: client)
    let threads = (0..<8).map { _ in
        inThread { () -> Int in
            var rows = 0
            for _ in 0..<10 {
                let iter = read(shared.value, "s", "batch_rows", "30").handle
                while true {
                    let batch = next(iter)
                    guard batch.status == REDCOL_OK else { break }
                    rows += batch.rows.count
                }
                release(iter)
                _ = acknowledge(shared.value, "s", "g", "1-1")
            }
            return rows
        }
    }
    #expect(threads.allSatisfy { $0() == 1_000 })
}

@Test func aSignalEndsAWait() async throws {
    let redis = try TemporaryRedis()
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        signal(SIGUSR1) { _ in }
        // The threads that run tests block signals.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGUSR1)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        let client = open(url).handle
        let iter = Shared(value: read(client, "s", "follow", "true").handle)
        let main = Shared(value: pthread_self())
        let sender = inThread { () -> Bool in
            usleep(200_000)
            return pthread_kill(main.value, SIGUSR1) == 0
        }
        let began = ContinuousClock.now
        #expect(next(iter.value, waitMs: 20_000).status == REDCOL_TIMEOUT)
        #expect(ContinuousClock.now - began < .seconds(10))
        #expect(sender() == true)
        #expect(next(iter.value, waitMs: 1).status == REDCOL_TIMEOUT)
        for handle in [client, iter.value] { release(handle) }
    }
}

@Test func aForkedChildIsRefused() async throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...20)
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        let client = open(url).handle
        let iter = read(client, "s", "batch_rows", "5", "page_rows", "5").handle
        #expect(next(iter).rows.count == 5)
        // Swift hides fork, which a program in C may well call.
        typealias Fork = @convention(c) () -> Int32
        let fork = unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)
        let child = fork()
        if child == 0 {
            var array = ArrowArray()
            let statuses = [
                redcol_iter_next(iter, -1, nil, &array, nil),
                redcol_ack(client, "s", -1, "g", -1, "1-1", -1, nil, nil),
                redcol_cancel(iter.map { UnsafeMutableRawPointer($0) }),
                redcol_close(client.map { UnsafeMutableRawPointer($0) }),
            ]
            release(iter)
            release(client)
            _exit(statuses.allSatisfy { Int($0) == REDCOL_ERROR_FORKED } ? 0 : 1)
        }
        var status: Int32 = -1
        waitpid(child, &status, 0)
        #expect(status == 0)
        // The parent was not disturbed.
        #expect([5, 5, 5].allSatisfy { next(iter).rows.count == $0 })
        #expect(next(iter).status == REDCOL_END)
        for handle in [client, iter] { release(handle) }
    }
}
