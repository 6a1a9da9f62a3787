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
    func export(_ layouts: [TextLayout], into out: UnsafeMutablePointer<ArrowArray>) -> Bool {
        refer(to: array, of: self, from: out)
        guard
            let children = calloc(
                max(layouts.count, 1), MemoryLayout<UnsafeMutableRawPointer>.stride)
        else {
            out.pointee.release?(out)
            return false
        }
        let list = children.assumingMemoryBound(to: UnsafeMutablePointer<ArrowArray>?.self)
        out.pointee.children = list
        for index in layouts.indices {
            guard let child = newArray() else {
                out.pointee.release?(out)
                return false
            }
            list[index] = child
            out.pointee.n_children = Int64(index + 1)
            guard exportColumn(index, layouts[index], into: child) else {
                out.pointee.release?(out)
                return false
            }
        }
        return true
    }

    private func exportColumn(
        _ index: Int, _ layout: TextLayout, into out: UnsafeMutablePointer<ArrowArray>
    ) -> Bool {
        guard index < Int(array.pointee.n_children), let column = array.pointee.children?[index]
        else {
            guard let nulls = NullText.make(rows: rowCount) else { return false }
            nulls.fill(out, rows: rowCount)
            return true
        }
        guard let values = column.pointee.dictionary else {
            return refer(to: column, of: self, as: layout, from: out)
        }
        refer(to: column, of: self, from: out)
        guard let dictionary = newArray() else { return false }
        out.pointee.dictionary = dictionary
        return refer(to: values, of: self, as: layout, from: dictionary)
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
    if let owner = array.pointee.private_data {
        Unmanaged<BufferOwner>.fromOpaque(owner).release()
    }
    array.pointee.release = nil
    array.pointee.private_data = nil
    platform_live_objects_add(-1)
}
