// SPDX-License-Identifier: Apache-2.0
// What a server sent, as text for people: no form of the credentials is in it.

import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import RedisConnection

private func shown(_ url: String, _ text: [UInt8], limit: Int = 80, mayGoOn: Bool = false) throws
    -> String
{
    try Endpoint(url: url).secrets.shown(text, limit: limit, mayGoOn: mayGoOn)
}

@Test(arguments: [
    ("redis://:hunter2@host", "+hunter2", "+***"),
    ("redis://:hunter2@host", "hunter2hunter2!", "******!"),
    ("redis://:hun%74er2@host", "hunter2 hun%74er2", "*** ***"),
    ("redis://host?password=hun%74er2", "hunter2 hun%74er2", "*** ***"),
    ("redis://:p%0A%22z@host", #"<p\n\"z> <p\x0a"z> <p "z>"#, "<***> <***> <***>"),
    ("redis://:%C3%BC-key@host", #"\xc3\xbc-key %C3%BC-key"#, "*** ***"),
    (
        "redis://reader:pw-1@host", "User reader has no key 'readers:1'",
        "User *** has no key 'readers:1'"
    ),
    ("redis://host?username=reader&password=pw-1", "reader:pw-1", "***:***"),
    ("redis://default:pw-1@host", "the default user", "the default user"),
    ("redis://host", "anything", "anything"),
    ("redis://:@host", "anything", "anything"),
])
func credentialsAreReplaced(_ url: String, _ text: String, _ expected: String) throws {
    #expect(try shown(url, utf8(text)) == expected)
}

@Test func aSecretThatIsCut() throws {
    let url = "redis://:hunter2@host"
    for cut in 2..<7 {
        let text = utf8("+" + "hunter2".prefix(cut))
        #expect(try shown(url, text, mayGoOn: true) == "+***", "\(cut)")
        // What is whole, and not the password, is shown.
        #expect(try shown(url, text) == "+" + "hunter2".prefix(cut))
    }
    for limit in 0..<30 {
        let text = try shown(url, utf8("0123456789hunter2 and more"), limit: limit)
        #expect(!text.contains("hu"), "\(text)")
    }
}

/// A server may still speak of what the connection before has used.
@Test func earlierCredentialsAreReplaced() {
    var secrets = Secrets.none
    let all = (0..<8).map { (user: utf8("user\($0)"), password: utf8("hunter-\($0)")) }
    for (user, password) in all {
        secrets = Secrets(
            user: user, password: password, raw: (user, password), earlier: secrets)
        // The same again takes no place.
        secrets = Secrets(
            user: user, password: password, raw: (user, password), earlier: secrets)
    }
    for (number, one) in all.enumerated() {
        let isKept = number >= 3
        for text in [one.user, one.password] {
            let plain = String(decoding: text, as: UTF8.self)
            #expect(secrets.shown(text, limit: 80) == (isKept ? "***" : plain))
        }
    }
    // The longest is found where another one is its beginning.
    let longer = Secrets(
        user: [], password: utf8("hunter"), raw: ([], []), earlier: secrets)
    #expect(longer.shown(utf8("hunter-7 hunter"), limit: 80) == "*** ***")
}

@Test func aPasswordInPlaceOfAnErrorCode() throws {
    let endpoint = try Endpoint(url: "redis://:SECRET@host")
    let error = RedcolError.server(utf8("SECRET is yours"), endpoint: endpoint, asked: "XACK")
    #expect(!error.message.contains("SECRET"))
    #expect(error.details.isEmpty)
}
