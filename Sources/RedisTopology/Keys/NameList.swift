// SPDX-License-Identifier: Apache-2.0
// The names of many streams in one piece of memory: an array for each would cost as much time as
// reading a small stream does.

import CPlatform
import RedcolBase

/// Byte strings, in order.
public struct NameList {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    public init(_ names: [[UInt8]] = []) {
        for name in names { append(name) }
    }

    public var count: Int { ends.count }
    public var byteCount: Int { bytes.count }

    private func start(_ index: Int) -> Int { index > 0 ? ends[index - 1] : 0 }

    public subscript(index: Int) -> ArraySlice<UInt8> { bytes[start(index)..<ends[index]] }

    public mutating func append(_ name: some Collection<UInt8>) {
        bytes.append(contentsOf: name)
        ends.append(bytes.count)
    }

    /// The names sorted by their bytes, each once.
    public func sortedAndUnique() -> NameList {
        var sorted = NameList()
        sorted.bytes.reserveCapacity(bytes.count)
        sorted.ends.reserveCapacity(count)
        bytes.withUnsafeBufferPointer { all in
            func compare(_ one: Int, _ other: Int) -> Int {
                let (from, from2) = (start(one), start(other))
                let (length, length2) = (ends[one] - from, ends[other] - from2)
                guard let base = all.baseAddress else { return length - length2 }
                let order = memcmp(base + from, base + from2, min(length, length2))
                return order != 0 ? Int(order) : length - length2
            }
            var last: Int?
            for index in sortedIndices(count, { compare($0, $1) < 0 }) {
                if let last, compare(last, index) == 0 { continue }
                sorted.bytes.append(contentsOf: all[start(index)..<ends[index]])
                sorted.ends.append(sorted.bytes.count)
                last = index
            }
        }
        return sorted
    }
}
