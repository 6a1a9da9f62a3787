// SPDX-License-Identifier: Apache-2.0
// Structs and lists from JSON text: rows that are begun again, and what a layout cannot number.
import CArrowData
import Testing

@testable import ArrowColumns

private func column(_ kind: String, _ children: [RequestedColumn], _ name: String = "v") throws
    -> RequestedColumn
{
    var column = RequestedColumn(name: Array(name.utf8), type: try ColumnType(format: kind))
    column.children = children
    return column
}

/// `v`: a struct of `n`, an int8, and `t`, a list of strings.
private func requested(list: String = "+L", layout: TextLayout = .view) throws -> RequestedColumn {
    var text = try column("u", [], "item")
    text.layout = layout
    return try column("+s", [column("c", [], "n"), column(list, [text], "t")])
}

extension BatchBuilder {
    fileprivate mutating func set(_ text: String) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBufferPointer { buffer in
            _ = withPadding(buffer) { set(0, $0, buffer.count) }
        }
    }

    fileprivate mutating func add(_ text: String) -> Bool {
        guard beginRow() else { return false }
        set(text)
        if case .committed = commitRow() { return true }
        return false
    }
}

// The macros take no mutating call.
private func expectAdded(_ isAdded: Bool) { #expect(isAdded) }
private func expectRefused(_ isAdded: Bool) { #expect(!isAdded) }

private func withArray(
    _ batch: inout BatchBuilder, _ body: (ArrowArray) throws -> Void
) throws {
    var array = ArrowArray()
    let isFinished = batch.finish(array: &array, schema: nil)
    try #require(isFinished)
    defer { array.release(&array) }
    let child = try #require(array.children?[0] ?? nil)
    try body(child.pointee)
}

/// How many strings there are, and how many bytes of them that do not fit into a view.
private func texts(_ value: ArrowArray) -> (count: Int64, bytes: Int64) {
    guard let list = value.children?[1], let text = list.pointee.children?[0]?.pointee else {
        return (-1, -1)
    }
    let sizes = text.buffers?[Int(text.n_buffers) - 1]?.assumingMemoryBound(to: Int64.self)
    return (text.length, text.n_buffers > 3 ? sizes?[0] ?? -1 : 0)
}

@Suite struct NestedColumnTests {
    @Test func aRowThatIsBegunAgainLeavesNothing() throws {
        var batch = try BatchBuilder([requested()], onRefused: .raise)
        defer { batch.free() }
        let long = String(repeating: "x", count: 100)
        for _ in 0..<3 {
            _ = batch.beginRow()
            batch.set("{\"n\":1,\"t\":[\"\(long)\",\"\(long)\"]}")
        }
        expectAdded(batch.add("{\"n\":1,\"t\":[\"\(long)\"]}"))
        expectRefused(batch.add("{\"t\":[\"\(long)\"],\"n\":128}"))
        // Of a field that is there twice the last value holds.
        _ = batch.beginRow()
        batch.set("{\"t\":[\"\(long)\",\"\(long)\",\"\(long)\"]}")
        batch.set("null")
        guard case .committed = batch.commitRow() else {
            Issue.record("a row that fits was refused")
            return
        }
        _ = batch.beginRow()
        batch.set("{\"t\":[\"\(long)\"]}")
        try withArray(&batch) { value in
            #expect(value.length == 2 && value.null_count == 1)
            #expect(texts(value) == (1, 100))
        }
        expectAdded(batch.add("{\"n\":2,\"t\":[\"a\"]}"))
        try withArray(&batch) { value in
            #expect(value.length == 1 && texts(value) == (1, 0))
        }
    }

    @Test(arguments: [
        ("{\"n\":\"1\"}", ".n", "\"1\"", "Int8"), ("{\"t\":[null,1]}", ".t[1]", "1", "String"),
        ("{\"t\":{}}", ".t", "{}", "List"), ("[1]", "", "[1]", "Struct"),
    ])
    func whatIsRefusedIsNamed(text: String, path: String, value: String, type: String) throws {
        var batch = try BatchBuilder([requested()], onRefused: .raise)
        defer { batch.free() }
        expectRefused(batch.add(text))
        let refusal = try #require(batch.nestedRefusal(0))
        #expect(refusal.path == Array(path.utf8) && refusal.type == type)
        #expect(refusal.value == Array(value.utf8))
        expectRefused(batch.add("{\"n\":1"))
        #expect(batch.nestedRefusal(0)?.value == nil)
    }

    @Test(
        arguments: [
            ("+L", TextLayout.view, nil, nil), ("+l", .view, nil, 0), ("+L", .small, 0, 0),
            ("+L", .large, nil, nil),
        ] as [(String, TextLayout, Int?, Int?)])
    func whatALayoutCannotNumberIsNoticed(
        list: String, layout: TextLayout, text: Int?, values: Int?
    ) throws {
        var batch = try BatchBuilder([requested(list: list, layout: layout)], onRefused: .raise)
        defer { batch.free() }
        expectAdded(batch.add("{\"t\":[\"0123456789\",\"0123456789\",\"\"]}"))
        #expect(batch.columnPastLayout(most: 20) == nil)
        // 20 bytes are text, 3 are values.
        #expect(batch.columnPastLayout(most: 19) == text)
        #expect(batch.columnPastLayout(most: 2) == values)
        batch.removeRows()
        #expect(batch.columnPastLayout(most: 0) == nil && batch.rowCount == 0)
        expectAdded(batch.add("{\"n\":7}"))
        try withArray(&batch) { value in #expect(value.length == 1 && texts(value).count == 0) }
    }

    /// What an array of three rows has: a null in the middle keeps its places in the child.
    @Test func arraysHaveNoOffsets() throws {
        let inner = try column("s", [], "item")
        var batch = try BatchBuilder([column("+w:2", [inner])], onRefused: .null)
        defer { batch.free() }
        for text in ["[1,2]", "null", "[3]", "[3,4,5]", "[6,null]"] {
            expectAdded(batch.add(text))
        }
        try withArray(&batch) { value in
            #expect(value.length == 5 && value.null_count == 3 && value.n_buffers == 1)
            let bits = value.buffers?[0]?.load(as: UInt8.self)
            #expect(bits.map { $0 & 0b11111 } == 0b10001)
            let child = try #require(value.children?[0]?.pointee)
            #expect(child.length == 10 && child.null_count == 7)
            let numbers = try #require(child.buffers?[1]?.assumingMemoryBound(to: Int16.self))
            #expect((0..<10).map { numbers[$0] } == [1, 2, 0, 0, 0, 0, 0, 0, 6, 0])
        }
        expectAdded(batch.add("[7,8]"))
        try withArray(&batch) { value in
            #expect(value.length == 1 && value.null_count == 0)
            #expect(value.children?[0]?.pointee.length == 2)
        }
    }

    @Test(arguments: [
        ("[[1]]", "", "[[1]]", "Array(2)"), ("[1,[2]]", "[0]", "1", "Array(1)"),
        ("[[1],[2],[3]]", "", "[[1],[2],[3]]", "Array(2)"),
        ("[[1],[2,3]]", "[1]", "[2,3]", "Array(1)"), ("[[1],[\"x\"]]", "[1][0]", "\"x\"", "Int8"),
        ("[[1],{}]", "[1]", "{}", "Array(1)"),
    ])
    func arraysOfAnotherLengthAreRefused(
        text: String, path: String, value: String, type: String
    ) throws {
        let inner = try column("+w:1", [column("c", [], "item")], "item")
        var batch = try BatchBuilder([column("+w:2", [inner])], onRefused: .raise)
        defer { batch.free() }
        expectAdded(batch.add("[[1],[2]]"))
        expectRefused(batch.add(text))
        let refusal = try #require(batch.nestedRefusal(0))
        #expect(refusal.path == Array(path.utf8) && refusal.type == type)
        #expect(refusal.value == Array(value.utf8))
    }

    @Test func anArrayThatIsThereTwiceCountsOnce() throws {
        let array = try column("+w:2", [column("c", [], "item")], "a")
        var batch = try BatchBuilder([column("+s", [array])], onRefused: .raise)
        defer { batch.free() }
        for text in [
            "{\"a\":[1],\"a\":[2,3]}", "{\"a\":[4,5],\"a\":null}", "{\"a\":[6,7],\"a\":[8,9]}",
            "{}",
        ] {
            expectAdded(batch.add(text))
        }
        try withArray(&batch) { value in
            let found = try #require(value.children?[0]?.pointee)
            #expect(found.length == 4 && found.null_count == 2)
            let child = try #require(found.children?[0]?.pointee)
            let numbers = try #require(child.buffers?[1]?.assumingMemoryBound(to: Int8.self))
            #expect((0..<Int(child.length)).map { numbers[$0] } == [2, 3, 0, 0, 8, 9, 0, 0])
        }
    }

    @Test func emptyArraysAreRows() throws {
        var batch = try BatchBuilder(
            [column("+w:0", [column("l", [], "item")])], onRefused: .raise)
        defer { batch.free() }
        expectAdded(batch.add("[]"))
        expectAdded(batch.add("null"))
        expectRefused(batch.add("[1]"))
        try withArray(&batch) { value in
            #expect(value.length == 2 && value.null_count == 1)
            #expect(value.children?[0]?.pointee.length == 0)
        }
    }

    @Test func topLevelTextIsCountedToo() throws {
        for kind in ["u", "z"] {
            var wanted = try column(kind, [])
            wanted.layout = .small
            var batch = try BatchBuilder([wanted], onRefused: .raise)
            defer { batch.free() }
            for text in ["0123456789", String(repeating: "x", count: 30), ""] {
                expectAdded(batch.add(text))
            }
            #expect(batch.columnPastLayout(most: 40) == nil)
            #expect(batch.columnPastLayout(most: 39) == 0)
        }
    }

    @Test(arguments: [
        "{}", "[]", " [ 1 , -0.5e+3 , \"\\u00e9\\ud83d\\ude00\" , [ ] , { } ] ", "null", "\"\"",
        "{\"a\":{\"b\":[{\"c\":[]},true,false]},\"d\":0}", "-1", "0", "1E5",
    ])
    func validJSONIsSkipped(text: String) {
        let bytes = Array(text.utf8)
        bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            var skipping = JSONText(start, buffer.count)
            let isSkipped = skipping.skipValue() && skipping.isAtEnd()
            #expect(isSkipped)
            // No text that ends early is one, except for numbers.
            for count in 0..<buffer.count where text.last != "0" && text.last != "5" {
                var cut = JSONText(start, count)
                let isWhole = cut.skipValue() && cut.isAtEnd()
                #expect(!isWhole || text.last == " ", "\(text.prefix(count))")
            }
        }
    }
}
