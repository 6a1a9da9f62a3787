// SPDX-License-Identifier: Apache-2.0
// Writing through the C interface: outcomes, ownership of the frame, and misuse.

import CArrowData
import CRedcol
import TestSupport
import Testing

private func frame(_ numbers: [Int64], keys: [String?]? = nil) -> FrameFixture {
    var columns = [ColumnFixture.numbers("n", "l", numbers)]
    if let keys { columns.append(.texts("_key", keys)) }
    return FrameFixture(columns)
}

private func writeStream(
    _ client: OpaquePointer?, _ stream: String?, _ frame: FrameFixture?, _ options: String...
) -> Outcome {
    write(frame) { handed, writer, error in
        withWords(options) {
            redcol_write_stream(client, stream, -1, handed, $0, writer, error)
        }
    }
}

private func writeHashes(
    _ client: OpaquePointer?, _ frame: FrameFixture?, _ options: String...
) -> Outcome {
    write(frame) { stream, writer, error in
        withWords(options) { redcol_write_hashes(client, stream, $0, writer, error) }
    }
}

private func write(
    _ frame: FrameFixture?,
    _ call: (
        UnsafeMutablePointer<ArrowArrayStream>?, UnsafeMutablePointer<OpaquePointer?>,
        UnsafeMutablePointer<OpaquePointer?>
    ) -> redcol_status
) -> Outcome {
    var (writer, error) = (OpaquePointer(bitPattern: 0x10), OpaquePointer(bitPattern: 0x10))
    guard let frame else {
        let status = call(nil, &writer, &error)
        return outcome(status, error, handle: writer)
    }
    var stream = frame.stream()
    let status = call(&stream, &writer, &error)
    #expect(stream.release == nil, "the frame is moved in every case")
    #expect((writer != nil) == (status == 0))
    return outcome(status, error, handle: writer)
}

private func run(_ writer: OpaquePointer?, waitMs: Int64 = -1) -> Outcome {
    var error: OpaquePointer?
    let status = redcol_writer_run(writer, waitMs, &error)
    return outcome(status, error)
}

private func ids(_ writer: OpaquePointer?) -> Outcome {
    var error: OpaquePointer?
    var (schema, array) = (ArrowSchema(), ArrowArray())
    let status = redcol_writer_ids(writer, &schema, &array, &error)
    var result = outcome(status, error)
    guard status == 0 else { return result }
    do { result.batch = try readTable(&array, &schema) } catch { Issue.record(error) }
    array.release?(&array)
    schema.release?(&schema)
    return result
}

@Suite struct WritingTests {
    let redis: TemporaryRedis
    let client: OpaquePointer?

    init() throws {
        redis = try TemporaryRedis()
        client = open(redis.url).handle
    }

    @Test func entries() throws {
        let rows = frame([1, 2, 3])
        let writer = writeStream(client, "s", rows).handle
        while run(writer, waitMs: 0).status == Int(REDCOL_TIMEOUT) {}
        #expect(run(writer).status == Int(REDCOL_OK), "again")
        let found = ids(writer)
        #expect(found.batch?.names == [utf8("_id")] && found.rows.count == 3)
        #expect(ids(writer).rows.isEmpty, "they are given once")
        for (name, count) in [("written", 3), ("known", 3), ("unknown", 0), ("refused", 0)] {
            #expect(redcol_writer_statistic(writer, name) == Int64(count))
        }
        #expect(redcol_writer_statistic(writer, "nonsense") == -1)
        release(writer)
        #expect(rows.unreleased == 0)
        let iter = read(client, "s").handle
        let written = next(iter)
        release(iter)
        #expect(written.rows.map { $0[2] } == [.text("1"), .text("2"), .text("3")])
        release(client)
    }

    @Test func hashes() throws {
        let rows = frame([1, 2, 3], keys: ["a", "b", nil])
        let writer = writeHashes(client, rows, "key_prefix", "k:", "ttl_ms", "60000").handle
        let failed = run(writer)
        #expect(failed.status == Int(REDCOL_ERROR_VALUE))
        #expect(failed.details["row"] == "2")
        #expect(failed.message.hasSuffix("; 2 keys were written"))
        #expect(run(writer).message == failed.message, "the same error again")
        #expect(ids(writer).status == Int(REDCOL_ERROR_INVALID_ARGUMENT))
        #expect(redcol_writer_statistic(writer, "written") == 2)
        release(writer)
        #expect(rows.unreleased == 0)

        let twice = writeHashes(
            client, frame([9], keys: ["b"]), "key_prefix", "k:", "if_exists", "fail")
        let exists = run(twice.handle)
        #expect(exists.status == Int(REDCOL_ERROR_KEY_EXISTS))
        #expect(exists.details["key"] == "k:b" && exists.details["row"] == "0")
        release(twice.handle)
        release(client)
    }

    @Test func misuse() {
        let invalid = Int(REDCOL_ERROR_INVALID_ARGUMENT)
        #expect(writeStream(nil, "s", frame([1])).status == invalid)
        #expect(writeStream(client, nil, frame([1])).status == invalid)
        #expect(writeStream(client, "s", nil).status == invalid)
        #expect(writeStream(client, "s", frame([1]), "maxlen", "-1").status == invalid)
        #expect(
            writeStream(client, "s", frame([1]), "maxlen", "1", "min_id", "1").status == invalid)
        #expect(writeStream(client, "s", frame([1]), "min_id", "x").status == invalid)
        #expect(writeStream(client, "s", frame([1]), "nonsense", "1").status == invalid)
        #expect(writeStream(client, "s", frame([1]), "id_column", "none").status == invalid)
        #expect(writeHashes(client, frame([1])).message.contains("no column \"_key\""))
        #expect(writeHashes(client, frame([1], keys: ["a"]), "ttl_ms", "0").status == invalid)
        #expect(writeHashes(client, frame([1], keys: ["a"]), "if_exists", "x").status == invalid)
        for other in [nil, client] {
            #expect(run(other).status == invalid)
            #expect(ids(other).status == invalid)
            #expect(redcol_writer_statistic(other, "written") == -1)
            #expect(redcol_writer_stop(other, 0, nil) == REDCOL_ERROR_INVALID_ARGUMENT)
        }
        let writer = writeStream(client, "s", frame([1])).handle
        #expect(run(writer, waitMs: -2).status == invalid)
        #expect(next(writer).status == invalid, "a writer is no iterator")
        var error: OpaquePointer?
        #expect(redcol_writer_ids(writer, nil, nil, &error) == REDCOL_ERROR_INVALID_ARGUMENT)
        release(error)
        #expect(redcol_writer_statistic(writer, nil) == -1)
        release(writer)
        release(client)
    }

    @Test func stoppingAndClosing() {
        let stopped = writeStream(client, "s", frame([1])).handle
        #expect(redcol_writer_stop(stopped, -1, nil) == REDCOL_OK)
        #expect(run(stopped).status == Int(REDCOL_ERROR_CLOSED))
        #expect(redcol_writer_statistic(stopped, "known") == 0)
        release(stopped)
        let closed = writeStream(client, "s", frame([1])).handle
        #expect(cancel(closed) == 0)
        #expect(close(closed) == 0 && close(closed) == 0)
        #expect(run(closed).status == Int(REDCOL_ERROR_CLOSED))
        release(client)
        release(closed)
    }

    @Test func aCancelEndsOneCall() throws {
        let writer = writeStream(client, "s", frame([1, 2])).handle
        #expect(cancel(writer) == 0)
        #expect(run(writer).status == Int(REDCOL_ERROR_CANCELLED))
        #expect(run(writer).status == Int(REDCOL_OK))
        #expect(redcol_writer_statistic(writer, "written") == 2)
        release(writer)
        release(client)
    }
}
