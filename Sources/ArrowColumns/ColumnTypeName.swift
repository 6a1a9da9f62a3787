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
