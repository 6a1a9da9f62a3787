// SPDX-License-Identifier: Apache-2.0
// The exchange that begins a connection: what is sent, which refusals end it, and what may come in
// the place of a URL's password.

import RedcolBase
import TestSupport
import Testing

@testable import RedisConnection

private func endpoint(
    _ url: String, _ source: CredentialsSource = .url, name: String = ""
) throws -> Endpoint {
    var endpoint = try Endpoint(url: url, passwordIsElsewhere: source.isRenewed)
    endpoint.login = try endpoint.login.completed(source: source, name: utf8(name))
    return endpoint
}

private let setInfo = [
    ["CLIENT", "SETINFO", "lib-name", "redcol"],
    ["CLIENT", "SETINFO", "lib-ver", "\(Features.version)"],
]

private func sent(_ exchange: LoginExchange) -> [[String]] {
    exchange.awaited.map { $0.arguments.map { String(decoding: $0, as: UTF8.self) } }
}

@Test func whatALoginSends() throws {
    var exchange = LoginExchange()
    exchange.begin(try endpoint("redis://host").login)
    #expect(sent(exchange) == [["HELLO", "2"]] + setInfo)
    exchange.begin(try endpoint("redis://app:one@host/3", name: "loader").login)
    #expect(
        sent(exchange) == [["AUTH", "app", "one"], ["HELLO", "2"]] + setInfo
            + [["CLIENT", "SETNAME", "loader"], ["SELECT", "3"]])
}

@Test func refusalsOfWhatIsForPeopleEndNoLogin() throws {
    let endpoint = try endpoint("redis://:one@host/3", name: "loader")
    var exchange = LoginExchange()
    exchange.begin(endpoint.login)
    while let command = exchange.awaited.first {
        let isForPeople = command.name == "CLIENT"
        let reply = isForPeople ? Reply.error(utf8("NOPERM no")) : .status(utf8("OK"))
        try exchange.received(reply, from: endpoint)
    }
    #expect(exchange.isComplete)
    for refused in ["AUTH", "HELLO", "SELECT"] {
        exchange.begin(endpoint.login)
        while let command = exchange.awaited.first, command.name != refused {
            try exchange.received(.status(utf8("OK")), from: endpoint)
        }
        let error = #expect(throws: RedcolError.self) {
            try exchange.received(.error(utf8("NOPERM no")), from: endpoint)
        }
        #expect(error?.cause == .permission)
    }
}

@Test(arguments: ["NOAUTH needed", "WRONGPASS wrong", "ERR invalid password"])
func onlyFetchedCredentialsAreWorthAnotherTry(_ answer: String) throws {
    for (source, remedy) in [(CredentialsSource.url, Remedy.raise), (.file(path: "f"), .relocate)] {
        let error = RedcolError.server(
            utf8(answer), endpoint: try endpoint("redis://host", source), asked: "x")
        #expect(error.cause == .authentication)
        #expect(error.remedy == remedy)
        #expect(error.isWorthAnotherTry == (remedy == .relocate))
    }
}

@Test func aPasswordHasOneSource() throws {
    let file = CredentialsSource.file(path: "f")
    let provider = CredentialsSource.provider(CredentialsProvider({ _, _ in 0 }, nil, nil))
    #expect(try endpoint("redis://app@host", file).login.user == utf8("app"))
    #expect(try endpoint("redis://host", provider).login.user == [])
    for (url, source) in [
        ("redis://:one@host", file), ("redis://:one@host", provider),
        ("redis://app@host", provider), ("redis://app@host", .url),
    ] {
        let error = #expect(throws: RedcolError.self) { try endpoint(url, source) }
        #expect(error?.cause == .invalidArgument)
    }
}
