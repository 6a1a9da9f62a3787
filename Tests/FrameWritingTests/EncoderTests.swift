// SPDX-License-Identifier: Apache-2.0
// Frames as commands, and frames that are not what they claim to be.

import ArrowColumns
import CArrowData
import RedcolBase
import RedisConnection
import TestSupport
import Testing

@testable import FrameWriting

/// The commands of all rows, or what was wrong.
private func commands(
    _ frame: FrameFixture, stream: String? = "s", _ options: [(key: String, value: String)] = []
) throws(RedcolError) -> String {
    var handed = frame.stream()
    let source = try FrameSource.make(moving: &handed)
    #expect(handed.release == nil)
    var encoder = try RowEncoder(
        source.schema, try EntryOptions(stream: stream.map { Array($0.utf8) }, options))
    var row = 0
    while let batch = try source.batch(holding: row) {
        _ = try encoder.encode(row - batch.firstRow)
        row += 1
        source.forget(before: row)
    }
    return String(decoding: encoder.commands.bytes, as: UTF8.self)
        .replacing("\r\n", with: " ")
}

/// The commands that publish two rows.
private func published(_ frame: FrameFixture) throws -> String {
    var handed = frame.stream()
    let source = try FrameSource.make(moving: &handed)
    var encoder = try RowEncoder(source.schema, try PublishOptions(channel: Array("c".utf8), []))
    for row in 0..<2 {
        let batch = try #require(try source.batch(holding: row))
        #expect(try encoder.encode(row - batch.firstRow) == .command)
        source.forget(before: row + 1)
    }
    return String(decoding: encoder.commands.bytes, as: UTF8.self).replacing("\r\n", with: " ")
}

/// The words of the error of writing `columns`, which is released in any case.
private func refusal(_ columns: ColumnFixture..., rows: Int64? = nil) -> String {
    let frame = FrameFixture(columns, rows: rows.map { [$0] })
    defer { #expect(frame.unreleased == 0) }
    do throws(RedcolError) {
        return "no error, but " + (try commands(frame))
    } catch {
        return error.message
    }
}

private func text(_ name: String, _ format: String, _ buffers: [[UInt8]?]) -> ColumnFixture {
    ColumnFixture(name, format, length: 1, buffers)
}

@Suite struct EncoderTests {
    @Test func rowsOfBatches() throws {
        let frame = FrameFixture(
            [.numbers("n", "l", [Int64(1), -20]), .texts("t", ["a", nil])],
            [.numbers("n", "l", [Int64(3)]), .texts("t", ["é"])])
        #expect(
            try commands(frame)
                == "*7 $4 XADD $1 s $1 * $1 n $1 1 $1 t $1 a "
                + "*5 $4 XADD $1 s $1 * $1 n $3 -20 *7 $4 XADD $1 s $1 * $1 n $1 3 $1 t $2 é ")
        #expect(frame.unreleased == 0)
    }

    @Test func messages() throws {
        let frame = FrameFixture([
            .numbers("n", "l", [Int64(1), -20]), .texts("t\"", ["a\n", nil]),
        ])
        #expect(
            try published(frame)
                == #"*3 $7 PUBLISH $1 c $23 {"n":1,"t\"":"a\u000a"} "#
                + #"*3 $7 PUBLISH $1 c $20 {"n":-20,"t\"":null} "#)
        #expect(frame.unreleased == 0)
    }

    @Test func optionsOfEntries() throws {
        let frame = FrameFixture(
            [.texts("to", ["a"]), .texts("at", ["5-1"]), .numbers("v", "c", [Int8(7)])])
        let options = [
            (key: "stream_column", value: "to"), (key: "id_column", value: "at"),
            (key: "maxlen", value: "10"), (key: "approximate", value: "false"),
        ]
        #expect(
            try commands(frame, stream: nil, options)
                == "*8 $4 XADD $1 a $6 MAXLEN $1 = $2 10 $3 5-1 $1 v $1 7 ")
    }

    @Test func slices() throws {
        var column = ColumnFixture.numbers("n", "s", [Int16(1), 2, 3, 4, 5])
        (column.offset, column.length) = (2, 2)
        #expect(
            try commands(FrameFixture([column]))
                == "*5 $4 XADD $1 s $1 * $1 n $1 3 *5 $4 XADD $1 s $1 * $1 n $1 4 ")
    }

    @Test func textBeyondItsBounds() {
        let view: ([Int32]) -> [UInt8] = { ColumnFixture.bytes(of: $0) }
        let sizes = ColumnFixture.bytes(of: [Int64(20)])
        let data = [UInt8](repeating: 0x78, count: 20)
        let beyond = "a text beyond its buffer"
        #expect(
            refusal(text("v", "vu", [nil, view([20, 0, 0, 1]), data, sizes])).contains(beyond))
        #expect(
            refusal(text("v", "vu", [nil, view([20, 0, 1, 0]), data, sizes])).contains(beyond))
        #expect(
            refusal(text("v", "vu", [nil, view([20, 0, -1, 0]), data, sizes])).contains(beyond))
        #expect(
            refusal(text("v", "vu", [nil, view([20, 0, 0, -1]), data, sizes])).contains(beyond))
        #expect(refusal(text("v", "vu", [nil, view([-1, 0, 0, 0]), sizes])).contains("negative"))
        #expect(
            refusal(text("v", "vu", [nil, view([.min, 0, 0, 0]), sizes])).contains("negative"))
        let end = "an end before its beginning"
        #expect(refusal(text("u", "u", [nil, view([5, 2]), data])).contains(end))
        #expect(refusal(text("u", "u", [nil, view([-5, 2]), data])).contains(end))
        #expect(refusal(text("u", "u", [nil, view([0, 2]), nil])).contains("without its data"))
    }

    @Test func listsAndDictionariesBeyondTheirBounds() {
        let values = ColumnFixture.numbers("item", "l", [Int64(1), 2])
        let offsets = ColumnFixture.bytes(of: [Int32(0), 3])
        let list = ColumnFixture("l", "+l", length: 1, [nil, offsets], children: [values])
        #expect(refusal(list).contains("a list beyond its values"))
        let fixed = ColumnFixture("f", "+w:3", length: 1, [nil], children: [values])
        #expect(refusal(fixed).contains("2 values from 0 on, where 3 are needed"))
        for index in [Int8(2), -1] {
            var coded = ColumnFixture.numbers("d", "c", [index])
            coded.dictionary = [.texts("", ["a", "b"])]
            #expect(refusal(coded).contains("an index that is not in its dictionary"))
        }
        var short = ColumnFixture("s", "+s", length: 3, [nil], children: [values])
        #expect(refusal(short).contains("where 3 are needed"))
        short.length = 2
        #expect(refusal(short).contains("no error"))
    }

    @Test func malformedBatches() {
        let good = ColumnFixture.numbers("n", "l", [Int64(1)])
        #expect(refusal(good, rows: 2).contains("1 values from 0 on, where 2 are needed"))
        #expect(refusal(good, rows: -1).contains("-1 rows"))
        #expect(refusal(good, rows: .max).contains("rows from row 0 on"))
        #expect(refusal(ColumnFixture("n", "l", length: 1, [])).contains("0 buffers instead of 2"))
        #expect(refusal(ColumnFixture("n", "l", length: 1, [nil, nil])).contains("no values"))
        var shifted = good
        shifted.offset = -1
        #expect(refusal(shifted).contains("from -1 on"))
        shifted.offset = .max
        #expect(refusal(shifted).contains("values from"))
    }

    @Test(arguments: ["", "x", "+m", "+r", "w:", "w:-1", "d:1", "d:50,2,256", "+ud:0", "tss", "vl"])
    func formatsThatCannotBeWritten(_ format: String) {
        let message = refusal(ColumnFixture("odd", format, length: 1, [nil, [0]]))
        #expect(message.hasPrefix("column \"odd\": Arrow format \"\(format)\" cannot be written"))
    }

    @Test func schemasThatAreNone() {
        let good = ColumnFixture.numbers("n", "l", [Int64(1)])
        #expect(refusal(good, good).contains("two columns of the frame are called \"n\""))
        #expect(refusal(rows: 1).contains("no column to write"))
        var deep = good
        for _ in 0..<70 { deep = ColumnFixture("x", "+s", length: 1, [nil], children: [deep]) }
        #expect(refusal(deep).contains("nested deeper than 64 levels"))
        let pair = ColumnFixture("l", "+l", length: 1, [nil, nil], children: [good, good])
        #expect(refusal(pair).contains("a list of 2 types"))
        let bytes = ColumnFixture("b", "z", length: 1, [nil, nil, nil])
        let nested = ColumnFixture("s", "+s", length: 1, [nil], children: [bytes])
        #expect(refusal(nested).contains("JSON, which has no bytes"))
        var coded = ColumnFixture.numbers("d", "g", [1.5])
        coded.dictionary = [.texts("", ["a"])]
        #expect(refusal(coded).contains("indices are not integers"))
    }

    @Test func aStreamThatFails() {
        let frame = FrameFixture([.numbers("n", "l", [Int64(1)])])
        frame.failure = 5
        #expect {
            try commands(frame)
        } throws: { error in
            (error as? RedcolError)?.message == "the frame's Arrow stream failed: error 5"
        }
        #expect(frame.unreleased == 0)
    }
}
