// SPDX-License-Identifier: Apache-2.0
// Values as text, as Polars prints them in CSV. Nothing is allocated for a value.

import CPlatform
import RedcolBase

extension InputNode {
    /// Whether the value at `row` is null.
    @inline(__always)
    public func isNull(_ row: Int, _ nodes: UnsafePointer<InputNode>) throws(RedcolError) -> Bool {
        if let validity {
            let at = offset &+ row
            if validity[at &>> 3] &>> UInt8(truncatingIfNeeded: at & 7) & 1 == 0 { return true }
        }
        if kind == .null { return true }
        guard kind == .dictionary else { return false }
        return try nodes[firstChild].isNull(dictionaryIndex(row, nodes), nodes)
    }

    @inline(__always)
    public func load<Value: BitwiseCopyable>(_ row: Int, as type: Value.Type) -> Value? {
        values?.loadUnaligned(
            fromByteOffset: (offset &+ row) &* MemoryLayout<Value>.size, as: type)
    }

    /// The place of the value in the dictionary.
    func dictionaryIndex(
        _ row: Int, _ nodes: UnsafePointer<InputNode>
    ) throws(RedcolError) -> Int {
        let index: Int?
        switch indexKind {
        case .int8: index = load(row, as: Int8.self).map { Int($0) }
        case .int16: index = load(row, as: Int16.self).map { Int($0) }
        case .int32: index = load(row, as: Int32.self).map { Int($0) }
        case .uint8: index = load(row, as: UInt8.self).map { Int($0) }
        case .uint16: index = load(row, as: UInt16.self).map { Int($0) }
        case .uint32: index = load(row, as: UInt32.self).map { Int($0) }
        case .uint64: index = load(row, as: UInt64.self).flatMap { Int(exactly: $0) }
        default: index = load(row, as: Int64.self).map { Int($0) }
        }
        guard let index, index >= 0, index < nodes[firstChild].length else {
            throw InputNode.malformed("an index that is not in its dictionary")
        }
        return index
    }

    static func malformed(_ what: String) -> RedcolError {
        RedcolError(.schema, "a batch of the frame is malformed: \(what)")
    }

    /// The bytes of a text or binary value, where they lie; nil if the kind is another one.
    @inline(__always)
    public func bytes(_ row: Int) throws(RedcolError) -> UnsafeBufferPointer<UInt8>? {
        switch kind {
        case .textView, .binaryView: return try viewBytes(row)
        case .text64, .binary64: return try slice(extent(row, as: Int64.self))
        case .text32, .binary32: return try slice(extent(row, as: Int32.self))
        case .fixedBinary:
            let start = values.map { $0 + (offset &+ row) &* width }
            return UnsafeBufferPointer(
                start: start?.assumingMemoryBound(to: UInt8.self), count: width)
        default: return nil
        }
    }

    @inline(__always)
    private func slice(_ extent: Range<Int>) throws(RedcolError) -> UnsafeBufferPointer<UInt8> {
        guard let data else {
            guard extent.isEmpty else { throw InputNode.malformed("text without its data") }
            return UnsafeBufferPointer(start: nil, count: 0)
        }
        return UnsafeBufferPointer(
            start: (data + extent.lowerBound).assumingMemoryBound(to: UInt8.self),
            count: extent.count)
    }

    /// Where a text or a list begins and ends.
    @inline(__always)
    func extent<Offset: FixedWidthInteger & BitwiseCopyable>(
        _ row: Int, as type: Offset.Type
    ) throws(RedcolError) -> Range<Int> {
        guard let begin = load(row, as: type), let end = load(row &+ 1, as: type), begin >= 0,
            begin <= end
        else { throw InputNode.malformed("an end before its beginning") }
        return Int(truncatingIfNeeded: begin)..<Int(truncatingIfNeeded: end)
    }

    /// https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
    @inline(__always)
    private func viewBytes(_ row: Int) throws(RedcolError) -> UnsafeBufferPointer<UInt8> {
        guard let values else { throw InputNode.malformed("text without its views") }
        let view = values + (offset &+ row) &* 16
        let length = Int(view.loadUnaligned(as: Int32.self))
        if length <= 12 {
            guard length >= 0 else { throw InputNode.malformed("a text of a negative length") }
            return UnsafeBufferPointer(
                start: (view + 4).assumingMemoryBound(to: UInt8.self), count: length)
        }
        let buffer = Int(view.loadUnaligned(fromByteOffset: 8, as: Int32.self))
        let start = Int(view.loadUnaligned(fromByteOffset: 12, as: Int32.self))
        guard buffer >= 0, buffer < viewBufferCount, start >= 0, let data = viewBuffers?[buffer],
            let viewSizes,
            Int64(start &+ length)
                <= viewSizes.loadUnaligned(fromByteOffset: buffer &* 8, as: Int64.self)
        else { throw InputNode.malformed("a text beyond its buffer") }
        return UnsafeBufferPointer(
            start: (data + start).assumingMemoryBound(to: UInt8.self), count: length)
    }

    /// Writes the text of a number, a boolean or a time, which has at most 64 bytes.
    @inline(__always)
    public func writeShort(
        _ row: Int, to text: UnsafeMutablePointer<UInt8>
    ) throws(RedcolError) -> Int {
        switch kind {
        case .int64:
            if let value = load(row, as: Int64.self) { return writeDecimal(value, to: text) }
        case .float64:
            if let value = load(row, as: Double.self) { return writeFloat(value, to: text) }
        case .int32:
            if let value = load(row, as: Int32.self) { return writeDecimal(Int64(value), to: text) }
        default: return try writeOther(row, to: text)
        }
        throw InputNode.malformed("no values")
    }

    @inline(never)
    private func writeOther(
        _ row: Int, to text: UnsafeMutablePointer<UInt8>
    ) throws(RedcolError) -> Int {
        switch kind {
        case .boolean:
            let at = offset &+ row
            let byte = values?.load(fromByteOffset: at &>> 3, as: UInt8.self) ?? 0
            let isTrue = byte &>> UInt8(truncatingIfNeeded: at & 7) & 1 == 1
            memcpy(text, isTrue ? "true" : "false", isTrue ? 4 : 5)
            return isTrue ? 4 : 5
        case .int8: return writeDecimal(Int64(load(row, as: Int8.self) ?? 0), to: text)
        case .int16: return writeDecimal(Int64(load(row, as: Int16.self) ?? 0), to: text)
        case .uint8: return writeDecimal(UInt64(load(row, as: UInt8.self) ?? 0), to: text)
        case .uint16: return writeDecimal(UInt64(load(row, as: UInt16.self) ?? 0), to: text)
        case .uint32: return writeDecimal(UInt64(load(row, as: UInt32.self) ?? 0), to: text)
        case .uint64: return writeDecimal(load(row, as: UInt64.self) ?? 0, to: text)
        case .int128: return writeDecimal(load(row, as: Int128.self) ?? 0, to: text)
        case .uint128: return writeDecimal(load(row, as: UInt128.self) ?? 0, to: text)
        case .float16: return writeFloat(halfFloat(load(row, as: UInt16.self) ?? 0), to: text)
        case .float32: return writeFloat(load(row, as: Float.self) ?? 0, to: text)
        case .decimal32, .decimal64, .decimal128:
            return writeScaled(decimal(row), scale: scale, to: text)
        case .date32:
            return try written(writeDate(Int64(load(row, as: Int32.self) ?? 0), to: text))
        case .date64:
            let days = (load(row, as: Int64.self) ?? 0) / (secondsPerDay * 1_000)
            return try written(writeDate(days, to: text))
        case .time32: return try time(Int64(load(row, as: Int32.self) ?? 0), text)
        case .time64: return try time(load(row, as: Int64.self) ?? 0, text)
        case .timestamp:
            // Years that no text holds: the reading half takes ticks too.
            return writeDateAndTime(row, to: text)
                ?? writeDecimal(load(row, as: Int64.self) ?? 0, to: text)
        case .duration: return writeDuration(load(row, as: Int64.self) ?? 0, unit, to: text)
        default: throw InputNode.malformed("no values")
        }
    }

    /// Writes a timestamp as a date and a time; nil if its year has more than six digits.
    func writeDateAndTime(_ row: Int, to text: UnsafeMutablePointer<UInt8>) -> Int? {
        writeTimestamp(load(row, as: Int64.self) ?? 0, unit, isUTC: isUTC, to: text)
    }

    /// Whether a float is a number, and not infinite.
    func isFinite(_ row: Int) -> Bool {
        switch kind {
        case .float16: return halfFloat(load(row, as: UInt16.self) ?? 0).isFinite
        case .float32: return (load(row, as: Float.self) ?? 0).isFinite
        default: return (load(row, as: Double.self) ?? 0).isFinite
        }
    }

    private func decimal(_ row: Int) -> Int128 {
        switch kind {
        case .decimal32: return Int128(load(row, as: Int32.self) ?? 0)
        case .decimal64: return Int128(load(row, as: Int64.self) ?? 0)
        default: return load(row, as: Int128.self) ?? 0
        }
    }

    private func time(
        _ ticks: Int64, _ text: UnsafeMutablePointer<UInt8>
    ) throws(RedcolError) -> Int {
        guard let count = writeTime(ticks, unit, to: text) else {
            throw RedcolError(.value, "\(ticks) ticks since midnight are not a time of day")
        }
        return count
    }

    private func written(_ count: Int?) throws(RedcolError) -> Int {
        guard let count else {
            throw RedcolError(.value, "a date whose year has more than six digits")
        }
        return count
    }
}

extension GrowingBytes {
    /// Appends the text of the value at `row`, which is not null, and nothing around it.
    public mutating func appendText(
        _ node: UnsafePointer<InputNode>, _ row: Int, _ schema: InputSchema
    ) throws(RedcolError) {
        if let bytes = try node.pointee.bytes(row) { return try append(bytes) }
        if node.pointee.kind == .dictionary {
            let index = try node.pointee.dictionaryIndex(row, schema.nodes)
            return try appendText(schema.nodes + node.pointee.firstChild, index, schema)
        }
        if node.pointee.kind.isNested { return try appendJSON(node, row, schema) }
        let text = try reserve(64)
        advance(try node.pointee.writeShort(row, to: text))
    }
}
