// SPDX-License-Identifier: Apache-2.0
// Which type JSON texts have: what their values are, field by field.

/// What the values at one place of JSON texts are.
struct JSONShape {
    private static let boolean: UInt8 = 1
    private static let integer: UInt8 = 2
    private static let float: UInt8 = 4
    private static let string: UInt8 = 8
    private static let object: UInt8 = 16
    private static let array: UInt8 = 32

    /// Deeper texts, and objects with more fields, stay text.
    private static let depthMax = 32
    private static let fieldsMax = 1_000

    /// What is kept of each byte of a text, at most: of `"":{` a field, and two arrays for it.
    static let bytesPerByte = 64

    private var kinds: UInt8 = 0
    private var names: [[UInt8]] = []
    /// The fields of objects, or what the values of arrays are.
    private var children: [JSONShape] = []

    /// Takes the value that comes next; false if it is malformed, or of no type.
    mutating func see(_ text: inout JSONText, depth: Int) -> Bool {
        switch text.peek() {
        case UInt8(ascii: "{"): return seeObject(&text, depth)
        case UInt8(ascii: "["): return seeArray(&text, depth)
        case UInt8(ascii: "\""):
            kinds |= JSONShape.string
            return text.takeString() != nil
        case UInt8(ascii: "n"): return text.takeWord("null")
        case UInt8(ascii: "t"):
            kinds |= JSONShape.boolean
            return text.takeWord("true")
        case UInt8(ascii: "f"):
            kinds |= JSONShape.boolean
            return text.takeWord("false")
        default:
            guard let number = text.takeNumber() else { return false }
            kinds |= number.isInteger ? JSONShape.integer : JSONShape.float
            return true
        }
    }

    private mutating func seeArray(_ text: inout JSONText, _ depth: Int) -> Bool {
        kinds |= JSONShape.array
        guard kinds == JSONShape.array, depth < JSONShape.depthMax, text.take(UInt8(ascii: "["))
        else { return false }
        if children.isEmpty { children.append(JSONShape()) }
        if text.take(UInt8(ascii: "]")) { return true }
        repeat {
            guard children[0].see(&text, depth: depth + 1) else { return false }
        } while text.take(UInt8(ascii: ","))
        return text.take(UInt8(ascii: "]"))
    }

    private mutating func seeObject(_ text: inout JSONText, _ depth: Int) -> Bool {
        kinds |= JSONShape.object
        guard kinds == JSONShape.object, depth < JSONShape.depthMax, text.take(UInt8(ascii: "{"))
        else { return false }
        if text.take(UInt8(ascii: "}")) { return true }
        repeat {
            guard text.peek() == UInt8(ascii: "\""), let key = text.takeString(), !key.hasEscapes,
                text.take(UInt8(ascii: ":"))
            else { return false }
            let name = Array(UnsafeBufferPointer(start: key.start, count: key.count))
            var field = names.firstIndex { $0 == name } ?? names.count
            if field == names.count {
                guard names.count < JSONShape.fieldsMax else { return false }
                names.append(name)
                children.append(JSONShape())
                field = names.count - 1
            }
            guard children[field].see(&text, depth: depth + 1) else { return false }
        } while text.take(UInt8(ascii: ","))
        return text.take(UInt8(ascii: "}"))
    }

    /// What the column of this shape takes, with its children.
    var columnBytes: Int { children.reduce(512) { $0 &+ $1.columnBytes } }

    /// A column of this type, with the name and all else of `column`; nil if there is no type for
    /// it. Where there were only nulls, strings are expected.
    func column(like column: RequestedColumn) -> RequestedColumn? {
        var found = column
        switch kinds {
        case 0, JSONShape.string: found.type = .string
        case JSONShape.boolean: found.type = ColumnType(.boolean, "b")
        case JSONShape.integer: found.type = .int64
        case JSONShape.float, JSONShape.float | JSONShape.integer:
            found.type = ColumnType(.float64, "g")
        case JSONShape.array: found.type = ColumnType(.list, "+L")
        case JSONShape.object where !names.isEmpty: found.type = ColumnType(.structure, "+s")
        default: return nil
        }
        for index in children.indices {
            let name = names.isEmpty ? Array("item".utf8) : names[index]
            let child = RequestedColumn(name: name, type: .string)
            guard let inner = children[index].column(like: child) else { return nil }
            found.children.append(inner)
        }
        return found
    }
}
