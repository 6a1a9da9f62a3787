// SPDX-License-Identifier: Apache-2.0
// The three layouts of strings and bytes that Arrow has. The library builds views; a consumer that
// cannot read them gets the others, for which the bytes are copied once more.
// https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-layout

import CArrowData
import CPlatform

public enum TextLayout: Equatable, Sendable {
    /// vu, vz
    case view
    /// u, z: offsets of 32 bits
    case small
    /// U, Z: offsets of 64 bits
    case large

    /// The layout that an Arrow format asks for in a column of this kind; nil for other types.
    init?(_ format: UnsafePointer<CChar>, _ kind: ColumnType.Kind) {
        let isBinary = kind == .binary
        if strcmp(format, isBinary ? "vz" : "vu") == 0 {
            self = .view
        } else if strcmp(format, isBinary ? "z" : "u") == 0 {
            self = .small
        } else if strcmp(format, isBinary ? "Z" : "U") == 0 {
            self = .large
        } else {
            return nil
        }
    }

    /// The Arrow format, static.
    func format(_ kind: ColumnType.Kind) -> UnsafePointer<CChar> {
        let text: StaticString =
            switch (self, kind == .binary) {
            case (.view, false): "vu"
            case (.view, true): "vz"
            case (.small, false): "u"
            case (.small, true): "z"
            case (.large, false): "U"
            case (.large, true): "Z"
            }
        return UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

extension TextLayout {
    /// The most bytes, or values of a list, that offsets of 32 bits can number.
    static let smallMax = Int(Int32.max)
}

/// The most bytes that the texts of an array of views can have.
func textBytesMax(_ array: UnsafePointer<ArrowArray>) -> Int {
    var sum = Int(array.pointee.length) &* 12
    let dataCount = Int(array.pointee.n_buffers) - 3
    guard dataCount > 0, let buffers = array.pointee.buffers,
        let sizes = buffers[dataCount + 2]?.assumingMemoryBound(to: Int64.self)
    else { return sum }
    for index in 0..<dataCount { sum = sum &+ Int(sizes[index]) }
    return sum
}

/// An array of views in another layout; validity stays that of the views.
final class ConvertedText: BufferOwner {
    private let source: BufferOwner
    /// Validity, offsets, bytes.
    let buffers: UnsafeMutablePointer<UnsafeRawPointer?>
    private let offsets: UnsafeMutableRawPointer
    private let bytes: UnsafeMutableRawPointer

    /// Nil when there is no memory, or there are more bytes than the layout can have.
    static func make(
        _ views: UnsafePointer<ArrowArray>, of source: BufferOwner, _ layout: TextLayout
    ) -> ConvertedText? {
        let rows = Int(views.pointee.length)
        let total = textBytes(views)
        if layout == .small, total > TextLayout.smallMax { return nil }
        let list = calloc(3, MemoryLayout<UnsafeRawPointer?>.stride)
        let offsets = malloc((rows + 1) * (layout == .small ? 4 : 8))
        let bytes = malloc(max(total, 1))
        guard let list, let offsets, let bytes else {
            free(list)
            free(offsets)
            free(bytes)
            return nil
        }
        copyTexts(views, layout, offsets: offsets, bytes)
        let buffers = list.assumingMemoryBound(to: UnsafeRawPointer?.self)
        buffers[0] = views.pointee.buffers?[0]
        return ConvertedText(source, buffers, offsets, bytes)
    }

    private init(
        _ source: BufferOwner, _ buffers: UnsafeMutablePointer<UnsafeRawPointer?>,
        _ offsets: UnsafeMutableRawPointer, _ bytes: UnsafeMutableRawPointer
    ) {
        self.source = source
        self.offsets = offsets
        self.bytes = bytes
        self.buffers = buffers
        buffers[1] = UnsafeRawPointer(offsets)
        buffers[2] = UnsafeRawPointer(bytes)
    }

    deinit {
        free(offsets)
        free(bytes)
        free(buffers)
    }
}

/// A column of text without a value, in any of the layouts: zeros are null, empty and offset 0.
final class NullText: BufferOwner {
    private let zeros: UnsafeMutableRawPointer
    private let buffers: UnsafeMutablePointer<UnsafeRawPointer?>

    /// Nil when there is no memory.
    static func make(rows: Int) -> NullText? {
        let list = calloc(3, MemoryLayout<UnsafeRawPointer?>.stride)
        let zeros = calloc(rows + 1, 16)
        guard let list, let zeros else {
            free(list)
            free(zeros)
            return nil
        }
        return NullText(list.assumingMemoryBound(to: UnsafeRawPointer?.self), zeros)
    }

    private init(
        _ buffers: UnsafeMutablePointer<UnsafeRawPointer?>, _ zeros: UnsafeMutableRawPointer
    ) {
        self.zeros = zeros
        self.buffers = buffers
        // Validity, then views and no sizes of data, or offsets and no bytes.
        for index in 0..<3 { buffers[index] = UnsafeRawPointer(zeros) }
    }

    deinit {
        free(zeros)
        free(buffers)
    }

    func fill(_ out: UnsafeMutablePointer<ArrowArray>, rows: Int) {
        var node = ArrowArray()
        node.length = Int64(rows)
        node.null_count = Int64(rows)
        node.n_buffers = 3
        node.buffers = buffers
        refer(to: &node, of: self, from: out)
    }
}

/// Calls `body` with the row and the bytes of each text that is not null.
@inline(__always)
func forEachText(
    _ array: UnsafePointer<ArrowArray>, _ body: (Int, UnsafeRawPointer, Int) -> Void
) {
    guard let buffers = array.pointee.buffers, let views = buffers[1] else { return }
    let validity = buffers[0]?.assumingMemoryBound(to: UInt8.self)
    for row in 0..<Int(array.pointee.length) {
        if let validity, validity[row >> 3] >> UInt8(row & 7) & 1 == 0 { continue }
        let view = views + row &* 16
        let count = Int(view.load(as: Int32.self))
        if count <= 12 {
            body(row, view + 4, count)
            continue
        }
        let buffer = Int(view.load(fromByteOffset: 8, as: Int32.self))
        guard let data = buffers[2 + buffer] else { continue }
        body(row, data + Int(view.load(fromByteOffset: 12, as: Int32.self)), count)
    }
}

func textBytes(_ array: UnsafePointer<ArrowArray>) -> Int {
    var total = 0
    forEachText(array) { _, _, count in total &+= count }
    return total
}

/// Copies the texts of an array of views, one after the other, with offsets of the layout's width.
func copyTexts(
    _ array: UnsafePointer<ArrowArray>, _ layout: TextLayout, offsets: UnsafeMutableRawPointer,
    _ bytes: UnsafeMutableRawPointer
) {
    if layout == .small {
        copyTexts(array, offsets.assumingMemoryBound(to: Int32.self), bytes)
    } else {
        copyTexts(array, offsets.assumingMemoryBound(to: Int64.self), bytes)
    }
}

private func copyTexts<Offset: FixedWidthInteger>(
    _ array: UnsafePointer<ArrowArray>, _ offsets: UnsafeMutablePointer<Offset>,
    _ bytes: UnsafeMutableRawPointer
) {
    var end = 0
    var next = 0
    forEachText(array) { row, text, count in
        while next <= row {
            offsets[next] = Offset(truncatingIfNeeded: end)
            next &+= 1
        }
        _ = memcpy(bytes + end, text, count)
        end &+= count
    }
    while next <= Int(array.pointee.length) {
        offsets[next] = Offset(truncatingIfNeeded: end)
        next &+= 1
    }
}
