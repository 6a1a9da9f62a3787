// SPDX-License-Identifier: Apache-2.0
// The one function that sorts. Of Swift's own, the compiler makes a copy for each type that is
// sorted, of four kilobytes each.

/// The numbers from 0 to `count` in the order of what they stand for; equal ones stay as they are.
/// `isBefore`: whether what the first stands for comes before what the second stands for.
@inline(never)
public func sortedIndices(_ count: Int, _ isBefore: (Int, Int) -> Bool) -> [Int] {
    var sorted = Array(0..<max(0, count))
    var merged = sorted
    var width = 1
    while width < count {
        var begin = 0
        while begin < count {
            let middle = min(begin + width, count)
            let end = min(middle + width, count)
            var (left, right) = (begin, middle)
            for place in begin..<end {
                let takesLeft =
                    right == end || left < middle && !isBefore(sorted[right], sorted[left])
                merged[place] = sorted[takesLeft ? left : right]
                if takesLeft { left += 1 } else { right += 1 }
            }
            begin = end
        }
        (sorted, merged) = (merged, sorted)
        width *= 2
    }
    return sorted
}
