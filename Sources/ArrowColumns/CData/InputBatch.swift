// SPDX-License-Identifier: Apache-2.0
// The memory of one batch: an ArrowArray, checked against its schema as far as the C Data Interface
// allows; what only a value shows is checked when it is read.

import CArrowData
import CPlatform
import RedcolBase

/// A batch of rows, owned. Released when this goes.
public final class InputBatch {
    private var array: ArrowArray
    public let rowCount: Int
    /// The number in the frame of its first row.
    public let firstRow: Int

    /// Takes `array` over; it is released also if it is refused.
    public init(
        moving array: ArrowArray, firstRow: Int, _ schema: InputSchema
    ) throws(RedcolError) {
        self.array = array
        self.firstRow = firstRow
        rowCount = Int(clamping: array.length)
        try bind(schema)
    }

    deinit {
        withUnsafeMutablePointer(to: &array) { array in
            if let release = array.pointee.release { release(array) }
        }
    }

    /// Points the schema's nodes at this batch.
    public func bind(_ schema: InputSchema) throws(RedcolError) {
        let binding = Binding(schema: schema)
        try binding.bind(&array)
    }
}

private struct Binding {
    let schema: InputSchema

    private func malformed(_ what: String) -> RedcolError {
        RedcolError(.schema, "a batch of the frame is malformed: \(what)")
    }

    func bind(_ array: UnsafeMutablePointer<ArrowArray>) throws(RedcolError) {
        let batch = array.pointee
        let (rows, skipped) = (batch.length, batch.offset)
        guard rows >= 0, rows <= 1 << 40, skipped >= 0, skipped <= 1 << 40 else {
            throw malformed("\(rows) rows from row \(skipped) on")
        }
        guard batch.n_children == Int64(schema.columnCount) else {
            throw malformed("\(batch.n_children) columns, where \(schema.columnCount) were said")
        }
        if batch.null_count != 0, batch.n_buffers >= 1, let bitmap = batch.buffers?[0],
            let row = firstNull(bitmap, Int(skipped)..<Int(skipped + rows))
        {
            throw malformed("its row \(row - Int(skipped)) is null as a whole")
        }
        for column in 0..<schema.columnCount {
            try bind(
                schema.nodes + column, batch.children?[column], Int(rows + skipped),
                "column \"\(schema.shownName(column))\"")
            schema.nodes[column].offset += Int(skipped)
        }
    }

    /// The first of `places` whose bit is not set.
    private func firstNull(_ bitmap: UnsafeRawPointer, _ places: Range<Int>) -> Int? {
        places.first { place in
            let byte = bitmap.load(fromByteOffset: place >> 3, as: UInt8.self)
            return byte >> UInt8(place & 7) & 1 == 0
        }
    }

    /// `needed`: how many values there must be.
    private func bind(
        _ node: UnsafeMutablePointer<InputNode>, _ array: UnsafeMutablePointer<ArrowArray>?,
        _ needed: Int, _ path: String
    ) throws(RedcolError) {
        guard let array = array?.pointee, array.release != nil else {
            throw malformed("\(path) is NULL or released")
        }
        guard array.length >= Int64(needed), array.length <= 1 << 40, array.offset >= 0,
            array.offset <= 1 << 40
        else {
            throw malformed(
                "\(path) has \(array.length) values from \(array.offset) on, where \(needed) are "
                    + "needed")
        }
        node.pointee.offset = Int(array.offset)
        node.pointee.length = Int(array.length)
        node.pointee.validity = nil
        if node.pointee.kind == .null { return }

        let buffersLeast: Int64
        switch node.pointee.kind {
        case .structure, .fixedList: buffersLeast = 1
        case .text32, .text64, .binary32, .binary64, .textView, .binaryView: buffersLeast = 3
        default: buffersLeast = 2
        }
        guard array.n_buffers >= buffersLeast, array.n_buffers <= 1 << 31,
            let buffers = array.buffers
        else {
            throw malformed("\(path) has \(array.n_buffers) buffers instead of \(buffersLeast)")
        }
        if array.null_count != 0 {
            node.pointee.validity = buffers[0]?.assumingMemoryBound(to: UInt8.self)
        }
        if buffersLeast > 1 {
            node.pointee.values = buffers[1]
            guard array.length == 0 || buffers[1] != nil else {
                throw malformed("\(path) has no values")
            }
        }
        switch node.pointee.kind {
        case .text32, .text64, .binary32, .binary64: node.pointee.data = buffers[2]
        case .textView, .binaryView:
            let last = Int(array.n_buffers) - 1
            node.pointee.viewBuffers = buffers + 2
            node.pointee.viewBufferCount = last - 2
            node.pointee.viewSizes = buffers[last]
            guard last == 2 || buffers[last] != nil else {
                throw malformed("\(path) has no sizes of its buffers")
            }
        case .dictionary:
            try bind(
                schema.nodes + node.pointee.firstChild, array.dictionary, 0, path + "'s dictionary")
        case .list32, .list64, .fixedList, .structure:
            try bindParts(node, array, path)
        default: break
        }
    }

    private func bindParts(
        _ node: UnsafeMutablePointer<InputNode>, _ array: ArrowArray, _ path: String
    ) throws(RedcolError) {
        guard array.n_children == Int64(node.pointee.childCount) else {
            throw malformed("\(path) has \(array.n_children) parts")
        }
        var needed = 0
        if node.pointee.kind == .structure || node.pointee.kind == .fixedList {
            let width = node.pointee.kind == .structure ? 1 : node.pointee.width
            let (values, isOverflow) = (node.pointee.offset + node.pointee.length)
                .multipliedReportingOverflow(by: width)
            guard !isOverflow else { throw malformed("\(path) has too many values") }
            needed = values
        }
        for part in 0..<node.pointee.childCount {
            try bind(
                schema.nodes + (node.pointee.firstChild + part), array.children?[part], needed,
                path + ", part \(part)")
        }
    }
}
