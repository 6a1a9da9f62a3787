// SPDX-License-Identifier: Apache-2.0
// URLs of services that Sentinels know: their parts, what is refused, and the options that may
// stand in them.

import RedcolBase
import TestSupport
import Testing

@testable import RedisConnection

private struct Good: CustomTestStringConvertible, Sendable {
    var url: String
    var shown: String
    var name = "mymaster"
    var password: String?
    var database = 0
    var sentinelUser = ""
    var sentinelPassword: String?
    var readsReplicas = false

    var testDescription: String { url }
}

private let goodURLs: [Good] = [
    Good(url: "redis+sentinel://a/mymaster", shown: "redis+sentinel://a:26379/mymaster"),
    Good(
        url: "REDIS+Sentinel://a:1,b,[::1]:3/mymaster/4",
        shown: "redis+sentinel://a:1,b:26379,[::1]:3/mymaster", database: 4),
    Good(
        url: "redis+sentinel:///mymaster?db=2", shown: "redis+sentinel://localhost:26379/mymaster",
        database: 2),
    Good(
        url: "redis+sentinel://u:secret@a,b/my%2Fmaster",
        shown:
            "redis+sentinel://a:26379,b:26379/my/master", name: "my/master", password: "secret"),
    Good(
        url: "redis+sentinel://a/mymaster?sentinel_username=s&sentinel_password=p%26q",
        shown: "redis+sentinel://a:26379/mymaster", sentinelUser: "s", sentinelPassword: "p&q"),
    Good(
        url: "redis+sentinel://a/mymaster?read_from=replica",
        shown: "redis+sentinel://a:26379/mymaster", readsReplicas: true),
]

@Test(arguments: goodURLs)
private func partsOfAServiceURL(_ good: Good) throws {
    let endpoint = try Endpoint(url: good.url)
    #expect(endpoint.shown == good.shown)
    #expect(endpoint.login.password == good.password.map { utf8($0) })
    #expect(endpoint.login.database == good.database)
    guard case .service(let service) = endpoint.server.address else {
        Issue.record("no service")
        return
    }
    #expect(service.name == utf8(good.name))
    #expect(service.login.user == utf8(good.sentinelUser))
    #expect(service.login.password == good.sentinelPassword.map { utf8($0) })
    #expect((endpoint.readSource == .replica) == good.readsReplicas)
    #expect(service.sentinels.allSatisfy { $0.isSentinel })
    let found = endpoint.server.found(host: utf8("::2"), port: 7, as: "master")
    #expect(found.shown == "redis://[::2]:7 (master of \"\(good.name)\")")
}

@Test(arguments: [
    ("redis+sentinel://a", "the name of the service"),
    ("redis+sentinel://a/", "the name of the service"),
    ("redis+sentinel://a/s/x", "database"),
    ("redis+sentinel://a:0/s", "port"),
    ("redis+sentinel://a,b:x/s", "port"),
    ("redis+sentinel://::1/s", "brackets"),
    ("redis+sentinel://a/s/1?db=2", "database"),
    ("redis+sentinel://a/s?read_from=master", "\"primary\", \"replica\" or \"any\""),
    ("redis+sentinel://a/s?sentinel=b", "sentinel_password"),
    ("redis+sentinel://u:p@a,u:p@b/s", "once, before the first host"),
    ("redis://a?sentinel_password=p", "unknown parameter"),
])
func serviceURLsThatAreRefused(_ url: String, _ said: String) throws {
    let error = #expect(throws: RedcolError.self) { try Endpoint(url: url) }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(said) == true, "\(error?.message ?? "")")
}

@Test func optionsAndURLSayTheSame() throws {
    let url = "redis+sentinel://a/s?sentinel_password=hidden&read_from=primary"
    var endpoint = try Endpoint(url: url)
    _ = try ClientOptions(
        [("sentinel_password", "hidden"), ("sentinel_username", "u")], for: &endpoint)
    guard case .service(let service) = endpoint.server.address else { return }
    #expect(service.login.user == utf8("u") && service.login.password == utf8("hidden"))
    for (name, value) in [("sentinel_password", "other"), ("read_from", "replica")] {
        let error = #expect(throws: RedcolError.self) {
            try ClientOptions([(name, value)], for: &endpoint)
        }
        #expect(error?.message.contains("\(name) is given as an option and in the URL") == true)
        #expect(error?.message.contains("hidden") == false)
    }
}

@Test func aUserOfTheSentinelsNeedsAPassword() throws {
    var endpoint = try Endpoint(url: "redis+sentinel://a/s?sentinel_username=u")
    let error = #expect(throws: RedcolError.self) { try ClientOptions([], for: &endpoint) }
    #expect(error?.message.contains("needs sentinel_password") == true)
}

@Test(arguments: [("sentinel_username", "u"), ("sentinel_password", "p")])
func optionsOfAServiceNeedOne(_ name: String, _ value: String) throws {
    var endpoint = try Endpoint(url: "redis://a")
    let error = #expect(throws: RedcolError.self) {
        try ClientOptions([(name, value)], for: &endpoint)
    }
    #expect(error?.message.contains("\(name) needs Sentinels") == true)
}
