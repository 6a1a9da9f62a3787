// SPDX-License-Identifier: Apache-2.0
// The members of one JSON object as the values of a row. Nothing is converted that JSON does not
// say itself: what does not fit its column is refused, as in a nested column.

import CPlatform

/// Which columns of a batch the keys of JSON objects name. Plain memory, freed by `free()`.
public struct JSONRow {
    public enum Outcome { case filled, notAnObject, noMemory }

    private let firstColumn: Int
    private let kinds: [ColumnType.Kind]
    private var names = ByteStringTable()
    /// Strings without their escapes, one after the other, until the row ends.
    private var scratch: UnsafeMutablePointer<UInt8>?
    private var scratchSize = 0
    private var scratchUsed = 0

    /// `columns`: those that keys name, from `firstColumn` on; nil when there is no memory.
    public init?(_ columns: [RequestedColumn], firstColumn: Int) {
        self.firstColumn = firstColumn
        kinds = columns.map { $0.type.kind }
        for column in columns {
            let number = column.name.withUnsafeBufferPointer { name in
                withPadding(name) { names.insert($0, name.count) }
            }
            if number == nil {
                free()
                return nil
            }
        }
    }

    public mutating func free() {
        names.free()
        CPlatform.free(scratch)
        scratch = nil
    }

    /// Sets the values of the row that was begun from an object's text, which must have 16 readable
    /// bytes after its end. A text that is not an object may have set some of them.
    public mutating func fill(
        _ batch: inout BatchBuilder, _ bytes: UnsafePointer<UInt8>, _ count: Int
    ) -> Outcome {
        guard isValidUTF8(bytes, count) else { return .notAnObject }
        var text = JSONText(bytes, count)
        guard text.take(UInt8(ascii: "{")) else { return .notAnObject }
        scratchUsed = 0
        // Members mostly come in the order of the columns.
        var next = 0
        if !text.take(UInt8(ascii: "}")) {
            repeat {
                guard text.peek() == UInt8(ascii: "\""), let key = text.takeString(),
                    text.take(UInt8(ascii: ":"))
                else { return .notAnObject }
                let place = find(key, guess: next, textSize: count)
                if place == JSONRow.noMemory { return .noMemory }
                if place < 0 {
                    guard text.skipValue() else { return .notAnObject }
                    continue
                }
                next = place &+ 1
                let outcome = set(&batch, place, &text, textSize: count)
                guard case .filled = outcome else { return outcome }
            } while text.take(UInt8(ascii: ","))
            guard text.take(UInt8(ascii: "}")) else { return .notAnObject }
        }
        return text.isAtEnd() ? .filled : .notAnObject
    }

    /// Makes the row's value in each of the columns null.
    public func fillNull(_ batch: inout BatchBuilder) {
        for place in kinds.indices { batch.setNull(firstColumn + place) }
    }

    private static var unknown: Int { -1 }
    private static var noMemory: Int { -2 }

    @inline(__always)
    private mutating func find(
        _ key: JSONText.Characters, guess: Int, textSize: Int
    ) -> Int {
        if key.hasEscapes {
            guard let target = room(for: key.count, textSize: textSize) else {
                return JSONRow.noMemory
            }
            return names.find(target, unescape(key, to: target)) ?? JSONRow.unknown
        }
        let guessed = names.text(at: guess)
        if guessed.count == key.count, let start = guessed.baseAddress,
            memcmp(start, key.start, key.count) == 0
        {
            return guess
        }
        return names.find(key.start, key.count) ?? JSONRow.unknown
    }

    /// Sets the value that comes next.
    private mutating func set(
        _ batch: inout BatchBuilder, _ place: Int, _ text: inout JSONText, textSize: Int
    ) -> Outcome {
        let (column, kind) = (firstColumn &+ place, kinds[place])
        let first = text.peek()
        let start = text.at
        var value = (start: start, count: 0)
        var fits = false
        switch first {
        case UInt8(ascii: "\""):
            guard let string = text.takeString() else { return .notAnObject }
            fits = kind.isJSONString
            value = (string.start, string.count)
            if fits, string.hasEscapes {
                guard let target = room(for: string.count, textSize: textSize) else {
                    return .noMemory
                }
                value = (UnsafePointer(target), unescape(string, to: target))
            }
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard text.skipValue() else { return .notAnObject }
            fits = kind.isNested
            value.count = text.at - start
        case UInt8(ascii: "n"):
            guard text.takeWord("null") else { return .notAnObject }
            batch.setNull(column)
            return .filled
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            guard text.takeWord(first == UInt8(ascii: "t") ? "true" : "false") else {
                return .notAnObject
            }
            fits = kind == .boolean
            value.count = text.at - start
        default:
            guard let number = text.takeNumber() else { return .notAnObject }
            fits = kind.takesJSONNumber(isInteger: number.isInteger)
            value.count = number.count
        }
        if fits {
            batch.set(column, value.start, value.count)
        } else {
            batch.setRefused(column, UnsafeBufferPointer(start: value.start, count: value.count))
        }
        return .filled
    }

    /// Room for a string of the row's text. All of them together are no longer than the text, so
    /// what was taken before stays where it is.
    private mutating func room(for count: Int, textSize: Int) -> UnsafeMutablePointer<UInt8>? {
        if scratchUsed == 0, textSize > scratchSize || scratch == nil {
            let size = max(textSize, scratchSize * 2, 256)
            CPlatform.free(scratch)
            scratch = calloc(size + 64, 1)?.assumingMemoryBound(to: UInt8.self)
            scratchSize = scratch == nil ? 0 : size
        }
        guard let scratch, scratchUsed + count <= scratchSize else { return nil }
        let target = scratch + scratchUsed
        scratchUsed += count
        return target
    }
}
