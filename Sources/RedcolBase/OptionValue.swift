// SPDX-License-Identifier: Apache-2.0
// Options come as texts: keys and values. What a value means, and the errors of those that mean
// nothing.

/// Option values as what they mean.
public enum OptionValue {
    public static func wrong(_ key: String, _ value: String, _ wanted: String) -> RedcolError {
        RedcolError(
            .invalidArgument,
            "\(key) is \"\(escaped(Array(value.utf8), limit: 80))\", but must be \(wanted)")
    }

    public static func integer(
        _ key: String, _ value: String, _ range: ClosedRange<Int>
    ) throws(RedcolError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            let most = range.upperBound == .max ? "" : " to \(range.upperBound)"
            throw wrong(key, value, "a whole number from \(range.lowerBound)\(most)")
        }
        return number
    }

    /// Whole numbers with points between them.
    public static func place(_ text: Substring.UTF8View) -> [Int]? {
        var place: [Int] = []
        for part in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard let number = Int(Substring(part)), number >= 0 else { return nil }
            place.append(number)
        }
        return place
    }

    public static func milliseconds(_ key: String, _ value: String) throws(RedcolError) -> Int64 {
        Int64(try integer(key, value, 0...Int(Int32.max)))
    }

    /// "now" or "later".
    public static func later(_ key: String, _ value: String) throws(RedcolError) -> Bool {
        switch value {
        case "now": return false
        case "later": return true
        default: throw wrong(key, value, "\"now\" or \"later\"")
        }
    }

    public static func name(_ key: String, _ value: String) throws(RedcolError) -> [UInt8] {
        guard !value.isEmpty else { throw wrong(key, value, "a name that is not empty") }
        return Array(value.utf8)
    }

    public static func boolean(_ key: String, _ value: String) throws(RedcolError) -> Bool {
        switch value {
        case "true": return true
        case "false": return false
        default: throw wrong(key, value, "\"true\" or \"false\"")
        }
    }

    /// `1:a,4:blue,` as its strings. https://cr.yp.to/proto/netstrings.txt
    public static func netstrings(_ key: String, _ value: String) throws(RedcolError) -> [[UInt8]] {
        let text = Array(value.utf8)
        var strings: [[UInt8]] = []
        var index = 0
        while index < text.count {
            var length = 0
            let digitsBegin = index
            while index < text.count, text[index] >= 0x30, text[index] <= 0x39 {
                length = min(length * 10 + Int(text[index] - 0x30), text.count + 1)
                index += 1
            }
            let begin = index + 1
            guard index > digitsBegin, index < text.count, text[index] == 0x3A,
                begin + length < text.count, text[begin + length] == 0x2C
            else { throw wrong(key, value, "netstrings, as in \"1:a,4:blue,\"") }
            strings.append(Array(text[begin..<(begin + length)]))
            index = begin + length + 1
        }
        return strings
    }
}

extension OptionValue {
    /// The error for an option that there is not. It names those that there are, and first the ones
    /// that are spelled most like it.
    public static func unknown(_ key: String, _ what: String, known: [String]) -> RedcolError {
        let given = Array(key.utf8.prefix(80))
        var ranked: [(distance: Int, name: String)] = []
        for name in known {
            let distance = editDistance(given, Array(name.utf8))
            let place = ranked.firstIndex { $0.distance > distance } ?? ranked.count
            ranked.insert((distance, name), at: place)
        }
        var list = ""
        for (_, name) in ranked { list += list.isEmpty ? name : ", " + name }
        return RedcolError(
            .invalidArgument,
            "there is no option \"\(escaped(Array(key.utf8), limit: 80))\" for \(what); "
                + "there are \(list)")
    }

    /// How many bytes must be added, taken away or changed to make one text of the other.
    static func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (index, byte) in one.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, otherByte) in other.enumerated() {
                let changed = diagonal + (byte == otherByte ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
            }
        }
        return row[other.count]
    }
}
