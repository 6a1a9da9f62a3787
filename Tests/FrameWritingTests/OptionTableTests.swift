// SPDX-License-Identifier: Apache-2.0
// The tables of options: the parser of its room takes every row, with the range, the words and the
// default that the row says.

import Testing

@testable import FrameWriting
@testable import RedcolBase
@testable import RedisConnection
@testable import StreamInspection
@testable import StreamReading

/// Values that a row allows, and some that it refuses.
private func samples(_ option: Option) -> (good: [String], bad: [String]) {
    switch option.nameText {
    case "address_map": return (["a:1=b:2", "a=b"], ["", "a"])
    case "timestamp_format": return (["l", "tsm:UTC"], ["", "tsu:UTC", "L"])
    default: break
    }
    switch option.kind {
    case .text, .id: return (["1-1", "2-2"], [])
    case .name: return (["a"], [""])
    case .boolean: return (["true", "false"], ["", "True", "1"])
    case .integer(let least, let most):
        let tooMuch = most == .max ? "9223372036854775808" : "\(most + 1)"
        return (["\(least)", "\(least + 1)"], ["\(least - 1)", tooMuch, "", "x"])
    case .word(let words):
        let list = "\(words)".split(separator: " ").map { String($0) }
        return (list, ["", "\(words) ", list[0].uppercased()])
    case .netstrings: return (["", "1:a,0:,"], ["1:a", "x"])
    }
}

private func key(_ option: Option) -> String {
    option.nameText.replacing(":N", with: ":0")
}

/// What an option needs beside itself to have an effect.
private func companions(_ option: Option, _ value: String) -> [(key: String, value: String)] {
    var pairs: [(key: String, value: String)] = []
    let letters = ["max_deliveries": "dead_letter", "dead_letter": "max_deliveries"]
    let needsGroup = option.need == .group || value == "dead_letter"
    if needsGroup || option.nameText == "consumer" { pairs.append(("group", "g")) }
    if needsGroup || option.nameText == "group" { pairs.append(("consumer", "c")) }
    if option.need == .follow { pairs.append(("follow", "true")) }
    if let other = letters[option.nameText] { pairs.append((other, "3")) }
    if ["ssl_keyfile", "ssl_password"].contains(option.nameText) {
        pairs.append(("ssl_certfile", "c"))
    }
    if option.nameText == "sentinel_username" { pairs.append(("sentinel_password", "p")) }
    if value == "dead_letter" { pairs.append(("dead_letter", "d")) }
    if option.nameText.hasPrefix("fence_"), option.nameText != "fence_key" {
        pairs.append(("fence_key", "k"))
    }
    if option.nameText == "dump_entries_max" { pairs.append(("transfer", "dump")) }
    if option.nameText == "approximate" { pairs.append(("maxlen", "3")) }
    return pairs
}

/// Each row against the parser `parse`, whose result is looked at as text.
private func check<Table: OptionTable>(
    _: Table.Type, _ parse: ([(key: String, value: String)]) throws -> String
) throws {
    #expect(Set(Table.allCases.map { $0.option.nameText }).count == Table.allCases.count)
    for option in Table.allCases.map({ $0.option }) {
        let name = option.nameText
        let (good, bad) = samples(option)
        var seen: Set<String> = []
        for value in good {
            let others = companions(option, value)
            let found = try parse(others + [(key(option), value)])
            seen.insert(found)
        }
        #expect(seen.count == good.count, "\(name): each value means something of its own")
        if case .integer(_, let most) = option.kind {
            _ = try parse(companions(option, "") + [(key(option), "\(most)")])
        }
        // The default means what not giving the option means.
        if let standard = option.standard {
            let others = companions(option, "\(standard)")
            let given = try parse(others + [(key(option), "\(standard)")])
            #expect(given == (try parse(others)), "\(name)")
        }
        for value in bad {
            let error = #expect(throws: RedcolError.self) {
                _ = try parse(companions(option, "") + [(key(option), value)])
            }
            #expect(error?.cause == .invalidArgument)
            #expect(error?.message.contains("\(key(option)) is \"\(value)\"") == true)
        }
        let unknown = #expect(throws: RedcolError.self) { _ = try parse([(name + "x", "")]) }
        #expect(unknown?.message.contains("there is no option \"\(name)x\"") == true)
        #expect(unknown?.message.contains("; there are \(name)") == true)
    }
}

/// The options as text, without which of them were given.
private func shown(_ options: Any) -> String {
    Mirror(reflecting: options).children
        .filter { !($0.label ?? "").hasSuffix("Option") }
        .map { "\($0.label ?? ""): \($0.value)" }
        .joined(separator: "; ")
}

@Test func optionsOfAClient() throws {
    try check(ClientOption.self) {
        let isOfCluster = $0.contains { $0.key == "address_map" }
        var endpoint = try Endpoint(
            url: isOfCluster ? "rediss://host" : "rediss+sentinel://host/service")
        let options = try ClientOptions($0, for: &endpoint)
        let tls = try #require(endpoint.server.tls)
        let found = "\(options) \(endpoint.addressMap) \(endpoint.readSource ?? .primary)"
        guard case .service(let service) = endpoint.server.address else { return found }
        return "\(found) \(service.login) \(shown(tls.options))"
    }
}

@Test func optionsOfARead() throws {
    try check(ReadOption.self) { shown(try ReadOptions($0)) }
}

@Test func optionsOfHashes() throws {
    try check(HashOption.self) { "\(try HashOptions($0))" }
    try check(PublishOption.self) { pairs in
        let isByColumn = pairs.contains { $0.key == "channel_column" }
        return "\(try PublishOptions(channel: isByColumn ? nil : [], pairs))"
    }
}

@Test func optionsOfEntries() throws {
    let stream = Array("s".utf8)
    try check(EntryOption.self) { pairs in
        // One of the two names the stream.
        let hasColumn = pairs.contains { $0.key == "stream_column" }
        return "\(try EntryOptions(stream: hasColumn ? nil : stream, pairs))"
    }
}

@Test func optionsOfLists() throws {
    try check(ListOption.self) { pairs in
        // The group of a consumer is no option here.
        let own = pairs.filter { $0.key != "group" }
        let isOfGroups = own.contains { $0.key.hasPrefix("exact") }
        return "\(try ListOptions(own, for: isOfGroups ? .groups : .pending))"
    }
    try check(PartitionOption.self) { "\(try ListOptions($0, for: .partitions))" }
    let misplaced = [(key: "exact", value: "true")]
    let error = #expect(throws: RedcolError.self) { try ListOptions(misplaced, for: .pending) }
    #expect(error?.message.contains("exact has no effect") == true)
}

@Test(arguments: ReadOption.allCases)
func whatAnOptionNeeds(_ name: ReadOption) throws {
    let option = name.option
    let value = samples(option).good[0]
    let alone = [(key: key(option), value: value)]
    switch option.need {
    case .group, .follow:
        let error = #expect(throws: RedcolError.self) { try ReadOptions(alone) }
        #expect(error?.message.contains("\(option.nameText) is about") == true)
    case .manyStreams: #expect(try ReadOptions(alone).manyStreamsOption == option.nameText)
    case .schema: #expect(try ReadOptions(alone).schemaOption == option.nameText)
    case .noSchema: #expect(try ReadOptions(alone).noSchemaOption == option.nameText)
    case .groupList, .pendingList, nil:
        let options = try ReadOptions(companions(option, value) + alone)
        #expect(options.manyStreamsOption == nil && options.noSchemaOption == nil)
        #expect(options.schemaOption == nil)
    }
}
