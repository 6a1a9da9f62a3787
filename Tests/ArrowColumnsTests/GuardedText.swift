// SPDX-License-Identifier: Apache-2.0
// Text in front of a page that must not be touched: whoever reads further than allowed is killed.
import Glibc
import Testing

/// A page of memory followed by a page without access.
final class GuardedText {
    private let page: UnsafeMutablePointer<UInt8>
    private let size = 65_536

    init() {
        let access = PROT_READ | PROT_WRITE
        let start = mmap(nil, size * 2, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start, start != MAP_FAILED else { preconditionFailure("no memory") }
        page = start.assumingMemoryBound(to: UInt8.self)
        precondition(mprotect(page + size, size, PROT_NONE) == 0)
    }

    deinit { munmap(page, size * 2) }

    /// Where `bytes` now stand, with `spare` bytes of `filler` between them and the forbidden page.
    func place(
        _ bytes: some Collection<UInt8>, spare: Int = 16, filler: UInt8 = 0x39
    ) -> UnsafePointer<UInt8> {
        let start = page + (size - spare - bytes.count)
        var index = 0
        for byte in bytes {
            start[index] = byte
            index += 1
        }
        for place in 0..<spare { start[index + place] = filler }
        return UnsafePointer(start)
    }

    /// What `parse` makes of `text`, which must not depend on what stands behind it.
    func parse<Value: Equatable>(
        _ text: String, _ parse: (UnsafePointer<UInt8>, Int) -> Value?
    ) -> Value? {
        let bytes = Array(text.utf8)
        let first = parse(place(bytes), bytes.count)
        for filler in [UInt8(ascii: "0"), UInt8(ascii: ":"), UInt8(ascii: "-"), 0, 0xFF] {
            let other = parse(place(bytes, filler: filler), bytes.count)
            #expect(other == first, "\(text) depends on the bytes behind it")
        }
        return first
    }
}
