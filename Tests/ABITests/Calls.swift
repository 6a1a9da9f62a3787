// SPDX-License-Identifier: Apache-2.0
// The C functions called as a C program calls them, with what they promise in every case checked:
// an error object exactly with a negative status, and nothing given beside it.

import CArrowData
import CRedcol
import Foundation
import TestSupport
import Testing

/// What a call has given.
struct Outcome {
    var status: Int
    /// A client or an iterator.
    var handle: OpaquePointer?
    var batch: Table?
    var number: Int64 = 0
    var message = ""
    var details: [String: String] = [:]

    var rows: [[Cell]] { batch?.rows ?? [] }
}

/// A value that the test itself keeps from being used by two threads at once where it must not be.
struct Shared<Value>: @unchecked Sendable { let value: Value }

/// Calls `body` with "key", "value", …, NULL.
func withWords<Result>(
    _ words: [String]?, _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
    guard let words else { return body(nil) }
    let copies = words.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies.map { UnsafePointer($0) } + [nil])
}

/// Takes an error object apart and frees it.
func outcome(
    _ status: redcol_status, _ error: OpaquePointer?, handle: OpaquePointer? = nil,
    number: Int64 = 0
) -> Outcome {
    var outcome = Outcome(status: Int(status), handle: handle, number: number)
    #expect((error != nil) == (status < 0), "an error object exactly with an error")
    #expect(redcol_error_status(error) == min(status, 0))
    if let text = redcol_error_message(error) { outcome.message = String(cString: text) }
    #expect(outcome.message.isEmpty == (status >= 0))
    for name in [
        "server_code", "stream", "entry_id", "field", "dtype", "value", "row", "key",
    ] {
        if let text = redcol_error_detail(error, name) {
            outcome.details[name] = String(cString: text)
        }
    }
    release(error)
    return outcome
}

/// Ends a process of tests as a failure if an object of the library is alive when it exits. Tests
/// run beside each other and share the counter: none of them can look at it for itself alone,
/// unless it has a process of its own.
private let countsAtTheEnd: Bool =
    atexit {
        let alive = redcol_live_objects()
        guard alive != 0 else { return }
        let text = "ABITests: \(alive) objects of the library are still alive\n"
        FileHandle.standardError.write(Data(text.utf8))
        _exit(70)
    } == 0

/// Something that no call leaves in an out-parameter.
private var untouched: OpaquePointer? { OpaquePointer(bitPattern: 0x10) }

func open(_ url: String?, _ options: [String]? = nil) -> Outcome {
    #expect(countsAtTheEnd)
    var client = untouched
    var error = untouched
    let status = withWords(options) { redcol_open(url, $0, &client, &error) }
    #expect((client != nil) == (status == 0) && client != untouched)
    return outcome(status, error, handle: client)
}

func read(
    _ client: OpaquePointer?, _ stream: [UInt8]?, _ options: [String]? = nil,
    schema: UnsafePointer<ArrowSchema>? = nil, length: Int64? = nil
) -> Outcome {
    var iter = untouched
    var error = untouched
    let status = withWords(options) { options in
        guard let stream else {
            return redcol_read_stream(client, nil, length ?? -1, schema, options, &iter, &error)
        }
        // With a NUL byte behind it, so that it has an address even if it is empty.
        return (stream + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { bytes in
            redcol_read_stream(
                client, bytes.baseAddress, length ?? Int64(stream.count), schema, options, &iter,
                &error)
        }
    }
    #expect((iter != nil) == (status == 0) && iter != untouched)
    return outcome(status, error, handle: iter)
}

func read(_ client: OpaquePointer?, _ stream: String, _ options: String...) -> Outcome {
    read(client, utf8(stream), options)
}

/// Ranges of the streams that match `pattern`, or of `streams`; `count` nil: as many as there are.
func readRanges(
    _ client: OpaquePointer?, _ pattern: [UInt8]?, _ streams: [[UInt8]]? = nil,
    _ options: [String] = [], count: Int64? = nil, length: Int64? = nil
) -> Outcome {
    var iter = untouched
    var error = untouched
    let copies = streams?.map { name -> UnsafePointer<CChar>? in
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count + 1)
        for (index, byte) in (name + [0]).enumerated() { copy[index] = CChar(bitPattern: byte) }
        return UnsafePointer(copy)
    }
    defer { for copy in copies ?? [] { copy?.deallocate() } }
    let lengths = streams?.map { Int64($0.count) }
    let status = withWords(options) { options in
        func call(_ pattern: UnsafePointer<CChar>?, _ bytes: Int) -> redcol_status {
            let size = length ?? Int64(bytes)
            guard let copies, let lengths else {
                return redcol_read_ranges(
                    client, pattern, size, nil, nil, count ?? 0, nil, options, &iter, &error)
            }
            return redcol_read_ranges(
                client, pattern, size, copies, lengths, count ?? Int64(copies.count), nil,
                options, &iter, &error)
        }
        guard let pattern else { return call(nil, 0) }
        return (pattern + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer {
            call($0.baseAddress, pattern.count)
        }
    }
    #expect((iter != nil) == (status == 0) && iter != untouched)
    return outcome(status, error, handle: iter)
}

/// Takes the next batch, reads it and releases it.
func next(_ iter: OpaquePointer?, waitMs: Int64 = -1) -> Outcome {
    var error = untouched
    var (schema, array) = (ArrowSchema(), ArrowArray())
    array.length = 77
    let status = redcol_iter_next(iter, waitMs, &schema, &array, &error)
    var result = outcome(status, error)
    #expect((array.release != nil) == (status == 0) && (schema.release != nil) == (status == 0))
    #expect(status == 0 || array.length == 0)
    if status == 0 {
        do { result.batch = try readTable(&array, &schema) } catch { Issue.record(error) }
        array.release?(&array)
        schema.release?(&schema)
        #expect(array.release == nil && schema.release == nil)
    }
    return result
}

func acknowledge(
    _ client: OpaquePointer?, _ stream: String?, _ group: String?, _ ids: String?,
    length: Int64 = -1
) -> Outcome {
    var count: Int64 = -7
    var error = untouched
    let status = redcol_ack(client, stream, length, group, -1, ids, -1, &count, &error)
    #expect(count >= 0)
    return outcome(status, error, number: count)
}

func release(_ handle: OpaquePointer?) { redcol_free(handle.map { UnsafeMutableRawPointer($0) }) }

func cancel(_ handle: OpaquePointer?) -> Int {
    Int(redcol_cancel(handle.map { UnsafeMutableRawPointer($0) }))
}

func close(_ handle: OpaquePointer?) -> Int {
    Int(redcol_close(handle.map { UnsafeMutableRawPointer($0) }))
}

/// An error object of the caller's own.
func anError() -> OpaquePointer? {
    var error: OpaquePointer?
    _ = redcol_open("nonsense", nil, nil, &error)
    return error
}

private final class Box<Result>: @unchecked Sendable { var result: Result? }

/// Runs `body` on a thread; the result waits for it.
func inThread<Result>(_ body: @escaping @Sendable () -> Result) -> () -> Result? {
    let box = Box<Result>()
    let isDone = DispatchSemaphore(value: 0)
    let thread = Thread {
        box.result = body()
        isDone.signal()
    }
    thread.start()
    return {
        guard isDone.wait(timeout: .now() + 30) == .success else { return nil }
        return box.result
    }
}

extension TemporaryRedis {
    /// Adds entries with the fields n, the entry's number, and text.
    func addEntries(
        _ stream: String, _ numbers: ClosedRange<Int>, text: String = "some text that is long"
    )
        throws
    {
        for number in numbers {
            try run("XADD", stream, "\(number)-1", "n", "\(number)", "text", text)
        }
    }
}

/// Where a stream ends: "milliseconds-sequence" in `message` of an outcome that is OK.
func lastID(_ client: OpaquePointer?, _ stream: String?, length: Int64 = -1) -> Outcome {
    var error = untouched
    var (milliseconds, sequence): (UInt64, UInt64) = (7, 7)
    let status = redcol_last_id(client, stream, length, &milliseconds, &sequence, &error)
    var result = outcome(status, error)
    #expect(status == 0 || (milliseconds, sequence) == (0, 0))
    if status == 0 { result.message = "\(milliseconds)-\(sequence)" }
    return result
}
