// SPDX-License-Identifier: Apache-2.0
// The search for keys, and lists of their names, without a server.

import RedisConnection
import TestSupport
import Testing

@testable import RedisTopology

private func names(_ list: NameList) -> [[UInt8]] { (0..<list.count).map { Array(list[$0]) } }

@Test func namesInOrder() {
    var generator = SeededGenerator(3)
    for _ in 0..<300 {
        let given = (0..<generator.below(40)).map { _ in
            (0..<generator.below(4)).map { _ in generator.pick([0, 1, 0x7F, 0x80, 0xFF] as [UInt8])
            }
        }
        #expect(names(NameList(given)) == given)
        let expected = Set(given).sorted { $0.lexicographicallyPrecedes($1) }
        #expect(names(NameList(given).sortedAndUnique()) == expected)
    }
}

@Test func theKeysThatAreFound() {
    var scan = KeyScan(pattern: utf8("a*"), count: 7)
    #expect(
        scan.commands.map { $0.arguments }
            == [["SCAN", "0", "MATCH", "a*", "COUNT", "7", "TYPE", "stream"].map { utf8($0) }])
    func page(_ cursor: String, _ keys: String...) -> Reply {
        .array([.bulk(utf8(cursor)), .array(keys.map { .bulk(utf8($0)) })])
    }
    func isTaken(_ reply: Reply) -> Bool { scan.take(reply) }
    #expect(isTaken(page("18446744073709551615", "ab", "a")))
    #expect(scan.commands[0].arguments[1] == utf8("18446744073709551615"))
    #expect(isTaken(page("5")) && !scan.isDone)
    // A cursor belongs to one run of the server.
    scan.interrupted()
    #expect(scan.commands[0].arguments[1] == utf8("0"))
    #expect(isTaken(page("0", "a", "", "aa", "ab")) && scan.isDone)
    #expect(names(scan.sortedKeys()) == ["", "a", "aa", "ab"].map { utf8($0) })
    for wrong in [
        .null, page(""), page("-1"), page("184467440737095516150"), .array([.bulk(utf8("0"))]),
        .array([.integer(WireInteger(0)), .array([])]),
        .array([.bulk(utf8("0")), .array([.integer(WireInteger(1))])]),
    ] as [Reply] {
        #expect(!isTaken(wrong))
    }
}

@Test func theKeysOfOtherTypes() {
    var scan = KeyScan(pattern: utf8("*"), count: 7, countsOthers: true)
    func asked() -> [[UInt8]] { scan.commands.map { $0.arguments[1] } }
    func take(_ cursor: String, _ keys: String...) -> Bool {
        scan.take(.array([.bulk(utf8(cursor)), .array(keys.map { .bulk(utf8($0)) })]))
    }
    #expect(scan.commands.map { $0.arguments.count } == [8, 6])
    #expect(take("5", "a") && !scan.isDone && asked() == [utf8("0"), utf8("0")])
    #expect(take("5", "a", "x", "y") && asked() == [utf8("5"), utf8("5")])
    // Lost between two answers: begun again, and each key counts once.
    #expect(take("0", "b") && !scan.isDone)
    scan.interrupted()
    #expect(take("5", "a") && take("5", "x", "a") && !scan.isDone && asked()[0] == utf8("5"))
    // The first answer says where to continue.
    #expect(take("0", "b") && take("9", "z", "b") && scan.isDone)
    #expect(names(scan.sortedKeys()) == ["a", "b"].map { utf8($0) } && scan.otherKeys == 3)
}

@Test func theKeysOfANodeThatSlotsCameTo() {
    func slots(_ mine: String) -> Reply {
        .bulk(utf8("aa 127.0.0.1:1@2 myself,master - 0 0 1 connected \(mine)\n"))
    }
    func scanned(_ before: Reply, _ now: Reply) -> (commands: [[Int]], keys: [[UInt8]]) {
        var scan = KeyScan(pattern: utf8("*"), count: 7, ofNode: true)
        var commands: [[Int]] = []
        func take(_ replies: Reply...) {
            commands.append(scan.commands.map { $0.arguments.count })
            for reply in replies where !scan.take(reply) { commands.append([]) }
        }
        func page(_ cursor: String, _ key: String) -> Reply {
            .array([.bulk(utf8(cursor)), .array([.bulk(utf8(key))])])
        }
        take(before, page("5", "a"))
        take(page("0", "b"))
        guard scan.isDone, scan.lookAgain(), !scan.isDone else { return (commands, []) }
        take(now)
        while !scan.isDone { take(page("0", "c")) }
        return (commands, names(scan.sortedKeys()))
    }
    #expect(scanned(slots("0-9"), slots("0-9")) == ([[2, 8], [8], [2]], ["a", "b"].map(utf8)))
    #expect(
        scanned(slots("0-9"), slots("0-10")) == (
            [[2, 8], [8], [2], [8]], ["a", "b", "c"].map(utf8)
        ))
    // Who may not ask for the slots finds what is there.
    let denied = Reply.error(utf8("NOPERM"))
    #expect(scanned(denied, denied) == ([[2, 8], [8]], []))
    #expect(scanned(slots("0-9"), denied) == ([[2, 8], [8], [2]], ["a", "b"].map(utf8)))
}

@Test(arguments: [("a", true), ("", true), ("a*", false), ("[a]", false), ("\\a", false)])
func aPatternThatIsAKey(pattern: String, isKey: Bool) {
    let scan = KeyScan(pattern: utf8(pattern), count: 1)
    #expect(scan.isDone == isKey)
    #expect(names(scan.sortedKeys()) == (isKey ? [utf8(pattern)] : []))
}
