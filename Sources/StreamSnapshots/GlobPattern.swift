// SPDX-License-Identifier: Apache-2.0
// Patterns of keys, as servers match them.
// https://redis.io/docs/latest/commands/keys/

/// Whether a key matches a pattern of `*`, `?`, `[…]` and `\`. It takes no longer than the product
/// of the two lengths.
func matches(_ key: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    var (text, rest) = (key, pattern)
    /// Where the last star stood, and what it has been tried with.
    var star: (text: ArraySlice<UInt8>, rest: ArraySlice<UInt8>)?
    while true {
        if let first = rest.first {
            if first == UInt8(ascii: "*") {
                rest.removeFirst()
                star = (text, rest)
                continue
            }
            if let byte = text.first, let after = matchesOne(byte, rest) {
                text.removeFirst()
                rest = after
                continue
            }
        } else if text.isEmpty {
            return true
        }
        guard var last = star, !last.text.isEmpty else { return false }
        last.text.removeFirst()
        star = last
        (text, rest) = last
    }
}

/// What is left of a pattern whose first part matches this byte; nil if it does not.
private func matchesOne(_ byte: UInt8, _ pattern: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let first = pattern.first else { return nil }
    switch first {
    case UInt8(ascii: "?"): return pattern.dropFirst()
    case UInt8(ascii: "["): return matchesSet(byte, pattern.dropFirst())
    case UInt8(ascii: "\\") where pattern.count > 1:
        let rest = pattern.dropFirst()
        return rest.first == byte ? rest.dropFirst() : nil
    default: return first == byte ? pattern.dropFirst() : nil
    }
}

/// `pattern` begins after the bracket; without another one it ends where the pattern does.
private func matchesSet(_ byte: UInt8, _ pattern: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    var rest = pattern
    let isNegated = rest.first == UInt8(ascii: "^")
    if isNegated { rest.removeFirst() }
    var isIn = false
    while let first = rest.first, first != UInt8(ascii: "]") {
        if first == UInt8(ascii: "\\"), rest.count > 1 {
            rest.removeFirst()
            if rest.removeFirst() == byte { isIn = true }
        } else if rest.count > 2, rest[rest.startIndex + 1] == UInt8(ascii: "-") {
            let (one, other) = (first, rest[rest.startIndex + 2])
            rest.removeFirst(3)
            if byte >= min(one, other), byte <= max(one, other) { isIn = true }
        } else {
            rest.removeFirst()
            if first == byte { isIn = true }
        }
    }
    guard isIn != isNegated else { return nil }
    return rest.isEmpty ? rest : rest.dropFirst()
}
