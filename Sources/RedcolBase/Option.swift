// SPDX-License-Identifier: Apache-2.0
// Options are texts, keys and values. This file finds an option in its table, turns its value into
// what it means, and makes the errors. The tables are in OptionTables.swift.

import CPlatform

/// A row of a table of options.
public struct Option: Sendable {
    public enum Kind: Sendable {
        case text
        /// An entry id, or what else the option says; whoever uses it checks it.
        case id
        /// Text that is not empty.
        case name
        case boolean
        case integer(from: Int, to: Int = .max)
        /// One of these words, which stand with a space between two.
        case word(StaticString)
        /// Any number of texts, each after its length: "1:a,4:blue,".
        case netstrings
    }

    /// Without what an option has no effect, so that it is refused.
    public enum Need: Sendable {
        case group, follow, manyStreams, schema, noSchema, groupList, pendingList
    }

    /// A name that ends in ":N" stands for those with the place of a column in place of the N.
    public let name: StaticString
    public let kind: Kind
    /// What holds if the option is not given; nil: the option then has no effect.
    public let standard: StaticString?
    public let need: Need?

    init(_ name: StaticString, _ kind: Kind, default: StaticString? = nil, needs need: Need? = nil)
    {
        self.name = name
        self.kind = kind
        standard = `default`
        self.need = need
    }

    public var nameText: String { "\(name)" }

    /// Whether `key` is this option's name; `place` then has the numbers of a column.
    fileprivate func isNamed(_ key: UnsafeBufferPointer<UInt8>, _ place: inout [Int]) -> Bool {
        let isOfColumn = name.utf8Start[name.utf8CodeUnitCount - 2] == UInt8(ascii: ":")
        let fixed = name.utf8CodeUnitCount - (isOfColumn ? 1 : 0)
        guard let start = key.baseAddress, isOfColumn ? key.count > fixed : key.count == fixed,
            memcmp(start, name.utf8Start, fixed) == 0
        else { return false }
        guard isOfColumn else { return true }
        guard let numbers = Option.place(key[fixed...]) else { return false }
        place = numbers
        return true
    }

    /// Whole numbers with points between them.
    private static func place(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> [Int]? {
        var place: [Int] = []
        var number: Int?
        for byte in text {
            if byte == UInt8(ascii: "."), let complete = number {
                place.append(complete)
                number = nil
                continue
            }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (tens, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
            let (sum, isTooMuch) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            if isTooLarge || isTooMuch { return nil }
            number = sum
        }
        guard let number else { return nil }
        place.append(number)
        return place
    }
}

/// The options of one kind of call.
public protocol OptionTable: CaseIterable, Equatable, Sendable where AllCases == [Self] {
    /// What the options are for, as in "there is no option … for a read".
    static var purpose: StaticString { get }
    var option: Option { get }
}

extension OptionTable {
    /// The option that a caller gave. Its value is checked when it is taken.
    public static func given(
        _ key: String, _ value: String
    ) throws(RedcolError) -> (name: Self, value: GivenOption) {
        let rows = allCases
        let found = givenOption(key, value, amongFirst: rows.count) { rows[$0].option }
        guard let found else { throw unknown(key) }
        return (rows[found.row], found.value)
    }

    public static func unknown(_ key: String) -> RedcolError {
        let rows = allCases
        return unknownOption(key, for: purpose, amongFirst: rows.count) { rows[$0].option }
    }
}

/// The option `key` of a table's rows, if there is one. Not generic: it is in the library once.
private func givenOption(
    _ key: String, _ value: String, amongFirst count: Int, _ option: (Int) -> Option
) -> (row: Int, value: GivenOption)? {
    var text = key
    return text.withUTF8 { bytes in
        var place: [Int] = []
        for row in 0..<count {
            let option = option(row)
            if option.isNamed(bytes, &place) {
                return (row, GivenOption(option: option, key: key, text: value, place: place))
            }
        }
        return nil
    }
}

/// The error for an option that does not exist. It lists those that do, the one with the most
/// similar name first.
private func unknownOption(
    _ key: String, for purpose: StaticString, amongFirst count: Int, _ option: (Int) -> Option
) -> RedcolError {
    let given = Array(key.utf8.prefix(80))
    let names = (0..<count).map { option($0).nameText }
    let distances = names.map { editDistance(given, Array($0.utf8)) }
    let ranked = sortedIndices(count) { distances[$0] < distances[$1] }
    var list = ""
    for row in ranked { list += list.isEmpty ? names[row] : ", " + names[row] }
    return RedcolError(
        .invalidArgument,
        "there is no option \"\(escaped(Array(key.utf8), limit: 80))\" for \(purpose); "
            + "there are \(list)")
}

/// An option that a caller gave: its row, and its value, which is checked when it is taken as what
/// the row says.
public struct GivenOption {
    public let option: Option
    /// As it was given: "categories:3".
    public let key: String
    public let text: String
    /// The numbers of a column, where the key has them.
    public let place: [Int]

    public var bytes: [UInt8] { Array(text.utf8) }

    @inline(never)
    public func wrong(_ wanted: String) -> RedcolError {
        RedcolError(
            .invalidArgument, "\(key) is \"\(escaped(bytes, limit: 80))\", but must be \(wanted)")
    }

    public var wrong: RedcolError { wrong(option.kind.wanted) }

    public func name() throws(RedcolError) -> [UInt8] { Array(try filled().utf8) }

    /// A text that is not empty.
    public func filled() throws(RedcolError) -> String {
        guard case .name = option.kind, !text.isEmpty else { throw wrong }
        return text
    }

    public func integer() throws(RedcolError) -> Int {
        guard case .integer(let least, let most) = option.kind, let number = Int(text),
            number >= least, number <= most
        else { throw wrong }
        return number
    }

    public func boolean() throws(RedcolError) -> Bool {
        guard case .boolean = option.kind, text == "true" || text == "false" else { throw wrong }
        return text == "true"
    }

    /// The value of an enum whose raw values are the words of the row.
    public func word<Word: RawRepresentable & CaseIterable>(
        as _: Word.Type
    ) throws(RedcolError) -> Word where Word.RawValue == String, Word.AllCases == [Word] {
        let words = Word.allCases
        return words[try place(amongFirst: words.count) { words[$0].rawValue }]
    }

    private func place(amongFirst count: Int, _ word: (Int) -> String) throws(RedcolError) -> Int {
        guard case .word = option.kind, let place = (0..<count).first(where: { word($0) == text })
        else { throw wrong }
        return place
    }

    /// https://cr.yp.to/proto/netstrings.txt
    public func netstrings() throws(RedcolError) -> [[UInt8]] {
        guard case .netstrings = option.kind else { throw wrong }
        let text = bytes
        var strings: [[UInt8]] = []
        var index = 0
        while index < text.count {
            var length = 0
            let digitsBegin = index
            while index < text.count, text[index] >= UInt8(ascii: "0"),
                text[index] <= UInt8(ascii: "9")
            {
                length = min(length * 10 + Int(text[index] - UInt8(ascii: "0")), text.count + 1)
                index += 1
            }
            let begin = index + 1
            guard index > digitsBegin, index < text.count, text[index] == UInt8(ascii: ":"),
                begin + length < text.count, text[begin + length] == UInt8(ascii: ",")
            else { throw wrong }
            strings.append(Array(text[begin..<(begin + length)]))
            index = begin + length + 1
        }
        return strings
    }
}

extension Option.Kind {
    /// What a value must be, for an error.
    fileprivate var wanted: String {
        switch self {
        case .text: return "text"
        case .id: return "an entry id, such as 1704067200000-0"
        case .name: return "a name that is not empty"
        case .boolean: return "\"true\" or \"false\""
        case .integer(let least, let most):
            return "a whole number from \(least)" + (most == .max ? "" : " to \(most)")
        case .netstrings: return "netstrings, as in \"1:a,4:blue,\""
        case .word(let words):
            let bytes = UnsafeBufferPointer(start: words.utf8Start, count: words.utf8CodeUnitCount)
            let last = bytes.lastIndex(of: UInt8(ascii: " "))
            var list: [UInt8] = [UInt8(ascii: "\"")]
            for (index, byte) in bytes.enumerated() {
                if byte != UInt8(ascii: " ") {
                    list.append(byte)
                } else {
                    list += Array((index == last ? "\" or \"" : "\", \"").utf8)
                }
            }
            return String(decoding: list, as: UTF8.self) + "\""
        }
    }
}

/// How many bytes must be added, removed or changed to make one text of the other.
func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
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
