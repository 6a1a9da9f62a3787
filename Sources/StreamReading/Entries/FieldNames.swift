// SPDX-License-Identifier: Apache-2.0
// The names of columns for fields whose own names are taken: by a column of the entry's id, by one
// of the caller's, or by a field that came before.

import ArrowColumns
import CPlatform
import RedcolBase
import RedisConnection

/// `<name>_field`; where a field has that name itself, `<name>_field2`, and so on. So of several
/// such columns the one with the highest number is that of the field called `<name>`.
enum FieldNames {
    static func suffixed(_ name: [UInt8], _ number: Int) -> [UInt8] {
        name + Array((number == 1 ? "_field" : "_field\(number)").utf8)
    }

    /// The number for which `suffixed(base, number)` is `name`.
    static func number(of name: [UInt8], after base: [UInt8]) -> Int? {
        let start = suffixed(base, 1)
        guard name.count >= start.count, name.starts(with: start) else { return nil }
        let digits = name[start.count...]
        if digits.isEmpty { return 1 }
        // More digits would not fit, and a 0 or a 1 at the beginning is never written.
        guard digits.count <= 9, digits.first != 0x30 else { return nil }
        var number = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            number = number * 10 + Int(digit - 0x30)
        }
        return number > 1 ? number : nil
    }

    /// The column of each field that a schema knows: `fieldNames` has a column's field, nil for a
    /// column of the entry's id. `first`: the number of the schema's first column.
    ///
    /// The field of a reserved name goes to the column that it has where columns are discovered. A
    /// field that has the column's own name goes before it.
    static func table(
        _ schema: [RequestedColumn], _ fieldNames: [[UInt8]?], reserved: [[UInt8]], first: Int
    ) -> [(name: [UInt8], column: Int)] {
        /// The place of the field `name` where its column has another name.
        func place(of name: [UInt8]) -> Int? {
            var (found, highest): (Int?, Int) = (nil, 0)
            for (place, column) in schema.enumerated() where fieldNames[place] == column.name {
                if let number = number(of: column.name, after: name), number > highest {
                    (found, highest) = (place, number)
                }
            }
            return found
        }
        var table: [(name: [UInt8], column: Int)] = []
        // One that was asked for by its name (field:N) has its column.
        for name in reserved where !fieldNames.contains(name) {
            let column = place(of: name).map { FieldTable.fallback(first + $0) }
            table.append((name, column ?? FieldTable.ignored))
        }
        for (place, field) in fieldNames.enumerated() {
            if let field { table.append((field, first + place)) }
        }
        return table
    }

    /// The columns of those fields that may be escaped: discovering gives `\xff` to a field of that
    /// one byte, as to one of these four letters.
    static func escaped(_ fieldNames: [[UInt8]?], first: Int) -> [[UInt8]: Int] {
        var found: [[UInt8]: Int] = [:]
        for (place, field) in fieldNames.enumerated() {
            guard let field else { continue }
            let isEscaped = field.indices.contains {
                field[$0] == UInt8(ascii: "\\") && $0 + 3 < field.count
                    && field[$0 + 1] == UInt8(ascii: "x")
            }
            if isEscaped { found[field] = first + place }
        }
        return found
    }

    /// What a column's schema says of its field, if that has another name: Arrow's metadata with
    /// the key "redcol.field".
    static func metadata(field: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        func append(_ number: Int) {
            withUnsafeBytes(of: Int32(clamping: number)) { bytes.append(contentsOf: $0) }
        }
        let key = Array("redcol.field".utf8)
        append(1)
        append(key.count)
        bytes += key
        append(field.count)
        bytes += field
        return bytes
    }
}

/// Discovered columns as a schema that finds the values of all their fields. A field goes to the
/// column of its own name. So where the columns of "_id" and "_id_field" are called "_id_field" and
/// "_id_field_field", only the first stays: the values of both go there, which are texts then.
public func asSchema(_ columns: [RequestedColumn]) -> [RequestedColumn] {
    var places: [[UInt8]: Int] = [:]
    for (place, column) in columns.enumerated() where !column.metadata.isEmpty {
        places[column.name] = place
    }
    if places.isEmpty { return columns }
    let header = FieldNames.metadata(field: []).count
    var found = columns
    var isOther = columns.map { _ in false }
    for (place, column) in columns.enumerated() where column.metadata.count > header {
        let field = Array(column.metadata[header...])
        guard let own = places[field], !isOther[own], own != place else { continue }
        let isBinary = found[own].type.kind == .binary || found[place].type.kind == .binary
        found[own].type = isBinary ? .binary : .string
        found[own].children = []
        isOther[place] = true
    }
    return found.indices.filter { !isOther[$0] }.map { found[$0] }
}

/// A field's name in a spelling that no other field has: as its column's, except for a backslash
/// where that would look like a byte written so, as in `\x41`. It becomes such a byte itself.
func fieldSpelling(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    let backslash = UInt8(ascii: "\\")
    guard bytes.contains(backslash) else { return columnName(bytes) }
    func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }
    var name: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
        name.append(byte)
        if byte == backslash, index + 3 < bytes.count, bytes[index + 1] == UInt8(ascii: "x"),
            isHex(bytes[index + 2]), isHex(bytes[index + 3])
        {
            name += Array("x5c".utf8)
        }
    }
    return name.withUnsafeBufferPointer { columnName($0) }
}
