// SPDX-License-Identifier: Apache-2.0
// Which key a command is about.

import Testing

@testable import RedisConnection

private func command(_ words: String) -> Command {
    var command = Command()
    for word in words.split(separator: " ") { command.add(String(word)) }
    return command
}

@Test(arguments: [
    ("XRANGE k - +", "k"),
    ("XACK k g 1-1", "k"),
    ("XINFO STREAM k", "k"),
    ("XGROUP CREATE k g 0 MKSTREAM", "k"),
    ("XREAD COUNT 9 STREAMS k l 0 0", "k"),
    ("XREADGROUP GROUP STREAMS STREAMS COUNT 9 STREAMS k >", "k"),
    ("EVAL text 2 k l", "k"),
    ("EXEC", nil),
    ("XREAD COUNT 9", nil),
])
func theKeyOfACommand(_ words: String, _ key: String?) {
    #expect(command(words).key.map { String(decoding: $0, as: UTF8.self) } == key)
}

@Test func transactions() {
    #expect(Command("MULTI").opensTransaction)
    #expect(!Command("MULTI").endsTransaction)
    #expect(Command("EXEC").endsTransaction)
    #expect(!Command("XADD").opensTransaction)
}
