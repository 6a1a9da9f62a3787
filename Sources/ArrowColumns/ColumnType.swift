// SPDX-License-Identifier: Apache-2.0
// What a column holds, read from an Arrow format string, and the format in which it is handed over.
// https://arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings
import CPlatform
import RedcolBase

/// The type of a column: one of the types that text can carry.
public struct ColumnType: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case boolean
        case int8, int16, int32, int64
        case uint8, uint16, uint32, uint64
        case int128, uint128
        case float32, float64
        case decimal128
        case date32, time32, time64, timestamp, duration
        case string, binary
        case dictionary
        case structure, list, fixedList
    }

    public enum Unit: UInt8, Sendable {
        case second, millisecond, microsecond, nanosecond

        public var ticksPerSecond: Int64 {
            switch self {
            case .second: return 1
            case .millisecond: return 1_000
            case .microsecond: return 1_000_000
            case .nanosecond: return 1_000_000_000
            }
        }
    }

    public var kind: Kind
    /// Of a time, timestamp or duration; seconds for all else.
    public var unit: Unit
    /// Of a decimal: how many digits it has, and how many of them are after the point; else 0.
    public var precision: Int32
    public var scale: Int32
    /// How many values each list of a fixed size has; else 0.
    public var listSize: Int
    /// Of a dictionary: the integer that stands for a value; else the same as `kind`.
    public var indexKind: Kind
    /// The format that is handed over, without NUL; a dictionary's is that of its indices.
    public var format: [UInt8]

    /// Bytes of one value in the values buffer; 0 for booleans, which are single bits.
    public var byteWidth: Int { indexKind.byteWidth }

    public static let string = ColumnType(.string, "vu")
    public static let binary = ColumnType(.binary, "vz")
    public static let int64 = ColumnType(.int64, "l")
    public static let uint64 = ColumnType(.uint64, "L")
    public static let float64 = ColumnType(.float64, "g")

    /// Strings as indices into a dictionary; nil if `index` is no integer.
    public static func dictionary(index: Kind) -> ColumnType? {
        guard let format = index.integerFormat else { return nil }
        var type = ColumnType(.dictionary, "")
        type.indexKind = index
        type.format = [format]
        return type
    }

    init(_ kind: Kind, _ format: StaticString, unit: Unit = .second) {
        self.kind = kind
        self.unit = unit
        self.precision = 0
        self.scale = 0
        self.listSize = 0
        self.indexKind = kind
        let start = format.utf8Start
        self.format = [UInt8](UnsafeBufferPointer(start: start, count: format.utf8CodeUnitCount))
    }

    /// Reads the format of a column without a dictionary; `format` ends with a NUL byte.
    public init(format: UnsafePointer<CChar>) throws(ColumnError) {
        let bytes = copyBytes(format)
        guard let type = ColumnType.read(bytes) else {
            throw .schema(
                "Arrow format \"\(escaped(bytes))\" is not supported. Supported are b, c C s S i I "
                    + "l L, _pli128 _plu128, f g, u U vu, z Z vz, d:p,s with a precision of 1 to 38"
                    + " and a scale of 0 to the precision, tdD, tts ttm ttu ttn, tss: tsm: tsu: "
                    + "tsn: with any time zone, tDs tDm tDu tDn, integers with a dictionary of "
                    + "strings, and +s +l +L +w:n of these.")
        }
        self = type
    }

    private static func read(_ format: [UInt8]) -> ColumnType? {
        switch format.count {
        case 1: return readLetter(format[0])
        case 2:
            if format[0] == UInt8(ascii: "+") { return readNested(format[1]) }
            guard format[0] == UInt8(ascii: "v") else { return nil }
            if format[1] == UInt8(ascii: "u") { return ColumnType(.string, "vu") }
            return format[1] == UInt8(ascii: "z") ? ColumnType(.binary, "vz") : nil
        case 3...:
            switch format[0] {
            case UInt8(ascii: "d"): return readDecimal(format)
            case UInt8(ascii: "t"): return readTemporal(format)
            case UInt8(ascii: "+"): return readFixedList(format)
            case UInt8(ascii: "_"): return readWideInteger(format)
            default: return nil
            }
        default: return nil
        }
    }

    private static func readLetter(_ letter: UInt8) -> ColumnType? {
        switch letter {
        case UInt8(ascii: "b"): return ColumnType(.boolean, "b")
        case UInt8(ascii: "c"): return ColumnType(.int8, "c")
        case UInt8(ascii: "C"): return ColumnType(.uint8, "C")
        case UInt8(ascii: "s"): return ColumnType(.int16, "s")
        case UInt8(ascii: "S"): return ColumnType(.uint16, "S")
        case UInt8(ascii: "i"): return ColumnType(.int32, "i")
        case UInt8(ascii: "I"): return ColumnType(.uint32, "I")
        case UInt8(ascii: "l"): return ColumnType(.int64, "l")
        case UInt8(ascii: "L"): return ColumnType(.uint64, "L")
        case UInt8(ascii: "f"): return ColumnType(.float32, "f")
        case UInt8(ascii: "g"): return ColumnType(.float64, "g")
        // Text is built as views; see `RequestedColumn.layout`.
        case UInt8(ascii: "u"), UInt8(ascii: "U"): return ColumnType(.string, "vu")
        case UInt8(ascii: "z"), UInt8(ascii: "Z"): return ColumnType(.binary, "vz")
        default: return nil
        }
    }

    private static func readNested(_ letter: UInt8) -> ColumnType? {
        switch letter {
        case UInt8(ascii: "s"): return ColumnType(.structure, "+s")
        case UInt8(ascii: "l"): return ColumnType(.list, "+l")
        case UInt8(ascii: "L"): return ColumnType(.list, "+L")
        default: return nil
        }
    }

    /// "+w:n"; Arrow counts the values of a list in 32 bits.
    private static func readFixedList(_ format: [UInt8]) -> ColumnType? {
        guard format.count > 3, format.count <= 13, format[1] == UInt8(ascii: "w"),
            format[2] == UInt8(ascii: ":")
        else { return nil }
        var size = 0
        for byte in format[3...] {
            guard let digit = digitValue(byte) else { return nil }
            size = size * 10 + Int(digit)
        }
        guard size <= Int(Int32.max) else { return nil }
        var type = ColumnType(.fixedList, "")
        type.listSize = size
        type.format = format
        return type
    }

    /// Integers of 128 bits, which Arrow does not have: these are the names that Polars uses.
    private static func readWideInteger(_ format: [UInt8]) -> ColumnType? {
        if format.elementsEqual("_pli128".utf8) { return ColumnType(.int128, "_pli128") }
        return format.elementsEqual("_plu128".utf8) ? ColumnType(.uint128, "_plu128") : nil
    }

    private static func readTemporal(_ format: [UInt8]) -> ColumnType? {
        let letter = format[2]
        if letter == UInt8(ascii: "D") {
            let isDate = format.count == 3 && format[1] == UInt8(ascii: "d")
            return isDate ? ColumnType(.date32, "tdD") : nil
        }
        guard let unit = Unit(letter: letter) else { return nil }
        var type: ColumnType
        switch format[1] {
        case UInt8(ascii: "t"):
            guard format.count == 3 else { return nil }
            let isShort = unit == .second || unit == .millisecond
            type = ColumnType(isShort ? .time32 : .time64, "", unit: unit)
        case UInt8(ascii: "s"):
            guard format.count > 3, format[3] == UInt8(ascii: ":") else { return nil }
            type = ColumnType(.timestamp, "", unit: unit)
        case UInt8(ascii: "D"):
            guard format.count == 3 else { return nil }
            type = ColumnType(.duration, "", unit: unit)
        default: return nil
        }
        type.format = format
        return type
    }

    /// "d:p,s", or "d:p,s,128", which says the same.
    private static func readDecimal(_ format: [UInt8]) -> ColumnType? {
        guard format[1] == UInt8(ascii: ":") else { return nil }
        var numbers: (Int32, Int32, Int32) = (0, 0, 128)
        var index = 2
        var part = 0
        while true {
            var number: Int32 = 0
            let start = index
            while index < format.count, let digit = digitValue(format[index]) {
                // Three digits are enough for all that is supported, and cannot overflow.
                guard index - start < 3 else { return nil }
                number = number * 10 + Int32(digit)
                index += 1
            }
            guard index > start else { return nil }
            switch part {
            case 0: numbers.0 = number
            case 1: numbers.1 = number
            default: numbers.2 = number
            }
            if index == format.count { break }
            guard format[index] == UInt8(ascii: ","), part < 2 else { return nil }
            index += 1
            part += 1
        }
        guard part >= 1, numbers.2 == 128, numbers.0 >= 1, numbers.0 <= 38,
            numbers.1 <= numbers.0
        else { return nil }
        var type = ColumnType(.decimal128, "")
        type.precision = numbers.0
        type.scale = numbers.1
        type.format = format
        // Older readers know "d:p,s" only. What goes is ",128": all its digits are needed for 128.
        if part == 2 { type.format.removeLast(4) }
        return type
    }
}

extension ColumnType.Kind {
    /// Whether its columns have columns inside them.
    var isNested: Bool { self == .structure || self == .list || self == .fixedList }

    var byteWidth: Int {
        switch self {
        case .boolean, .structure, .list, .fixedList: return 0
        case .int8, .uint8: return 1
        case .int16, .uint16: return 2
        case .int32, .uint32, .float32, .date32, .time32, .dictionary: return 4
        case .int64, .uint64, .float64, .time64, .timestamp, .duration: return 8
        case .int128, .uint128, .decimal128, .string, .binary: return 16
        }
    }

    /// The format's letter if this is an integer, which can be the index of a dictionary.
    var integerFormat: UInt8? {
        switch self {
        case .int8: return UInt8(ascii: "c")
        case .uint8: return UInt8(ascii: "C")
        case .int16: return UInt8(ascii: "s")
        case .uint16: return UInt8(ascii: "S")
        case .int32: return UInt8(ascii: "i")
        case .uint32: return UInt8(ascii: "I")
        case .int64: return UInt8(ascii: "l")
        case .uint64: return UInt8(ascii: "L")
        default: return nil
        }
    }
}

extension ColumnType.Unit {
    fileprivate init?(letter: UInt8) {
        switch letter {
        case UInt8(ascii: "s"): self = .second
        case UInt8(ascii: "m"): self = .millisecond
        case UInt8(ascii: "u"): self = .microsecond
        case UInt8(ascii: "n"): self = .nanosecond
        default: return nil
        }
    }

    /// Nanoseconds that one tick lasts.
    var nanosecondsPerTick: Int64 {
        switch self {
        case .second: return 1_000_000_000
        case .millisecond: return 1_000_000
        case .microsecond: return 1_000
        case .nanosecond: return 1
        }
    }
}

/// The bytes of a C string, without its NUL.
func copyBytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
    [UInt8](UnsafeRawBufferPointer(start: text, count: strlen(text)))
}
