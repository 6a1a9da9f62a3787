// SPDX-License-Identifier: Apache-2.0
// Finished columns as arrays of the Arrow C Data Interface. Each array owns its buffers alone, so
// that a consumer may move children out, release in any order and on any thread, and outlive
// everything else.
// https://arrow.apache.org/docs/format/CDataInterface.html

import CArrowData
import CPlatform

/// Moves the columns' rows into a struct array with one child per column, with texts in the layout
/// of `requested` or as views. False when there is no memory: `out` is then released, and some of
/// the columns may still have their rows.
func exportColumns(
    _ columns: UnsafeMutablePointer<ColumnBuilder>, _ requested: [RequestedColumn], rows: Int,
    asViews: Bool, into out: UnsafeMutablePointer<ArrowArray>
) -> Bool {
    guard beginArray(out, rows: rows, buffers: 1) else { return false }
    let isDone = exportChildren(of: out, requested.count) { index, child in
        export(&columns[index], requested[index], rows: rows, asViews: asViews, into: child)
    }
    if !isDone { releaseArray(out) }
    return isDone
}

/// Makes `out` an array with room for buffers that it owns.
func beginArray(_ out: UnsafeMutablePointer<ArrowArray>, rows: Int, buffers count: Int) -> Bool {
    out.pointee = ArrowArray()
    guard let buffers = newPointers(count) else { return false }
    out.pointee.length = Int64(rows)
    out.pointee.n_buffers = Int64(count)
    out.pointee.buffers = buffers
    out.pointee.release = releaseArray
    out.pointee.private_data = UnsafeMutableRawPointer(buffers)
    platform_live_objects_add(1)
    return true
}

/// Gives an array children, each filled by `fill`. False when there is no memory; the array then
/// has those that were filled.
func exportChildren(
    of out: UnsafeMutablePointer<ArrowArray>, _ count: Int,
    _ fill: (Int, UnsafeMutablePointer<ArrowArray>) -> Bool
) -> Bool {
    guard let children = calloc(max(count, 1), MemoryLayout<UnsafeMutableRawPointer>.stride) else {
        return false
    }
    let list = children.assumingMemoryBound(to: UnsafeMutablePointer<ArrowArray>?.self)
    out.pointee.children = list
    for index in 0..<count {
        guard let child = newArray() else { return false }
        list[index] = child
        out.pointee.n_children = Int64(index + 1)
        guard fill(index, child) else { return false }
    }
    return true
}

/// One column; its rows are gone, also if this fails.
func export(
    _ column: inout ColumnBuilder, _ requested: RequestedColumn, rows: Int, asViews: Bool,
    into out: UnsafeMutablePointer<ArrowArray>
) -> Bool {
    let layout = asViews ? TextLayout.view : requested.layout
    if let nested = column.nested {
        nested.pointee.truncate(0, to: rows)
        return exportNested(nested, 0, requested, asViews: asViews, into: out)
    }
    guard var finished = column.finish(rows: rows) else { return false }
    let isView = column.kind == .string || column.kind == .binary
    guard fill(out, from: &finished, rows: rows, isView: isView),
        !isView || relay(out, layout)
    else { return false }
    guard column.kind == .dictionary else { return true }
    guard let (found, valueCount) = column.finishDictionary() else { return false }
    var values = found
    guard let dictionary = newArray() else {
        values.text.free()
        platform_buffer_free(values.values)
        return false
    }
    out.pointee.dictionary = dictionary
    return fill(dictionary, from: &values, rows: valueCount, isView: true)
        && relay(dictionary, layout)
}

/// Moves the buffers of `finished` into `out`; false, with the buffers freed, when there is no
/// memory.
private func fill(
    _ out: UnsafeMutablePointer<ArrowArray>, from finished: inout ColumnBuilder.Finished,
    rows: Int, isView: Bool
) -> Bool {
    let dataCount = isView ? finished.text.bufferCount : 0
    let bufferCount = isView ? 3 + dataCount : 2
    let sizesBytes = (dataCount + 1) * MemoryLayout<Int64>.stride
    let sizes = isView ? platform_buffer_resize(nil, sizesBytes) : nil
    let pointers = newPointers(bufferCount)
    guard let buffers = pointers, !isView || sizes != nil else {
        free(pointers)
        platform_buffer_free(sizes)
        platform_buffer_free(finished.values)
        platform_buffer_free(finished.validity)
        finished.text.free()
        return false
    }
    buffers[0] = finished.validity.map { UnsafeRawPointer($0) }
    buffers[1] = UnsafeRawPointer(finished.values)
    if isView, let sizes {
        memset(sizes, 0, sizesBytes)
        finished.text.moveBuffers(
            into: buffers + 2, sizes: sizes.assumingMemoryBound(to: Int64.self))
        buffers[2 + dataCount] = UnsafeRawPointer(sizes)
    }
    out.pointee.length = Int64(rows)
    out.pointee.null_count = Int64(finished.nullCount)
    out.pointee.n_buffers = Int64(bufferCount)
    out.pointee.buffers = buffers
    out.pointee.private_data = UnsafeMutableRawPointer(buffers)
    out.pointee.release = releaseArray
    platform_live_objects_add(1)
    return true
}

/// Replaces the views of an array, which is ours alone, by texts in another layout. False when
/// there is no memory, or there are more bytes than the layout can have.
private func relay(_ array: UnsafeMutablePointer<ArrowArray>, _ layout: TextLayout) -> Bool {
    if layout == .view { return true }
    let rows = Int(array.pointee.length)
    let total = textBytes(array)
    if layout == .small, total > TextLayout.smallMax { return false }
    let width = layout == .small ? MemoryLayout<Int32>.size : MemoryLayout<Int64>.size
    let offsets = platform_buffer_resize(nil, (rows + 1) * width)
    let bytes = platform_buffer_resize(nil, max(total, 1))
    let list = newPointers(3)
    guard let offsets, let bytes, let list, let old = array.pointee.buffers else {
        platform_buffer_free(offsets)
        platform_buffer_free(bytes)
        free(list)
        return false
    }
    copyTexts(array, layout, offsets: offsets, bytes)
    list[0] = old[0]
    list[1] = UnsafeRawPointer(offsets)
    list[2] = UnsafeRawPointer(bytes)
    for index in 1..<Int(array.pointee.n_buffers) {
        platform_buffer_free(UnsafeMutableRawPointer(mutating: old[index]))
    }
    free(old)
    array.pointee.buffers = list
    array.pointee.n_buffers = 3
    array.pointee.private_data = UnsafeMutableRawPointer(list)
    return true
}

private func newPointers(_ count: Int) -> UnsafeMutablePointer<UnsafeRawPointer?>? {
    calloc(count, MemoryLayout<UnsafeRawPointer?>.stride)?
        .assumingMemoryBound(to: UnsafeRawPointer?.self)
}

/// The release callback of every array that is exported here: frees what this array owns, releases
/// the children and the dictionary unless they were moved out, and marks it released.
private func releaseArray(_ array: UnsafeMutablePointer<ArrowArray>?) {
    guard let array, array.pointee.release != nil else { return }
    // private_data is the list of buffers itself, each of which was made for this array alone.
    if let owned = array.pointee.private_data {
        let buffers = owned.assumingMemoryBound(to: UnsafeRawPointer?.self)
        for index in 0..<Int(array.pointee.n_buffers) {
            platform_buffer_free(UnsafeMutableRawPointer(mutating: buffers[index]))
        }
        free(owned)
    }
    releaseParts(of: array)
}

/// Releases the children and the dictionary of an array, and marks it as released.
func releaseParts(of array: UnsafeMutablePointer<ArrowArray>) {
    if let children = array.pointee.children {
        for index in 0..<Int(array.pointee.n_children) {
            guard let child = children[index] else { continue }
            child.pointee.release?(child)
            free(child)
        }
        free(children)
    }
    if let dictionary = array.pointee.dictionary {
        dictionary.pointee.release?(dictionary)
        free(dictionary)
    }
    array.pointee.release = nil
    array.pointee.private_data = nil
    platform_live_objects_add(-1)
}
