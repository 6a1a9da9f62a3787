// SPDX-License-Identifier: Apache-2.0
// Options as text: what each becomes, what is refused, and the columns that follow from them.

import ArrowColumns
import RedcolBase
import TestSupport
import Testing

@testable import RedcolBase
@testable import RedisConnection
@testable import StreamReading

private func options(_ words: String...) throws(RedcolError) -> ReadOptions {
    try ReadOptions(
        stride(from: 0, to: words.count, by: 2).map { (key: words[$0], value: words[$0 + 1]) })
}

@Test func noOptions() throws {
    let plain = try options()
    #expect(plain.startID == "-" && plain.endID == "+" && plain.count == nil)
    #expect(plain.batchRows == 65_536 && plain.pageRows == 0 && plain.columnsMax == 10_000)
    #expect(plain.includeID && plain.includeTimestamp && plain.includeSequence == nil)
    #expect(plain.idColumn == "_id" && plain.timestampColumn == "_ts")
    #expect(plain.sequenceColumn == "_seq" && plain.onError == .raise && plain.categories.isEmpty)
    #expect(!plain.waits)
}

@Test func everyOptionOfARange() throws {
    let read = try options(
        "start_id", "(1-1", "end_id", "9", "count", "7", "batch_rows", "100", "page_rows", "10",
        "include_id", "false", "include_timestamp", "false", "include_sequence", "true",
        "id_column", "i", "timestamp_column", "t", "sequence_column", "q", "on_error", "null",
        "columns_max", "3", "categories:0", "1:a,4:blue,", "categories:12", "0:,")
    #expect(read.startID == "(1-1" && read.endID == "9" && read.count == 7)
    #expect(read.batchRows == 100 && read.pageRows == 10 && read.columnsMax == 3)
    #expect(!read.includeID && !read.includeTimestamp && read.includeSequence == true)
    #expect(read.idColumn == "i" && read.timestampColumn == "t" && read.sequenceColumn == "q")
    #expect(read.onError == .null)
    #expect(read.categories.map { $0.column } == [[0], [12]])
    #expect(read.categories.map { $0.values } == [[utf8("a"), utf8("blue")], [[]]])
}

@Test(arguments: [
    ("2024-01-01", "1704067200000"), ("2024-01-01T00:00:00.9999Z", "1704067200999"),
    ("2024-01-01 02:00+02:00", "1704067200000"), ("1970-01-01", "0"), ("2024-01", "2024-01"),
    ("2024-1-1", "2024-1-1"), ("2024-01-32", "2024-01-32"), ("-1h", "-1h"), ("$", "$"),
])
func timesInISOTextBecomeMilliseconds(_ text: String, _ expected: String) throws {
    #expect(try options("start_id", text).startID == expected)
    #expect(try options("end_id", text).endID == expected)
}

@Test func timesBeforeTheFirstID() {
    let error = #expect(throws: RedcolError.self) { try options("start_id", "1969-12-31") }
    #expect(error?.message.contains("a time from 1970 on") == true)
}

@Test func whereFollowingBegins() throws {
    let begun = try options("follow", "true", "start_last", "3", "until", "now")
    #expect(begun.startLast == 3 && begun.endsNow && begun.startID == "-")
    let new = try options("follow", "true", "start_last", "0")
    #expect(new.startLast == nil && new.startID == "$")
    for wrong in [["last", "1", "count", "1"], ["last", "1", "follow", "true"]] {
        #expect(throws: RedcolError.self) {
            try options(wrong[0], wrong[1], wrong[2], wrong[3])
        }
    }
    let both = #expect(throws: RedcolError.self) {
        try options("follow", "true", "start_last", "3", "start_id", "5")
    }
    #expect(both?.message.contains("start_id and start_last") == true)
}

@Test func noRowsABatchMeansAll() throws {
    #expect(try options("batch_rows", "0").batchRows == .max)
    #expect(try options("count", "0").count == 0)
    #expect(try options("count", "1", "count", "2").count == 2)
    #expect(try options("count", "9223372036854775807").count == .max)
}

@Test(arguments: [
    ("count", "-1", "a whole number from 0"),
    ("count", "", "a whole number"),
    ("count", "1.5", "a whole number"),
    ("count", "9223372036854775808", "a whole number"),
    ("batch_rows", "many", "a whole number"),
    ("page_rows", "1000001", "a whole number from 0 to 1000000"),
    ("columns_max", "0", "a whole number from 1 to 1000000"),
    ("include_id", "True", "\"true\" or \"false\""),
    ("include_timestamp", "1", "\"true\" or \"false\""),
    ("include_sequence", "", "\"true\" or \"false\""),
    ("on_error", "ignore", "\"raise\", \"null\", \"skip\""),
    ("categories:0", "1:a", "netstrings"),
    ("categories:0", "a", "netstrings"),
    ("categories:0", ":a,", "netstrings"),
    ("categories:0", "2:a,", "netstrings"),
    ("categories:0", "1:ab", "netstrings"),
    ("categories:0", "99999999999999999999:a,", "netstrings"),
    ("categories:0", "-1:a,", "netstrings"),
    ("categories:0", "1", "netstrings"),
    ("categories:", "1:a,", "there is no option \"categories:\""),
    ("categories:-1", "1:a,", "there is no option"),
    ("categories:x", "1:a,", "there is no option"),
    ("Count", "1", "there is no option \"Count\""),
    ("", "", "there is no option \"\""),
    ("no\nsuch", "", "there is no option \"no\\x0asuch\""),
])
func optionsThatCannotBeRight(_ key: String, _ value: String, _ reason: String) {
    let error = #expect(throws: RedcolError.self) { try options(key, value) }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
}

@Test(arguments: [
    ("create_group", "true"), ("create_group", "false"), ("group_start_id", "0"),
    ("auto_ack", "true"), ("claim_idle_ms", "1"), ("max_deliveries", "1"), ("dead_letter", "d"),
])
func whatSaysNothingWithoutAGroup(_ key: String, _ value: String) {
    for follow in ["true", "false"] {
        let error = #expect(throws: RedcolError.self) { try options(key, value, "follow", follow) }
        #expect(error?.cause == .invalidArgument)
        #expect(error?.message.contains("\(key) is about a consumer group") == true)
    }
}

@Test(arguments: ["junk", "(1-1", "-", "+", "", "1-", "1-2-3", "18446744073709551616"])
func whereNoGroupCanBegin(_ start: String) throws {
    for create in ["true", "false"] {
        let error = #expect(throws: RedcolError.self) {
            try options(
                "group", "g", "consumer", "c", "create_group", create, "group_start_id", start)
        }
        #expect(error?.cause == .invalidArgument)
        #expect(error?.message.contains("group_start_id is \"\(start)\"") == true)
    }
}

@Test(arguments: [
    ("blok_ms", "block_ms"), ("start", "start_id"), ("batch_size", "batch_rows"),
    ("BLOCK_MS", "block_ms"), ("category:0", "categories:N"),
])
func theMostAlikeOptionIsNamedFirst(_ key: String, _ alike: String) {
    let error = #expect(throws: RedcolError.self) { try options(key, "1") }
    let message = error?.message ?? ""
    if key != "BLOCK_MS" { #expect(message.contains("; there are \(alike), "), "\(message)") }
    for row in ReadOption.allCases { #expect(message.contains(row.option.nameText)) }
}

@Test(arguments: [
    ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2),
])
func distances(_ one: String, _ other: String, _ expected: Int) {
    #expect(editDistance(utf8(one), utf8(other)) == expected)
}

@Test(
    arguments: [
        ("", []),
        ("0:,", [""]),
        ("1:a,4:blue,", ["a", "blue"]),
        ("3:1:a,0:,", ["1:a", ""]),
        ("2:,,,", [",,"]),
        ("7:größe,", ["größe"]),
    ] as [(String, [String])])
func netstrings(_ text: String, _ expected: [String]) throws {
    #expect(try options("categories:0", text).categories[0].values == expected.map { utf8($0) })
}

@Test func timeouts() throws {
    var endpoint = try Endpoint(url: "redis://")
    let plain = try ClientOptions([], for: &endpoint)
    #expect(plain.timeouts.connectMs == 5_000 && plain.timeouts.silenceMs == 5_000)
    let given = try ClientOptions(
        [
            ("connect_timeout_ms", "1"), ("timeout_ms", "2147483647"), ("connect", "later"),
        ], for: &endpoint)
    #expect(given.timeouts.connectMs == 1 && given.timeouts.silenceMs == 2_147_483_647)
    #expect(given.connectsLater && !plain.connectsLater)
}

@Test(arguments: [
    ("timeout_ms", "0"), ("timeout_ms", "2147483648"), ("connect_timeout_ms", "-5"),
    ("connect_timeout_ms", "soon"), ("count", "1"), ("", ""), ("connect", "soon"),
])
func timeoutsThatCannotBeRight(_ key: String, _ value: String) throws {
    var endpoint = try Endpoint(url: "redis://")
    let error = #expect(throws: RedcolError.self) {
        try ClientOptions([(key, value)], for: &endpoint)
    }
    #expect(error?.cause == .invalidArgument)
}

private func requested(_ name: String, _ type: ColumnType = .string) -> RequestedColumn {
    RequestedColumn(name: utf8(name), type: type)
}

@Test func columnsOfTheIDComeFirst() throws {
    let schema = [requested("a"), requested("b", .int64)]
    let all = try ReadColumns(try options("include_sequence", "true"), schema: schema)
    #expect(all.columns.map { $0.name } == ["_id", "_ts", "_seq", "a", "b"].map { utf8($0) })
    #expect(all.columns.map { $0.type } == [.string, .int64, .uint64, .string, .int64])
    #expect((all.idColumns.id, all.idColumns.timestamp, all.idColumns.sequence) == (0, 1, 2))
    let none = try ReadColumns(
        try options("include_id", "false", "include_timestamp", "false"), schema: nil)
    #expect(none.columns.isEmpty && none.idColumns.id == -1 && none.idColumns.timestamp == -1)
}

@Test func columnsOfTheIDStandWhereTheSchemaHasThem() throws {
    let moment = try ColumnType(format: "tsm:UTC")
    let schema = [
        requested("a"), requested("_ts", moment), requested("_seq", .uint64), requested("_s"),
        requested("_id"),
    ]
    let read = try ReadColumns(try options("stream_column", "_s"), schema: schema)
    #expect(read.columns.map { $0.name } == ["a", "_ts", "_seq", "_s", "_id"].map { utf8($0) })
    #expect(read.columns[1].type == moment)
    let places = read.idColumns
    #expect([places.id, places.timestamp, places.sequence, places.stream] == [4, 1, 2, 3])
    // One that is not in the schema comes first; a name that is not wanted is a field's.
    let some = try ReadColumns(
        try options("include_sequence", "false"), schema: [schema[2], schema[4]])
    #expect(some.columns.map { $0.name } == ["_ts", "_seq", "_id"].map { utf8($0) })
    #expect((some.idColumns.id, some.idColumns.timestamp, some.idColumns.sequence) == (2, 0, -1))
    #expect(some.fields.contains { $0.name == utf8("_seq") && $0.column == 1 })
    // The sequence number is not asked for by a column of another type.
    let other = try ReadColumns(try options(), schema: [requested("_seq")])
    #expect(other.idColumns.sequence == -1)
}

@Test func fieldsOfOtherNamesThanTheirColumns() throws {
    let schema = [requested("x"), requested("_id")]
    let read = try ReadColumns(try options("field:0", "_id"), schema: schema)
    #expect(read.fields.map { $0.name } == [utf8("_ts"), utf8("_id")])
    #expect(read.fields.map { $0.column } == [FieldTable.ignored, 1])
    for (key, value) in [("field:1", "a"), ("field:2", "a")] {
        let error = #expect(throws: RedcolError.self) {
            try ReadColumns(try options(key, value), schema: schema)
        }
        #expect(error?.cause == .invalidArgument)
    }
    let twice = #expect(throws: RedcolError.self) {
        try ReadColumns(try options("field:0", "y"), schema: [requested("x"), requested("y")])
    }
    #expect(twice?.message.contains("two columns of the schema are the field \"y\"") == true)
}

@Test func namesOfFieldsWhoseOwnNameIsTaken() {
    func number(_ name: String) -> Int? { FieldNames.number(of: utf8(name), after: utf8("_id")) }
    #expect(FieldNames.suffixed(utf8("_id"), 1) == utf8("_id_field"))
    #expect(FieldNames.suffixed(utf8("_id"), 12) == utf8("_id_field12"))
    #expect(["_id_field", "_id_field2", "_id_field10"].map(number) == [1, 2, 10])
    for other in [
        "", "_id", "_id_fiel", "x_id_field", "_id_field0", "_id_field1", "_id_field02",
        "_id_fieldx", "_id_field2x", "_id_field-2", "_id_field1234567890",
    ] {
        #expect(number(other) == nil)
    }
    let schema = ["a", "_id_field", "_id_field3", "_id_field2", "_ts_field"].map { requested($0) }
    let table = FieldNames.table(
        schema, schema.map { $0.name }, reserved: ["_id", "_ts", "_seq"].map { utf8($0) }, first: 2)
    let reserved = [FieldTable.fallback(4), FieldTable.fallback(6), FieldTable.ignored]
    #expect(table.map { $0.column } == reserved + [2, 3, 4, 5, 6])
}

@Test(arguments: ["_id", "_ts"])
func aSchemaCannotTakeTheNameOfAnIDColumn(_ name: String) throws {
    let error = #expect(throws: RedcolError.self) {
        try ReadColumns(try options(), schema: [requested(name, .uint64)])
    }
    #expect(error?.cause == .schema)
    #expect(error?.message.contains("\"\(name)\"") == true)
    #expect(throws: Never.self) {
        try ReadColumns(
            try options("include_id", "false", "include_timestamp", "false"),
            schema: [requested(name, .uint64)])
    }
}

@Test func idColumnsMustDiffer() throws {
    let error = #expect(throws: RedcolError.self) {
        try ReadColumns(try options("timestamp_column", "_id"), schema: nil)
    }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains("timestamp_column is \"_id\"") == true)
}

@Test func categoriesGoToDictionaryColumns() throws {
    let dictionary = try #require(ColumnType.dictionary(index: .uint32))
    let schema = [requested("a"), requested("b", dictionary)]
    let read = try ReadColumns(try options("categories:1", "1:x,"), schema: schema)
    #expect(read.columns.last?.categories == [utf8("x")])
    for place in ["0", "2", "9223372036854775807"] {
        let error = #expect(throws: RedcolError.self) {
            try ReadColumns(try options("categories:\(place)", "1:x,"), schema: schema)
        }
        #expect(error?.cause == .invalidArgument)
    }
}

@Test(arguments: [
    ("raise", RefusalPolicy.raise), ("null", .null), ("skip", .skip), ("dead_letter", .deadLetter),
])
func whatBecomesOfValues(_ value: String, _ policy: RefusalPolicy) throws {
    let group = ["group", "g", "consumer", "c", "dead_letter", "d", "max_deliveries", "3"]
    let words = ["on_error", value] + group
    let pairs = stride(from: 0, to: words.count, by: 2).map { (words[$0], words[$0 + 1]) }
    #expect(try ReadOptions(pairs.map { (key: $0.0, value: $0.1) }).onError == policy)
}

@Test(arguments: [
    (["on_error", "dead_letter"], "give group, consumer and dead_letter"),
    (["on_error", "dead_letter", "group", "g", "consumer", "c"], "and dead_letter"),
    (["dead_letter", "d", "group", "g", "consumer", "c"], "max_deliveries or on_error"),
    (
        ["dead_letter", "d", "on_error", "skip", "group", "g", "consumer", "c"],
        "max_deliveries or on_error"
    ),
    (["max_deliveries", "2", "group", "g", "consumer", "c"], "max_deliveries needs dead_letter"),
    (["on_error", "ignore"], "\"raise\", \"null\", \"skip\" or \"dead_letter\""),
])
func deadLettersThatCannotBe(_ words: [String], _ reason: String) {
    let pairs = stride(from: 0, to: words.count, by: 2).map {
        (key: words[$0], value: words[$0 + 1])
    }
    let error = #expect(throws: RedcolError.self) { try ReadOptions(pairs) }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
}

@Test func discoveringIsForReadsWithoutASchema() throws {
    for type in ["string", "binary", "auto"] {
        let read = try options("discover", type)
        #expect((try? ReadColumns(read, schema: nil)) != nil)
        let error = #expect(throws: RedcolError.self) {
            try ReadColumns(read, schema: [.column("a")])
        }
        #expect(error?.cause == .invalidArgument)
        #expect(error?.message.contains("without a schema") == true)
    }
}

@Test(arguments: [
    (["page_rows", "5", "follow", "true"], "page_rows is about reading a range"),
    (["page_rows", "0", "block_ms", "1"], "page_rows is about reading a range"),
    (["page_rows", "5", "group", "g", "consumer", "c"], "page_rows is about reading a range"),
    (
        ["group", "g", "consumer", "c", "group_start_id", "0", "create_group", "false"],
        "group_start_id says where a group begins that is created"
    ),
])
func optionsWithoutAnEffect(_ words: [String], _ reason: String) {
    let pairs = stride(from: 0, to: words.count, by: 2).map {
        (key: words[$0], value: words[$0 + 1])
    }
    let error = #expect(throws: RedcolError.self) { try ReadOptions(pairs) }
    #expect(error?.cause == .invalidArgument)
    #expect(error?.message.contains(reason) == true)
}
