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
    /// The numbers that other fields have used whose names were taken.
    private var numbers: [[UInt8]: Int] = [:]

    init(reserved: [[UInt8]]) { self.reserved = reserved }

    mutating func free() { taken.free() }

    /// The column of a field that was not seen before, beside `columns`: of its own name if no
    /// other column has that, and if it would not be taken for a reserved name's in a schema that
    /// has these columns.
    func choose(_ field: [UInt8], _ columns: [RequestedColumn]) -> Choice {
        var number = 1
        if isReserved(field) {
            for column in columns {
                guard let used = FieldNames.number(of: column.name, after: field) else { continue }
                number = max(number, used + 1)
            }
        } else {
            let isConfusing = renamed.contains {
                FieldNames.number(of: field, after: $0.field) ?? 0 > $0.number ?? 0
            }
            if !isConfusing, !isTaken(field) {
                return Choice(field: field, name: field, number: nil)
            }
            number = (numbers[field] ?? 0) + 1
        }
        while isTaken(FieldNames.suffixed(field, number)) { number += 1 }
        return Choice(field: field, name: FieldNames.suffixed(field, number), number: number)
    }

    func isReserved(_ name: [UInt8]) -> Bool { reserved.contains(name) }

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
        if let number = choice.number {
            if isReserved(choice.field) {
                renamed.append(choice)
            } else {
                numbers[choice.field] = number
            }
        }
        return take(choice.name)
    }
}
