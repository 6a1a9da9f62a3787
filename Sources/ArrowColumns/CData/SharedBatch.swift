// SPDX-License-Identifier: Apache-2.0
// Finished batches to whose buffers any number of arrays may refer. Each array, and each child that
// is moved out of one, holds a reference: they are released in any order and on any thread.

import CArrowData
import CPlatform

/// Memory that arrays refer to; it goes with the last of them.
class BufferOwner {}

/// A batch that the library has built. It is never handed out itself, so that nobody changes it.
final class SharedBatch: BufferOwner {
    let array: UnsafeMutablePointer<ArrowArray>
    var rowCount: Int { Int(array.pointee.length) }

    /// Moves `source` here; nil, with `source` as it was, when there is no memory.
    static func make(moving source: UnsafeMutablePointer<ArrowArray>) -> SharedBatch? {
        guard let memory = newArray() else { return nil }
        memory.pointee = source.pointee
        source.pointee.release = nil
        return SharedBatch(memory)
    }

    private init(_ array: UnsafeMutablePointer<ArrowArray>) { self.array = array }

    deinit {
        array.pointee.release?(array)
        free(array)
    }

    /// Fills `out` with a struct array of these columns, the texts of each in its layout; columns
    /// that this batch does not have are null. False, and nothing given, when there is no memory.
    func export(_ columns: [RequestedColumn], into out: UnsafeMutablePointer<ArrowArray>) -> Bool {
        refer(to: array, of: self, from: out)
        let isDone = exportChildren(of: out, columns.count) { index, child in
            guard let node = self.child(index) else {
                // It was found later, and so is text.
                guard let nulls = NullText.make(rows: rowCount) else { return false }
                nulls.fill(child, rows: rowCount)
                return true
            }
            return exportColumn(node, columns[index], into: child)
        }
        if !isDone { out.pointee.release?(out) }
        return isDone
    }

    /// A column; nil if the batch does not have it.
    func child(_ index: Int) -> UnsafePointer<ArrowArray>? {
        guard index < Int(array.pointee.n_children) else { return nil }
        return array.pointee.children?[index].map { UnsafePointer($0) }
    }

    private func exportColumn(
        _ node: UnsafePointer<ArrowArray>, _ column: RequestedColumn,
        into out: UnsafeMutablePointer<ArrowArray>
    ) -> Bool {
        switch column.type.kind {
        case .string, .binary: return refer(to: node, of: self, as: column.layout, from: out)
        case .dictionary:
            refer(to: node, of: self, from: out)
            guard let values = node.pointee.dictionary, let dictionary = newArray() else {
                return false
            }
            out.pointee.dictionary = dictionary
            return refer(to: values, of: self, as: column.layout, from: dictionary)
        case .structure, .list, .fixedList:
            refer(to: node, of: self, from: out)
            return exportChildren(of: out, column.children.count) { index, child in
                guard let inner = node.pointee.children?[index] else { return false }
                return exportColumn(inner, column.children[index], into: child)
            }
        default:
            refer(to: node, of: self, from: out)
            return true
        }
    }
}

func newArray() -> UnsafeMutablePointer<ArrowArray>? {
    calloc(1, MemoryLayout<ArrowArray>.stride)?.assumingMemoryBound(to: ArrowArray.self)
}

/// Makes `out` an array without children whose buffers are those of `node`, which `owner` keeps.
func refer(
    to node: UnsafePointer<ArrowArray>, of owner: BufferOwner,
    from out: UnsafeMutablePointer<ArrowArray>
) {
    out.pointee = ArrowArray()
    out.pointee.length = node.pointee.length
    out.pointee.null_count = node.pointee.null_count
    out.pointee.offset = node.pointee.offset
    out.pointee.n_buffers = node.pointee.n_buffers
    out.pointee.buffers = node.pointee.buffers
    out.pointee.private_data = Unmanaged.passRetained(owner).toOpaque()
    out.pointee.release = releaseReference
    platform_live_objects_add(1)
}

/// The same with texts in another layout; false when there is no memory.
private func refer(
    to node: UnsafePointer<ArrowArray>, of owner: BufferOwner, as layout: TextLayout,
    from out: UnsafeMutablePointer<ArrowArray>
) -> Bool {
    if layout == .view {
        refer(to: node, of: owner, from: out)
        return true
    }
    guard let converted = ConvertedText.make(node, of: owner, layout) else { return false }
    refer(to: node, of: converted, from: out)
    out.pointee.n_buffers = 3
    out.pointee.buffers = converted.buffers
    return true
}

/// The release callback of every array that refers to shared buffers.
private func releaseReference(_ array: UnsafeMutablePointer<ArrowArray>?) {
    guard let array, array.pointee.release != nil else { return }
    let owner = array.pointee.private_data
    releaseParts(of: array)
    if let owner { Unmanaged<BufferOwner>.fromOpaque(owner).release() }
}
