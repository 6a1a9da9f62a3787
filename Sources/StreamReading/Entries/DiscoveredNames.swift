// SPDX-License-Identifier: Apache-2.0
// The names of columns that are discovered, each of which is one field's.

import ArrowColumns

/// Names that are taken. Plain memory, freed by `free()`.
struct DiscoveredNames {
    /// What a field's column is called.
    struct Choice {
        let field: [UInt8]
        let name: [UInt8]
        /// The number in its name, if that is not the field's.
        let number: Int?
    }

    private var taken = ByteStringTable()
    /// Those of them that are nobody's field.
    private let reserved: [[UInt8]]
    /// Fields whose names are reserved.
    private var renamed: [Choice] = []

    init(reserved: [[UInt8]]) { self.reserved = reserved }

    mutating func free() { taken.free() }

    /// The column of a field that was not seen before, beside `columns`. nil: it would be taken for
    /// another field's, here or in a schema that has these columns.
    func choose(_ field: [UInt8], _ columns: [RequestedColumn]) -> Choice? {
        guard reserved.contains(field) else {
            let isConfusing = renamed.contains {
                FieldNames.number(of: field, after: $0.field) ?? 0 > $0.number ?? 0
            }
            return isConfusing || isTaken(field)
                ? nil : Choice(field: field, name: field, number: nil)
        }
        var number = 1
        for column in columns {
            guard let used = FieldNames.number(of: column.name, after: field) else { continue }
            number = max(number, used + 1)
        }
        return Choice(field: field, name: FieldNames.suffixed(field, number), number: number)
    }

    private func isTaken(_ name: [UInt8]) -> Bool {
        name.withUnsafeBufferPointer { name in
            guard let start = name.baseAddress else { return false }
            return taken.find(start, name.count) != nil
        }
    }

    /// Makes room for one more name of `count` bytes; false when there is no memory.
    mutating func reserve(_ count: Int) -> Bool { taken.reserve(count) }

    /// False when there is no memory.
    mutating func take(_ name: [UInt8]) -> Bool {
        var nothing: UInt8 = 0
        return name.withUnsafeBufferPointer { name in
            withUnsafePointer(to: &nothing) {
                taken.insert(name.baseAddress ?? $0, name.count) != nil
            }
        }
    }

    /// The field has its column.
    mutating func note(_ choice: Choice) -> Bool {
        if choice.number != nil { renamed.append(choice) }
        return take(choice.name)
    }
}
