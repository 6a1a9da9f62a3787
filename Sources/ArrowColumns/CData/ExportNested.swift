// SPDX-License-Identifier: Apache-2.0
// Finished structs, lists and arrays as arrays of the Arrow C Data Interface.

import CArrowData
import CPlatform

/// Moves a node, and all below it, into an array. False when there is no memory; what was moved is
/// then released with `out`.
func exportNested(
    _ column: UnsafeMutablePointer<NestedColumn>, _ index: Int, _ requested: RequestedColumn,
    asViews: Bool, into out: UnsafeMutablePointer<ArrowArray>
) -> Bool {
    let node = column.pointee.nodes + index
    let rows = node.pointee.length
    if node.pointee.shape == .leaf {
        node.pointee.length = 0
        defer { node.pointee.removeRows() }
        return export(&node.pointee.leaf, requested, rows: rows, asViews: asViews, into: out)
    }
    let isList = node.pointee.shape == .list
    guard node.pointee.reserveAny(), beginArray(out, rows: rows, buffers: isList ? 2 : 1) else {
        return false
    }
    let (offsets, validity) = node.pointee.take()
    if isList {
        out.pointee.buffers?[1] = UnsafeRawPointer(offsets)
        if requested.hasSmallOffsets, let offsets { narrow(offsets, rows + 1) }
    }
    if let validity {
        out.pointee.null_count = Int64(countNulls(validity, rows))
        if out.pointee.null_count > 0 {
            out.pointee.buffers?[0] = UnsafeRawPointer(validity)
        } else {
            platform_buffer_free(validity)
        }
    }
    let first = node.pointee.firstChild
    return exportChildren(of: out, requested.children.count) { child, filled in
        exportNested(
            column, first + child, requested.children[child], asViews: asViews, into: filled)
    }
}

/// Makes offsets of 64 bits ones of 32, in place.
private func narrow(_ offsets: UnsafeMutablePointer<Int64>, _ count: Int) {
    let raw = UnsafeMutableRawPointer(offsets)
    for index in 0..<count {
        let value = Int32(truncatingIfNeeded: raw.load(fromByteOffset: index * 8, as: Int64.self))
        raw.storeBytes(of: value, toByteOffset: index * 4, as: Int32.self)
    }
}
