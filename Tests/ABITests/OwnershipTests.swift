// SPDX-License-Identifier: Apache-2.0
// Who owns what: batches outlive everything, all is freed in any order, nothing is left over.
// Live objects are counted in a process of the test's own, where no other test makes any.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

/// A batch that is kept, released by `release`.
private final class Kept: @unchecked Sendable {
    var array = ArrowArray()
    var schema = ArrowSchema()

    init(_ iter: OpaquePointer?) {
        #expect(Int(redcol_iter_next(iter, -1, &schema, &array, nil)) == REDCOL_OK)
    }

    func release() {
        array.release?(&array)
        schema.release?(&schema)
    }

    var rows: [[Cell]] { (try? readTable(&array, &schema))?.rows ?? [] }
}

private func expected(_ numbers: ClosedRange<Int64>) -> [[Cell]] {
    numbers.map {
        [.text("\($0)-1"), .integer($0), .text("\($0)"), .text("some text that is long")]
    }
}

@Test func nothingIsLeftOver() async throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...20)
    try redis.run("SET", "k", "v")
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        let before = redcol_live_objects()
        #expect(before == 0)
        for _ in 0..<3 {
            let client = open(url).handle
            #expect(redcol_live_objects() == 1)
            for options in [[], ["batch_rows", "3"], ["follow", "true", "batch_rows", "3"]] {
                let iter = read(client, utf8("s"), options).handle
                for _ in 0..<3 { _ = next(iter) }
                release(iter)
            }
            let wrong = read(client, "k").handle
            #expect(next(wrong).status == REDCOL_ERROR_WRONG_TYPE)
            release(wrong)
            #expect(read(client, "s", "count", "x").status < 0)
            #expect(acknowledge(client, "s", "g", "1-1").status == REDCOL_ERROR_NO_GROUP)
            #expect(redcol_live_objects() == 1)
            release(client)
            #expect(redcol_live_objects() == before)
        }
        #expect(open("unix:///nowhere").status < 0)
        #expect(Int(redcol_open("nonsense", nil, nil, nil)) == REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(redcol_live_objects() == before)
        let error = anError()
        #expect(redcol_live_objects() == before + 1)
        release(error)
        #expect(redcol_live_objects() == before)
    }
}

@Test func everyOrderOfFreeing() async throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...20)
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        let orders: [[Int]] = [
            [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0],
        ]
        for order in orders {
            let client = open(url).handle
            let iter = read(client, "s", "batch_rows", "5").handle
            let batch = Kept(iter)
            for step in order {
                #expect(step == 2 || batch.array.release == nil || batch.rows == expected(1...5))
                switch step {
                case 0: release(client)
                case 1: release(iter)
                default: batch.release()
                }
            }
            #expect(redcol_live_objects() == 0)
        }
    }
}

@Test func anIteratorOutlivesItsClient() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...20)
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s", "batch_rows", "10", "page_rows", "10").handle)
    let first = Kept(iter)
    release(client)
    let second = Kept(iter)
    #expect(next(iter).status == REDCOL_END)
    release(iter)
    redis.stop()
    #expect(first.rows == expected(1...10) && second.rows == expected(11...20))
    second.release()
    #expect(first.rows == expected(1...10))
    first.release()
}

@Test func childrenAreMovedOutAndOutliveTheirParent() async throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...20)
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        let client = open(url).handle
        let iter = read(client, "s").handle
        let batch = Kept(iter)
        // Moving, as the interface has it: copy the struct, mark the source as released.
        var moved: [ArrowArray] = []
        var fields: [ArrowSchema] = []
        for index in [3, 0] {
            guard let child = batch.array.children?[index],
                let field = batch.schema.children?[index]
            else { continue }
            moved.append(child.pointee)
            child.pointee.release = nil
            fields.append(field.pointee)
            field.pointee.release = nil
        }
        batch.release()
        #expect(batch.array.release == nil && batch.schema.release == nil)
        for handle in [iter, client] { release(handle) }
        #expect(redcol_live_objects() > 0)
        #expect(fields.first?.name.map { String(cString: $0) } == "text")
        #expect(fields.last?.format.map { String(cString: $0) } == "vu")
        let columns = try moved.map { try readColumn($0, "vu") }
        try #require(columns.count == 2)
        #expect(columns[0] == expected(1...20).map { $0[3] })
        #expect(columns[1] == expected(1...20).map { $0[0] })
        for index in moved.indices {
            moved[index].release?(&moved[index])
            fields[index].release?(&fields[index])
            #expect(moved[index].release == nil && fields[index].release == nil)
        }
        #expect(redcol_live_objects() == 0)
    }
}

@Test func batchesAreReleasedOnOtherThreads() async throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...200)
    await #expect(processExitsWith: .success) { [url = redis.url as String] in
        let client = open(url).handle
        let iter = read(client, "s", "batch_rows", "10").handle
        let batches = (0..<20).map { _ in Kept(iter) }
        let threads = batches.map { batch in
            inThread { () -> Int in
                let count = batch.rows.count
                batch.release()
                return count
            }
        }
        for handle in [client, iter] { release(handle) }
        #expect(threads.allSatisfy { $0() == 10 })
        #expect(redcol_live_objects() == 0)
    }
}

@Test func aSchemaIsOptional() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...2)
    let client = try #require(open(redis.url).handle)
    let iter = try #require(read(client, "s").handle)
    defer { for handle in [client, iter] { release(handle) } }
    var array = ArrowArray()
    #expect(Int(redcol_iter_next(iter, -1, nil, &array, nil)) == REDCOL_OK)
    #expect(array.length == 2 && array.n_children == 4)
    array.release?(&array)
}

/// A schema that was given by another iterator is asked for in turn.
@Test func aSchemaIsCopied() throws {
    let redis = try TemporaryRedis()
    try redis.addEntries("s", 1...2)
    let client = try #require(open(redis.url).handle)
    let first = try #require(
        read(client, "s", "include_id", "false", "include_timestamp", "false").handle)
    let batch = Kept(first)
    let second = read(client, utf8("s"), ["include_timestamp", "false"], schema: &batch.schema)
    #expect(batch.schema.release != nil)
    batch.release()
    defer { for handle in [client, first, second.handle] { release(handle) } }
    #expect(next(second.handle).batch?.names == ["_id", "n", "text"].map { utf8($0) })
}
