// SPDX-License-Identifier: Apache-2.0
// What a person calls a column's type, and how many categories it can number.

extension ColumnType {
    /// The type's name in words that users of data frames know.
    public var name: String {
        switch kind {
        case .boolean: return "Boolean"
        case .int8: return "Int8"
        case .int16: return "Int16"
        case .int32: return "Int32"
        case .int64: return "Int64"
        case .uint8: return "UInt8"
        case .uint16: return "UInt16"
        case .uint32: return "UInt32"
        case .uint64: return "UInt64"
        case .int128: return "Int128"
        case .uint128: return "UInt128"
        case .float32: return "Float32"
        case .float64: return "Float64"
        case .decimal128: return "Decimal"
        case .date32: return "Date"
        case .time32, .time64: return "Time"
        case .timestamp: return "Datetime"
        case .duration: return "Duration"
        case .string: return "String"
        case .binary: return "Binary"
        case .dictionary: return "Categorical"
        case .structure: return "Struct"
        case .list: return "List"
        case .fixedList: return "Array"
        }
    }

    /// The name with what belongs to it: `Decimal(10,2)`, `Datetime(ms, UTC)`, `Array(2)`.
    public var wholeName: String {
        let text = format
        switch kind {
        case .decimal128: return "\(name)(\(String(decoding: text.dropFirst(2), as: UTF8.self)))"
        case .timestamp where text.count > 3:
            let zone = String(decoding: text.dropFirst(4), as: UTF8.self)
            return "\(name)(\(ColumnType.unit(text[2]))\(zone.isEmpty ? "" : ", ")\(zone))"
        case .duration where text.count > 2: return "\(name)(\(ColumnType.unit(text[2])))"
        case .fixedList: return "\(name)(\(listSize))"
        default: return name
        }
    }

    /// What an error says about the time zone of a text in a timestamp column.
    public var timestampHint: String {
        let name = String(decoding: format.dropFirst(4), as: UTF8.self)
        let zone = TimestampZone(format: format)
        defer { zone.free() }
        switch zone {
        case .none: return "a text with an offset (Z, +02:00) needs a column with a time zone"
        case .fixed: return "a text without an offset is taken as \(name)"
        case .table:
            return "a text without an offset is local time in \(name), and must exist there once"
        case .unknown:
            return "a text without an offset needs the system's data for the time zone \(name), "
                + "which is not there (see TZDIR)"
        }
    }

    private static func unit(_ letter: UInt8) -> String {
        switch letter {
        case UInt8(ascii: "m"): return "ms"
        case UInt8(ascii: "u"): return "us"
        case UInt8(ascii: "n"): return "ns"
        default: return "s"
        }
    }

    /// How many different values the index type can number; Polars keeps the largest for itself.
    public var categoriesMost: Int {
        switch indexKind {
        case .int8: return Int(Int8.max)
        case .uint8: return Int(UInt8.max)
        case .int16: return Int(Int16.max)
        case .uint16: return Int(UInt16.max)
        default: return Int(Int32.max) - 1
        }
    }
}
