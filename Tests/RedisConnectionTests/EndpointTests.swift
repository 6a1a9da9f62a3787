// SPDX-License-Identifier: Apache-2.0
// URLs taken apart: what each part becomes, what is refused and why, and that no password is shown.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

private struct Good: CustomTestStringConvertible, Sendable {
    var url: String
    var host: String?
    var port: UInt16 = 6379
    var path: String?
    var user = ""
    var password: String?
    var database = 0

    var testDescription: String { url }
}

private let goodURLs: [Good] = [
    Good(url: "redis://", host: "localhost"),
    Good(url: "redis://example.org", host: "example.org"),
    Good(url: "REDIS://example.org/", host: "example.org"),
    Good(url: "valkey://example.org:7000", host: "example.org", port: 7000),
    Good(url: "redis://example.org:/3", host: "example.org", database: 3),
    Good(url: "redis://:6380", host: "localhost", port: 6380),
    Good(
        url: "redis://ada:secret@example.org:65535/15", host: "example.org", port: 65535,
        user: "ada", password: "secret", database: 15),
    Good(url: "redis://:secret@example.org", host: "example.org", password: "secret"),
    Good(
        url: "redis://a%40b:p%40%3A%3f%2F%23%25@h%2Dost", host: "h-ost", user: "a@b",
        password: "p@:?/#%"),
    Good(url: "redis://:a:b@host", host: "host", password: "a:b"),
    Good(url: "redis://:a@b@host", host: "host", password: "a@b"),
    Good(url: "redis://:a?b@host?db=1", host: "host", password: "a?b", database: 1),
    Good(url: "redis://[::1]", host: "::1"),
    Good(
        url: "redis://u:p@[2001:db8::1]:7000/2", host: "2001:db8::1", port: 7000, user: "u",
        password: "p", database: 2),
    Good(url: "redis://host/4?db=4", host: "host", database: 4),
    Good(url: "redis://host/?db=2147483647", host: "host", database: 2_147_483_647),
    Good(
        url: "redis://a:d%26e@host?username=a&password=d%26e", host: "host", user: "a",
        password: "d&e"),
    Good(url: "redis://host?username=c&password=d", host: "host", user: "c", password: "d"),
    Good(url: "redis://host?password=p@ss", host: "host", password: "p@ss"),
    Good(url: "redis://host/1#fragment", host: "host", database: 1),
    Good(url: "redis://host/7/", host: "host", database: 7),
    Good(url: "redis://host/7/?db=7", host: "host", database: 7),
    Good(url: "unix:///run/redis.sock", path: "/run/redis.sock"),
    Good(url: "unix:///run/with%20space.sock?db=3", path: "/run/with space.sock", database: 3),
    Good(
        url: "unix://ada:secret@/run/redis.sock?db=2", path: "/run/redis.sock", user: "ada",
        password: "secret", database: 2),
    Good(
        url: "unix:///run/redis.sock?username=ada&password=secret", path: "/run/redis.sock",
        user: "ada", password: "secret"),
]

@Test(arguments: goodURLs)
private func partsOfAURL(_ good: Good) throws {
    let endpoint = try Endpoint(url: good.url)
    switch endpoint.server.address {
    case .tcp(let host, let port):
        #expect(host == good.host)
        #expect(port == good.port)
    case .unix(let path): #expect(path == good.path)
    case .service: Issue.record("a service")
    case .file: Issue.record("a file")
    }
    #expect(endpoint.login.user == utf8(good.user))
    #expect(endpoint.login.password == good.password.map { utf8($0) })
    #expect(endpoint.login.database == good.database)
    if let password = good.password, password.count > 2 {
        #expect(!endpoint.shown.contains(password))
    }
}

@Test func endpointsAreShownWithoutCredentials() throws {
    #expect(try Endpoint(url: "redis://u:p@[::1]:7000/2").shown == "redis://[::1]:7000")
    #expect(try Endpoint(url: "redis://u:p@host").shown == "redis://host:6379")
    #expect(try Endpoint(url: "unix://u:p@/run/s?db=1").shown == "unix:///run/s")
}

@Test(arguments: [
    ("", "no scheme"),
    ("localhost:6379", "no scheme"),
    ("redis:/host", "no scheme"),
    ("http://host", "the scheme must be"),
    ("://host", "the scheme must be"),
    ("redis://ho\0st", "NUL byte"),
    ("redis://h%00ost", "%00"),
    ("redis://ada@host", "a user but no password"),
    ("redis://host:port", "its port is not a number"),
    ("redis://host:0", "its port is 0"),
    ("redis://host:65536", "its port is not a number from 0 to 65535"),
    ("redis://host:+1", "its port"),
    ("redis://host:99999999999999999999", "its port"),
    ("redis://host/x", "its database is not a number"),
    ("redis://host/-1", "its database"),
    ("redis://host/1/2", "its database"),
    ("redis://host/1//", "its database"),
    ("redis://host?db=", "its database"),
    ("redis://host?db=2147483648", "its database"),
    ("redis://host/2?db=3", "two different databases"),
    ("redis://host?db=6&db=7", "the parameter db twice"),
    ("redis://a:b@host?username=c", "two different users"),
    ("redis://a:b@host?password=c", "two different passwords"),
    ("redis://u:p@x@a:1,b:2", "before the first host"),
    ("redis://[::1", "no closing bracket"),
    ("redis://[]", "IPv6 address is empty"),
    ("redis://[::1]7000", "something that is not a port"),
    ("redis://::1", "in brackets"),
    ("redis://ho st", "a space or control character"),
    ("redis://host%", "two hexadecimal digits"),
    ("redis://host%2", "two hexadecimal digits"),
    ("redis://host%zz", "two hexadecimal digits"),
    ("redis://host?timeout=5", "unknown parameter \"timeout\""),
    ("redis://:pass#word@host", "must be percent-encoded"),
    ("redis://ada:pass/word@host", "must be percent-encoded"),
    ("redis://ada:p@ss/word@host/1", "must be percent-encoded"),
    ("redis://host?password=pass#word", "must be percent-encoded"),
    ("rediss://host?ssl_ca_certs=/ca.pem#x", "a # in a parameter, must be percent-encoded"),
    ("unix://:pass#word@/path", "must be percent-encoded"),
    ("unix://relative/path", "absolute path"),
    ("unix://", "absolute path"),
])
func urlsThatCannotBeRight(_ url: String, _ reason: String) {
    let error = #expect(throws: RedcolError.self) { try Endpoint(url: url) }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("Examples: redis://") == true)
}

@Test(arguments: ["", "10.0.0.1", "a:1=", "=b:2", "a:1=b:2,", "a:1=b:2=c:3", "a:x=b:2"])
func addressesThatCannotBeRight(_ text: String) throws {
    var endpoint = try Endpoint(url: "redis://a")
    let error = #expect(throws: RedcolError.self) {
        _ = try ClientOptions([("address_map", text)], for: &endpoint)
    }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains("10.0.0.1:7000=127.0.0.1:17000") == true)
}

@Test func severalNodes() throws {
    let endpoint = try Endpoint(url: "rediss://u:p@a,b:2,[::1]:3?address_map=x:1%3Dy:2,z%3Dw")
    #expect(endpoint.shown == "rediss://a:6379")
    #expect(endpoint.otherServers.map { $0.shown } == ["rediss://b:2", "rediss://[::1]:3"])
    #expect(endpoint.addressMap.reached(utf8("x"), 1) == (utf8("y"), 2))
    #expect(endpoint.addressMap.reached(utf8("z"), 6_379) == (utf8("w"), 6_379))
    #expect(endpoint.addressMap.reached(utf8("x"), 2) == (utf8("x"), 2))
    #expect(endpoint.addressMap.named(utf8("y"), 2) == utf8("x"))
}

@Test(arguments: ["rediss://host", "valkeys://user:hunter2@host", "REDISS://host"])
func connectionsWithTLS(_ url: String) throws {
    let server = try Endpoint(url: url).server
    #expect(server.tls != nil)
    #expect(server.shown == "rediss://host:6379")
    #expect(try Endpoint(url: "redis://host").server.tls == nil)
    let service = try Endpoint(url: "rediss+sentinel://one,two/name").server
    #expect(service.shown == "rediss+sentinel://one:26379,two:26379/name")
    #expect(service.found(host: utf8("h"), port: 1, as: "master").tls === service.tls)
    guard case .service(let known) = service.address else { return }
    #expect(known.sentinels.allSatisfy { $0.tls === service.tls && $0.tls != nil })
}

@Test(arguments: [
    "ssl_ca_certs=/ca%20file.pem", "ssl_ca_path=/folder", "ssl_certfile=/c&ssl_keyfile=/k",
    "ssl_certfile=/c&ssl_password=hunter2", "ssl_cert_reqs=none", "ssl_check_hostname=False",
    "ssl_min_version=TLSv1.3",
])
func optionsOfTLSInAURL(_ query: String) throws {
    let plain = "\(try #require(try Endpoint(url: "rediss://host").server.tls).options)"
    var endpoint = try Endpoint(url: "rediss://host/2?db=2&\(query)")
    let tls = try #require(endpoint.server.tls)
    #expect("\(tls.options)" != plain)
    let refused = #expect(throws: RedcolError.self) { try Endpoint(url: "redis://host?\(query)") }
    #expect(refused?.message.contains("unknown parameter \"ssl_") == true)
    #expect(refused?.message.contains("begin the URL with rediss://") == true)
    // An option that is given holds instead.
    _ = try ClientOptions([("ssl_cert_reqs", "required")], for: &endpoint)
    #expect(("\(tls.options)" == plain) == (query == "ssl_cert_reqs=none"))
}

@Test(arguments: [
    ("ssl_cert_reqs=hunter", "ssl_cert_reqs is"), ("ssl_check_hostname=2", "ssl_check_hostname is"),
    ("ssl_min_version=TLSv1", "ssl_min_version is"), ("ssl_ca_certs=", "ssl_ca_certs is"),
    ("ssl_x=1", "unknown parameter"), ("ssl_cert_reqs=none&ssl_cert_reqs=none", "twice"),
])
func optionsOfTLSThatCannotBeRight(_ query: String, _ reason: String) {
    let error = #expect(throws: RedcolError.self) { try Endpoint(url: "rediss://host?\(query)") }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
}

/// No host is checked where any certificate is trusted. The files of authorities are often given
/// all the same.
@Test func hostsOfCertificatesThatAreNotChecked() throws {
    for (inURL, checks) in [(true, true), (false, true), (true, false), (false, false)] {
        var url = "rediss://host?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none"
        if inURL { url += "&ssl_check_hostname=\(checks)" }
        var endpoint = try Endpoint(url: url)
        let pairs = inURL ? [] : [(key: "ssl_check_hostname", value: "\(checks)")]
        let parse = { _ = try ClientOptions(pairs, for: &endpoint) }
        if checks {
            let error = #expect(throws: RedcolError.self, performing: parse)
            #expect(error?.message.contains("ssl_check_hostname cannot be true where") == true)
        } else {
            try parse()
        }
    }
}

@Test func optionsOfTCPNeedTCP() throws {
    var local = try Endpoint(url: "unix:///path")
    let pairs = [(key: "keepalive_ms", value: "1000")]
    let error = #expect(throws: RedcolError.self) { try ClientOptions(pairs, for: &local) }
    #expect(error?.message.contains("keepalive_ms is about TCP") == true)
    for url in ["redis://host", "redis+sentinel://host/service"] {
        var endpoint = try Endpoint(url: url)
        #expect(try ClientOptions(pairs, for: &endpoint).timeouts.keepaliveMs == 1_000)
    }
}

@Test func optionsOfTLSNeedTLS() throws {
    var endpoint = try Endpoint(url: "redis+sentinel://host/service")
    let error = #expect(throws: RedcolError.self) {
        try ClientOptions([("ssl_ca_certs", "/ca.pem")], for: &endpoint)
    }
    #expect(error?.message == "ssl_ca_certs needs TLS: begin the URL with rediss://")
}

/// Each has the password hunter2, at a place where something else is wrong.
@Test(arguments: [
    "http://:hunter2@host", "redis://:hunter2@host:port", "redis://:hunter2@host/x",
    "redis://:hunter2@[::1", "redis://:hunter2@ho st", "redis://:hunter2%@host",
    "redis://:hunter2%zz@host", "redis://:hunter2%00@host", "redis://:hunter2@host?x=1",
    "redis://user:hunter2/x@host", "redis://:hunter2#x@host", "redis://user:9?hunter2@host",
    "redis://:6379?hunter2@host", "redis://:6379?hunter2&x@host", "redis://:6379/hunter2@host",
    "redis://:6379/1?hunter2&x@host", "redis://hunter2@host", "redis://host?password=hunter2&x=1",
    "redis://host?passwd=hunter2", "unix://:hunter2@relative", "unix://:hunter2@/path?db=x",
    ":hunter2@host", "redis:/:hunter2@host", "rediss://:6379?ssl_cert_reqs=hunter2&x@host",
])
func passwordsAreInNoMessage(_ url: String) {
    let error = #expect(throws: RedcolError.self) { try Endpoint(url: url) }
    #expect(error?.message.contains("hunter2") == false, "\(error?.message ?? "")")
}
