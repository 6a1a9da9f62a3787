// SPDX-License-Identifier: Apache-2.0
// Which types the values of a table's columns have. A type is guessed from how the values look, and
// then each of them is read as a read would read it: so reading with that type cannot fail on them.

import CArrowData
import CPlatform

extension ArrowTable {
    /// The columns, those of bytes with the narrowest type that all their values have.
    public func inferredColumns() throws(ColumnError) -> [RequestedColumn] {
        var found = columns
        for index in columns.indices where columns[index].type.kind == .binary {
            let values = try ColumnValues(arrays(of: index))
            defer { values.free() }
            var guess = TypeGuess()
            values.forEach { guess.see($0, $1) }
            guard guess.hasMemory else { throw .noMemory }
            for candidate in guess.candidates(for: columns[index]) {
                guard try values.fit(candidate) else { continue }
                found[index] = candidate
                break
            }
        }
        return found
    }
}

/// The values of a column that are not null, one after the other, with room after each of them.
private struct ColumnValues {
    private let memory: UnsafeMutablePointer<UInt8>
    private let ends: UnsafeMutablePointer<Int>
    private let count: Int
    /// What a parser may look at after a value.
    private static let slack = 32

    init(_ arrays: [UnsafePointer<ArrowArray>]) throws(ColumnError) {
        var bytes = 0
        var values = 0
        for array in arrays {
            forEachText(array) { _, _, length in
                bytes &+= length &+ ColumnValues.slack
                values &+= 1
            }
        }
        guard let memory = calloc(bytes &+ 1, 1),
            let ends = calloc(values &+ 1, MemoryLayout<Int>.stride)
        else { throw .noMemory }
        self.memory = memory.assumingMemoryBound(to: UInt8.self)
        self.ends = ends.assumingMemoryBound(to: Int.self)
        count = values
        var end = 0
        var value = 0
        for array in arrays {
            let (memory, ends) = (self.memory, self.ends)
            forEachText(array) { _, text, length in
                _ = memcpy(memory + end, text, length)
                end &+= length
                ends[value] = end
                end &+= ColumnValues.slack
                value &+= 1
            }
        }
    }

    func free() {
        CPlatform.free(memory)
        CPlatform.free(ends)
    }

    func forEach(_ body: (UnsafePointer<UInt8>, Int) -> Void) {
        var start = 0
        for value in 0..<count {
            body(memory + start, ends[value] &- start)
            start = ends[value] &+ ColumnValues.slack
        }
    }

    /// Whether a column of this type takes all of them.
    func fit(_ column: RequestedColumn) throws(ColumnError) -> Bool {
        var batch = try BatchBuilder([column], onRefused: .null)
        defer { batch.free() }
        var hasMemory = true
        forEach { text, length in
            guard hasMemory, batch.beginRow() else { return hasMemory = false }
            batch.set(0, text, length)
            if case .noMemory = batch.commitRow() { hasMemory = false }
        }
        guard hasMemory else { throw .noMemory }
        return batch.takeNulled() == 0
    }
}

/// What the values that were seen can be.
struct TypeGuess {
    private static let integer: UInt8 = 1
    private static let float: UInt8 = 2
    private static let boolean: UInt8 = 4
    private static let date: UInt8 = 8
    private static let localTime: UInt8 = 16
    private static let utcTime: UInt8 = 32
    private static let json: UInt8 = 64
    private static let string: UInt8 = 128

    private var possible: UInt8 = .max
    private var hasNumber = false
    /// Whether a time has parts of a microsecond.
    private var hasNanoseconds = false
    private var shape = JSONShape()
    private var wasRefusedMemory = false

    /// Whether there was memory to look at all of them, and is for the candidates.
    var hasMemory: Bool {
        !wasRefusedMemory
            && (possible & TypeGuess.json == 0 || platform_memory_is_there(shape.columnBytes))
    }

    mutating func see(_ text: UnsafePointer<UInt8>, _ count: Int) {
        guard possible & TypeGuess.string != 0, isValidUTF8(text, count) else {
            possible = 0
            return
        }
        var fits = TypeGuess.string
        if possible != fits {
            fits |= numbers(text, count)
            if count > 1, parseBoolean(text, count) != nil { fits |= TypeGuess.boolean }
            if count >= 10, text[4] == UInt8(ascii: "-") { fits |= times(text, count) }
            if possible & TypeGuess.json != 0, isJSON(text, count) { fits |= TypeGuess.json }
        }
        possible &= fits
    }

    /// A number as programs write it: no plus, no leading zeros, no more digits than are kept.
    private mutating func numbers(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt8 {
        var index = count > 0 && text[0] == UInt8(ascii: "-") ? 1 : 0
        guard index < count, text[index] != UInt8(ascii: "+") else { return 0 }
        let first = text[index]
        if first == UInt8(ascii: "0"), index + 1 < count, digitValue(text[index + 1]) != nil {
            return 0
        }
        var digits = 0
        while index < count, digitValue(text[index]) != nil || text[index] == UInt8(ascii: ".") {
            if text[index] != UInt8(ascii: ".") { digits += 1 }
            index += 1
        }
        let isFloat = parseDouble(text, count) != nil
        guard digits > 0 else { return isFloat ? TypeGuess.float : 0 }  // nan and inf
        hasNumber = true
        let isInteger = parseSigned(text, count) != nil
        if isInteger, first == UInt8(ascii: "0"), count > 1 { return 0 }  // "-0"
        var fits: UInt8 = isInteger ? TypeGuess.integer : 0
        if isFloat, digits <= (isInteger ? 15 : 17) { fits |= TypeGuess.float }
        return fits
    }

    private mutating func times(_ text: UnsafePointer<UInt8>, _ count: Int) -> UInt8 {
        var fits: UInt8 = 0
        if count == 10, parseDate(text, count) != nil { fits |= TypeGuess.date }
        if parseTimestamp(text, count, .second, .none) != nil {
            fits |= TypeGuess.localTime
        } else if parseTimestamp(text, count, .second, .fixed(0)) != nil {
            fits |= TypeGuess.utcTime
        }
        // "2024-01-01T00:00:00." and more than six digits.
        if fits != 0, count > 26, text[19] == UInt8(ascii: "."),
            (20...26).allSatisfy({ digitValue(text[$0]) != nil })
        {
            hasNanoseconds = true
        }
        return fits
    }

    private mutating func isJSON(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var text = JSONText(bytes, count)
        let first = text.peek()
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return false }
        guard platform_memory_is_there(count &* JSONShape.bytesPerByte) else {
            wasRefusedMemory = true
            return false
        }
        return shape.see(&text, depth: 0) && text.isAtEnd()
    }

    /// Columns in place of one of bytes, the narrowest first; the last one takes any value.
    func candidates(for column: RequestedColumn) -> [RequestedColumn] {
        var found: [RequestedColumn] = []
        func add(_ type: ColumnType, if flag: UInt8) {
            guard possible & flag != 0 else { return }
            var candidate = column
            candidate.type = type
            found.append(candidate)
        }
        func time(_ micro: StaticString, _ nano: StaticString) -> ColumnType {
            ColumnType(
                .timestamp, hasNanoseconds ? nano : micro,
                unit: hasNanoseconds ? .nanosecond : .microsecond)
        }
        if possible != .max {
            add(.int64, if: TypeGuess.integer)
            if hasNumber { add(ColumnType(.float64, "g"), if: TypeGuess.float) }
            add(ColumnType(.boolean, "b"), if: TypeGuess.boolean)
            add(ColumnType(.date32, "tdD"), if: TypeGuess.date)
            add(time("tsu:", "tsn:"), if: TypeGuess.localTime)
            add(time("tsu:UTC", "tsn:UTC"), if: TypeGuess.utcTime)
            if possible & TypeGuess.json != 0, let nested = shape.column(like: column) {
                found.append(nested)
            }
        }
        add(.string, if: TypeGuess.string)
        found.append(column)
        return found
    }
}
