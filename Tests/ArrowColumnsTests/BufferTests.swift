// SPDX-License-Identifier: Apache-2.0
// Memory for columns that grow: what it holds stays, and is not copied when it is large.

import CPlatform
import Glibc
import Testing

private func fill(_ buffer: UnsafeMutableRawPointer, _ range: Range<Int>) {
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: 4) {
        buffer.storeBytes(
            of: UInt32(truncatingIfNeeded: offset), toByteOffset: offset, as: UInt32.self)
    }
}

private func holds(_ buffer: UnsafeMutableRawPointer, _ count: Int) -> Bool {
    stride(from: 0, to: count, by: 4).allSatisfy {
        buffer.load(fromByteOffset: $0, as: UInt32.self) == UInt32(truncatingIfNeeded: $0)
    }
}

@Test func aBufferKeepsWhatItHolds() throws {
    let mebibyte = 1 << 20
    var buffer = try #require(platform_buffer_resize(nil, 400))
    fill(buffer, 0..<400)
    var size = 400
    for next in [
        4_000, mebibyte, 2 * mebibyte - 64, 2 * mebibyte, 2 * mebibyte + 4, 9 * mebibyte, mebibyte,
        400, 33 * mebibyte, 4,
    ] {
        buffer = try #require(platform_buffer_resize(buffer, next))
        #expect(holds(buffer, min(size, next)))
        fill(buffer, 0..<next)
        size = next
        // There is no memory for it, and the buffer is as it was.
        #expect(platform_buffer_resize(buffer, .max) == nil)
        #expect(platform_buffer_resize(buffer, 1 << 60) == nil)
        #expect(holds(buffer, size))
    }
    platform_buffer_free(buffer)
    platform_buffer_free(nil)
    #expect(platform_buffer_resize(nil, 1 << 60) == nil)
}

/// Pages that this thread has been given so far.
private func pageFaults() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(1), &usage)  // RUSAGE_THREAD
    return usage.ru_minflt
}

@Test func aLargeBufferIsNotCopiedWhenItGrows() throws {
    // From now on malloc has blocks of that size in its heap, where they are copied.
    free(malloc(31 << 20))
    var size = 4 << 20
    var faults = 0
    var buffer = try #require(platform_buffer_resize(nil, size))
    fill(buffer, 0..<size)
    var others: [UnsafeMutableRawPointer?] = []
    defer { for other in others { free(other) } }
    while size < 64 << 20 {
        others.append(malloc(4_096))  // so that nothing can grow where it is
        let before = pageFaults()
        buffer = try #require(platform_buffer_resize(buffer, 2 * size))
        faults += pageFaults() - before
        fill(buffer, size..<(2 * size))
        size *= 2
    }
    #expect(holds(buffer, size))
    platform_buffer_free(buffer)
    // Copying would have needed each of 15,000 pages.
    #expect(faults < 500)
}
