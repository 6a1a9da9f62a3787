// What a person calls a column's type, for messages.

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
}
