// SPDX-License-Identifier: Apache-2.0
// Many threads that connect at once: what they share, and the threads that the library starts for
// them. With ThreadSanitizer these look for races.

import CRedcol
import Foundation
import TestSupport
import Testing

/// Connects and reads three entries, four times in each of eight threads; how often that failed.
private func failures(_ connect: @escaping @Sendable () -> Outcome) -> Int {
    let threads = (0..<8).map { _ in
        inThread { () -> Int in
            var failed = 0
            for _ in 0..<4 {
                let client = connect().handle
                let iter = client.flatMap { read($0, "s").handle }
                failed += iter != nil && next(iter).rows.count == 3 ? 0 : 1
                release(iter)
                release(client)
            }
            return failed
        }
    }
    return threads.reduce(0) { $0 + ($1() ?? 4) }
}

private func freePort() -> UInt16 {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { Glibc.close(probe) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutableBytes(of: &address) { bytes in
        let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
        guard bind(probe, pointer, length) == 0, getsockname(probe, pointer, &length) == 0 else {
            return 0
        }
        return UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self))
    }
}

/// A file of a test's own, which is removed with it.
private final class TemporaryFile {
    let path = "/tmp/redcol-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    deinit { unlink(path) }
}

private func openWithCredentials(
    _ url: String, _ credentials: OpaquePointer?, _ options: [String] = []
) -> Outcome {
    var client: OpaquePointer?
    var error: OpaquePointer?
    let status = withWords(options) {
        redcol_open_with_credentials(url, $0, credentials, &client, &error)
    }
    return outcome(status, error, handle: client)
}

private func newCredentials(slow: Bool) -> OpaquePointer? {
    var credentials: OpaquePointer?
    let status = redcol_credentials_new(
        { request, data in
            if data != nil { usleep(10_000) }
            return redcol_credentials_set(request, "app", -1, "one", -1, nil)
        }, slow ? UnsafeMutableRawPointer(bitPattern: 1) : nil, nil, &credentials, nil)
    #expect(status == REDCOL_OK)
    return credentials
}

private func serverWithUser() throws -> TemporaryRedis {
    let redis = try TemporaryRedis()
    try redis.run("ACL", "SETUSER", "app", "on", ">one", "~*", "+@all")
    try redis.addEntries("s", 1...3)
    return redis
}

@Test func manyConnectionsAskOneFunction() throws {
    let redis = try serverWithUser()
    let credentials = newCredentials(slow: false)
    let shared = Shared(value: credentials)
    let url = redis.url
    let options = ["connect_timeout_ms", "60000"]
    #expect(failures { openWithCredentials(url, shared.value, options) } == 0)
    // One client, whose connections begin in many threads.
    let client = Shared(value: openWithCredentials(url, credentials).handle)
    let reads = (0..<8).map { _ in inThread { reading(client.value) } }
    #expect(reads.allSatisfy { $0() == 30 })
    release(client.value)
    release(credentials)
}

/// Ten reads; how many entries they had.
private func reading(_ client: OpaquePointer?) -> Int {
    (0..<10).reduce(0) { rows, _ in
        let iter = read(client, "s").handle
        defer { release(iter) }
        return rows + next(iter).rows.count
    }
}

/// Callers that have gone before the function returns, and credentials that are freed meanwhile.
@Test func functionsThatNobodyWaitsFor() throws {
    let redis = try serverWithUser()
    let url = redis.url
    let threads = (0..<8).map { _ in
        inThread { () -> Bool in
            let credentials = newCredentials(slow: true)
            let outcome = openWithCredentials(url, credentials, ["connect_timeout_ms", "5"])
            release(credentials)
            release(outcome.handle)
            return [REDCOL_OK, REDCOL_ERROR_TIMED_OUT].contains(outcome.status)
        }
    }
    #expect(threads.allSatisfy { $0() == true })
}

@Test func manyConnectionsReadOneFile() throws {
    let redis = try serverWithUser()
    let file = TemporaryFile()
    try "one\n".write(toFile: file.path, atomically: true, encoding: .utf8)
    let url = redis.url.replacing("unix://", with: "unix://app@")
    let options = ["password_file", file.path, "connect_timeout_ms", "60000"]
    #expect(failures { open(url, options) } == 0)
}

@Test func manyConnectionsLookUpAName() throws {
    let port = freePort()
    let redis = try TemporaryRedis("--port", "\(port)", "--bind", "127.0.0.1")
    try redis.addEntries("s", 1...3)
    let url = "redis://localhost:\(port)"
    #expect(failures { open(url, ["connect_timeout_ms", "60000"]) } == 0)
    // Some have gone before the name is resolved.
    let threads = (0..<8).map { _ in
        inThread { () -> Bool in
            let outcome = open(url, ["connect_timeout_ms", "1"])
            release(outcome.handle)
            return [REDCOL_OK, REDCOL_ERROR_TIMED_OUT].contains(outcome.status)
        }
    }
    #expect(threads.allSatisfy { $0() == true })
}

@Test func manyConnectionsShareWhatTLSNeeds() throws {
    let (certificate, key) = (TemporaryFile(), TemporaryFile())
    let openssl = Process()
    openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    openssl.arguments = [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
        "/CN=localhost", "-days", "2", "-keyout", key.path, "-out", certificate.path,
    ]
    openssl.standardError = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    let port = freePort()
    let redis = try TemporaryRedis(
        "--tls-port", "\(port)", "--tls-cert-file", certificate.path, "--tls-key-file", key.path,
        "--tls-ca-cert-file", certificate.path, "--tls-auth-clients", "no")
    try redis.addEntries("s", 1...3)
    let url = "rediss://localhost:\(port)?ssl_ca_certs=\(certificate.path)"
    // Each client has a context of its own, and one client one for its connections.
    #expect(failures { open(url, ["connect_timeout_ms", "60000"]) } == 0)
    let client = Shared(value: open(url).handle)
    let reads = (0..<8).map { _ in inThread { reading(client.value) } }
    #expect(reads.allSatisfy { $0() == 30 })
    release(client.value)
}
