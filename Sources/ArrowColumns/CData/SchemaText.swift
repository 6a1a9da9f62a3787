// SPDX-License-Identifier: Apache-2.0
// A schema written as text, "value:l,name:vu": what a caller in C writes in place of a tree of
// structs. redcol.h describes the form.

import CArrowData
import CPlatform
import RedcolBase

/// Reads columns from text.
public struct SchemaText {
    private let text: [UInt8]
    private var next = 0

    public init(_ text: [UInt8]) { self.text = text }

    /// Fills `out` with the schema, moved to the caller.
    public mutating func export(
        into out: UnsafeMutablePointer<ArrowSchema>
    ) throws(ColumnError) {
        let columns = try columns()
        guard exportSchema(columns, into: out) else {
            throw ColumnError(cause: .memory, message: "no memory for a schema")
        }
    }

    private mutating func columns() throws(ColumnError) -> [RequestedColumn] {
        var columns: [RequestedColumn] = []
        skipSpace()
        if next == text.count { return columns }
        while true {
            columns.append(try column(columns.count))
            guard next < text.count else { break }
            next += 1  // the comma
            skipSpace()
        }
        try refuseDuplicates(columns)
        return columns
    }

    /// One column, up to its comma or the end of the text.
    private mutating func column(_ index: Int) throws(ColumnError) -> RequestedColumn {
        guard let name = take(until: [UInt8(ascii: ":"), UInt8(ascii: ",")]),
            next < text.count, text[next] == UInt8(ascii: ":")
        else {
            throw .schema(
                "Column \(index) of the schema has no \":\" between its name and its format: write "
                    + "name:format, as in \"value:l,name:vu\".")
        }
        next += 1
        let label = "Column \(index) (\"\(escaped(name))\") of the schema"
        let isDecimal = text[next...].starts(with: [UInt8(ascii: "d"), UInt8(ascii: ":")])
        let ends = [UInt8(ascii: ","), UInt8(ascii: "{")]
        guard let format = isDecimal ? takeDecimal() : take(until: ends) else {
            throw .schema("\(label): a \"\\\" ends the text; it stands before the byte it escapes.")
        }
        var column = RequestedColumn(name: name, type: .string)
        if next < text.count, text[next] == UInt8(ascii: "{") {
            next += 1
            let values = take(until: [UInt8(ascii: "}")]) ?? []
            guard next < text.count else {
                throw .schema("\(label): a \"{\" without a \"}\".")
            }
            next += 1
            column.type = try dictionary(withoutSpace(format), withoutSpace(values), label)
            column.layout = layout(withoutSpace(values), .string)
            skipSpace()
        } else {
            let format = withoutSpace(format)
            column.type = try type(format, label)
            column.layout = layout(format, column.type.kind)
        }
        guard next == text.count || text[next] == UInt8(ascii: ",") else {
            throw .schema(
                "\(label) is followed by something other than a comma, at byte \(next) of the "
                    + "text.")
        }
        return column
    }

    private func type(_ format: [UInt8], _ label: String) throws(ColumnError) -> ColumnType {
        guard format.first != UInt8(ascii: "+") else {
            throw .schema(
                "\(label): Arrow format \"\(escaped(format))\" is not supported in a text: nested "
                    + "types need a schema of structs.")
        }
        do throws(ColumnError) {
            return try (format + [0]).withUnsafeBufferPointer { bytes throws(ColumnError) in
                guard let start = bytes.baseAddress else { throw .schema("no format") }
                return try ColumnType(
                    format: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
            }
        } catch {
            throw .schema("\(label): \(error.message)")
        }
    }

    private func layout(_ format: [UInt8], _ kind: ColumnType.Kind) -> TextLayout {
        (format + [0]).withUnsafeBufferPointer { bytes in
            bytes.baseAddress.flatMap {
                TextLayout(UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self), kind)
            }
        } ?? .view
    }

    private func dictionary(
        _ index: [UInt8], _ values: [UInt8], _ label: String
    ) throws(ColumnError) -> ColumnType {
        guard try type(values, label).kind == .string,
            let type = ColumnType.dictionary(index: try type(index, label).kind)
        else {
            throw .schema(
                "\(label) has a dictionary of Arrow format \"\(escaped(values))\" with indices of "
                    + "format \"\(escaped(index))\". Supported are dictionaries of strings (u, U, "
                    + "vu) with integer indices.")
        }
        return type
    }

    // MARK: Bytes

    private mutating func skipSpace() {
        while next < text.count, SchemaText.isSpace(text[next]) { next += 1 }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }

    private func withoutSpace(_ bytes: [UInt8]) -> [UInt8] {
        var end = bytes.count
        while end > 0, SchemaText.isSpace(bytes[end - 1]) { end -= 1 }
        return Array(bytes[..<end])
    }

    /// The bytes before the first of `ends` that no "\" stands before, or before the end of the
    /// text; nil if a "\" ends it.
    private mutating func take(until ends: [UInt8]) -> [UInt8]? {
        var taken: [UInt8] = []
        while next < text.count, !ends.contains(text[next]) {
            if text[next] == UInt8(ascii: "\\") { next += 1 }
            guard next < text.count else { return nil }
            taken.append(text[next])
            next += 1
        }
        return taken
    }

    /// "d:9,2" or "d:9,2,128": its commas separate no columns. A last number that something else
    /// than a comma follows begins the next column's name.
    private mutating func takeDecimal() -> [UInt8] {
        let start = next
        next = digitsEnd(next + 2)
        for _ in 0..<2 {
            guard next < text.count, text[next] == UInt8(ascii: ",") else { break }
            let end = digitsEnd(next + 1)
            var after = end
            while after < text.count, SchemaText.isSpace(text[after]) { after += 1 }
            guard end > next + 1, after == text.count || text[after] == UInt8(ascii: ",") else {
                break
            }
            next = end
        }
        while next < text.count, text[next] != UInt8(ascii: ",") { next += 1 }
        return Array(text[start..<next])
    }

    private func digitsEnd(_ start: Int) -> Int {
        var end = start
        while end < text.count, digitValue(text[end]) != nil { end += 1 }
        return end
    }
}
