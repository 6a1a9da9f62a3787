// SPDX-License-Identifier: Apache-2.0
// The columns that several readers discover for one caller: a column that one of them has found is
// in the others' batches too, and always at the same place.

import ArrowColumns
import CArrowData
import RedcolBase

/// The columns that the caller has seen, in the order of their first appearance.
struct SharedColumns {
    private(set) var columns: [RequestedColumn] = []
    private var places: [[UInt8]: Int] = [:]
    private var hasTurned = false
    /// The fields of the columns, and how many of them each reader was told.
    private var fields: [[UInt8]] = []
    private var known: Set<[UInt8]> = []
    private var told: [Int]
    /// How many of the fields that each reader has found are among them.
    private var noted: [Int]

    init(readers count: Int) {
        told = Array(repeating: 0, count: count)
        noted = told
    }

    /// Gives the reader the columns that the others have found since.
    mutating func tell(_ reader: StreamReader, _ number: Int) throws(RedcolError) {
        let parser = reader.parser
        while told[number] < fields.count {
            guard parser.pointee.discover(fields[told[number]]) else {
                throw RedcolError(.memory, "no memory for the columns of other streams")
            }
            told[number] += 1
        }
        guard hasTurned else { return }
        for (place, column) in parser.pointee.columns.enumerated() where column.turnsBinary {
            guard column.type.kind == .string, let known = places[column.name],
                columns[known].type.kind == .binary
            else { continue }
            parser.pointee.withBatch { $0.turnBinary(place) }
        }
    }

    /// Notes the columns of a batch, and puts them into the order that the caller knows.
    mutating func arrange(
        _ reader: StreamReader, _ number: Int, _ array: UnsafeMutablePointer<ArrowArray>,
        _ schema: UnsafeMutablePointer<ArrowSchema>?
    ) throws(RedcolError) {
        let found = reader.columns
        for column in found {
            if column.turnsBinary, column.type.kind == .binary { hasTurned = true }
            if let place = places[column.name] {
                columns[place].type = column.type
            } else {
                places[column.name] = columns.count
                columns.append(column)
            }
        }
        for field in reader.parser.pointee.foundFields[noted[number]...]
        where known.insert(field).inserted {
            fields.append(field)
        }
        noted[number] = reader.parser.pointee.foundFields.count
        // All that were known before are in it: `tell` has seen to that.
        guard found.count == columns.count else { return }
        var order = Array(repeating: 0, count: found.count)
        var isSame = true
        for (index, column) in found.enumerated() {
            let place = places[column.name] ?? index
            order[place] = index
            isSame = isSame && place == index
        }
        if isSame { return }
        permute(array.pointee.children, order)
        permute(schema?.pointee.children, order)
    }

    private func permute<Node>(
        _ children: UnsafeMutablePointer<UnsafeMutablePointer<Node>?>?, _ order: [Int]
    ) {
        guard let children else { return }
        let before = order.map { children[$0] }
        for (place, child) in before.enumerated() { children[place] = child }
    }
}
