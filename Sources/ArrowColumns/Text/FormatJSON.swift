// SPDX-License-Identifier: Apache-2.0
// Lists and structs as JSON text: what the reading half decodes to the same values.
// https://www.rfc-editor.org/rfc/rfc8259

import CPlatform
import RedcolBase

extension GrowingBytes {
    /// Appends a column's name as the key of an object, with its colon.
    public mutating func appendJSONKey(
        _ column: Int, _ schema: InputSchema
    ) throws(RedcolError) {
        guard !schema.nodes[column].isBinary else {
            throw RedcolError(
                .schema,
                "column \"\(schema.shownName(column))\": JSON has no bytes; cast them to text")
        }
        try schema.names[column].withUnsafeBufferPointer { bytes throws(RedcolError) in
            try appendJSONString(bytes)
        }
        try append(UInt8(ascii: ":"))
    }

    /// Appends the value at `row`: numbers and booleans as such, durations as their ticks, all else
    /// as strings; decimals too, since readers take numbers for floats.
    public mutating func appendJSON(
        _ node: UnsafePointer<InputNode>, _ row: Int, _ schema: InputSchema
    ) throws(RedcolError) {
        if try node.pointee.isNull(row, schema.nodes) { return try append("null") }
        let first = node.pointee.firstChild
        switch node.pointee.kind {
        case .dictionary:
            let index = try node.pointee.dictionaryIndex(row, schema.nodes)
            try appendJSON(schema.nodes + first, index, schema)
        case .structure: try appendStruct(node, row, schema)
        case .list32: try appendList(first, node.pointee.extent(row, as: Int32.self), schema)
        case .list64: try appendList(first, node.pointee.extent(row, as: Int64.self), schema)
        case .fixedList:
            let begin = (node.pointee.offset &+ row) &* node.pointee.width
            try appendList(first, begin..<(begin &+ node.pointee.width), schema)
        case .text32, .text64, .textView:
            if let bytes = try node.pointee.bytes(row) { try appendJSONString(bytes) }
        case .duration:
            let text = try reserve(64)
            advance(writeDecimal(node.pointee.load(row, as: Int64.self) ?? 0, to: text))
        case .float16, .float32, .float64: try appendJSONFloat(node, row)
        case .date32, .date64, .time32, .time64, .timestamp, .decimal32, .decimal64, .decimal128:
            let text = try reserve(66)
            let length: Int
            if node.pointee.kind == .timestamp {
                // JSON's readers take no ticks for a time.
                guard let written = node.pointee.writeDateAndTime(row, to: text + 1) else {
                    throw RedcolError(.value, "a time whose year has more than six digits")
                }
                length = written
            } else {
                length = try node.pointee.writeShort(row, to: text + 1)
            }
            text[0] = UInt8(ascii: "\"")
            text[length &+ 1] = UInt8(ascii: "\"")
            advance(length &+ 2)
        default:
            let text = try reserve(64)
            advance(try node.pointee.writeShort(row, to: text))
        }
    }

    private mutating func appendJSONFloat(
        _ node: UnsafePointer<InputNode>, _ row: Int
    ) throws(RedcolError) {
        let text = try reserve(64)
        let length = try node.pointee.writeShort(row, to: text)
        guard node.pointee.isFinite(row) else {
            throw RedcolError(
                .value,
                "\(escaped(UnsafeBufferPointer(start: text, count: length), limit: 8)), "
                    + "and JSON, as which it is written, has no such number")
        }
        advance(length)
    }

    private mutating func appendStruct(
        _ node: UnsafePointer<InputNode>, _ row: Int, _ schema: InputSchema
    ) throws(RedcolError) {
        try append(UInt8(ascii: "{"))
        for part in 0..<node.pointee.childCount {
            let index = node.pointee.firstChild &+ part
            if part > 0 { try append(UInt8(ascii: ",")) }
            let name = schema.names[index]
            try name.withUnsafeBufferPointer { bytes throws(RedcolError) in
                try appendJSONString(bytes)
            }
            try append(UInt8(ascii: ":"))
            try appendJSON(schema.nodes + index, node.pointee.offset &+ row, schema)
        }
        try append(UInt8(ascii: "}"))
    }

    private mutating func appendList(
        _ child: Int, _ extent: Range<Int>, _ schema: InputSchema
    ) throws(RedcolError) {
        guard extent.upperBound <= schema.nodes[child].length else {
            throw InputNode.malformed("a list beyond its values")
        }
        try append(UInt8(ascii: "["))
        for index in extent {
            if index > extent.lowerBound { try append(UInt8(ascii: ",")) }
            try appendJSON(schema.nodes + child, index, schema)
        }
        try append(UInt8(ascii: "]"))
    }

    private mutating func appendJSONString(
        _ bytes: UnsafeBufferPointer<UInt8>
    ) throws(RedcolError) {
        let (room, isTooLarge) = bytes.count.multipliedReportingOverflow(by: 6)
        guard !isTooLarge else { throw RedcolError(.memory, "no memory for a text as JSON") }
        let text = try reserve(room + 2)
        let digits: StaticString = "0123456789abcdef"
        var at = 1
        text[0] = UInt8(ascii: "\"")
        for byte in bytes {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                text[at] = UInt8(ascii: "\\")
                text[at &+ 1] = byte
                at &+= 2
            } else if byte < 0x20 {
                memcpy(text + at, "\\u00", 4)
                text[at &+ 4] = digits.utf8Start[Int(byte &>> 4)]
                text[at &+ 5] = digits.utf8Start[Int(byte & 15)]
                at &+= 6
            } else {
                text[at] = byte
                at &+= 1
            }
        }
        text[at] = UInt8(ascii: "\"")
        advance(at &+ 1)
    }
}
