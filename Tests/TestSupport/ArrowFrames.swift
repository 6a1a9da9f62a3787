// SPDX-License-Identifier: Apache-2.0
// Frames as a foreign producer gives them: Arrow arrays made by hand, which count their releases.
// https://arrow.apache.org/docs/format/CStreamInterface.html

import CArrowData
import Foundation

/// One column, as its buffers' bytes.
public struct ColumnFixture {
    public var name: String
    public var format: String
    public var length: Int64
    public var nullCount: Int64 = 0
    public var offset: Int64 = 0
    public var buffers: [[UInt8]?]
    public var children: [ColumnFixture] = []
    public var dictionary: [ColumnFixture] = []

    public init(
        _ name: String, _ format: String, length: Int64, _ buffers: [[UInt8]?],
        children: [ColumnFixture] = [], dictionary: [ColumnFixture] = []
    ) {
        self.name = name
        self.format = format
        self.length = length
        self.buffers = buffers
        self.children = children
        self.dictionary = dictionary
    }

    /// Numbers of one width, in memory's order.
    public static func numbers<Value: BitwiseCopyable>(
        _ name: String, _ format: String, _ values: [Value]
    ) -> ColumnFixture {
        ColumnFixture(name, format, length: Int64(values.count), [nil, bytes(of: values)])
    }

    /// Texts with 32-bit offsets; nil is null.
    public static func texts(_ name: String, _ values: [String?]) -> ColumnFixture {
        var (offsets, data): ([Int32], [UInt8]) = ([0], [])
        var validity = [UInt8](repeating: 0, count: (values.count + 7) / 8)
        for (index, value) in values.enumerated() {
            data += Array((value ?? "").utf8)
            offsets.append(Int32(data.count))
            if value != nil { validity[index / 8] |= 1 << (index % 8) }
        }
        var column = ColumnFixture(
            name, "u", length: Int64(values.count), [validity, bytes(of: offsets), data])
        column.nullCount = Int64(values.filter { $0 == nil }.count)
        return column
    }

    public static func bytes<Value: BitwiseCopyable>(of values: [Value]) -> [UInt8] {
        values.withUnsafeBytes { Array($0) }
    }
}

/// Batches of a frame, the schema that of the first. Its streams keep it alive.
public final class FrameFixture {
    private let batches: [[ColumnFixture]]
    private let rows: [Int64]
    private var next = 0
    private var memory: [UnsafeMutableRawPointer] = []
    /// Structs that were given and not released: 0 at the end.
    public private(set) var unreleased = 0
    /// What get_next answers behind the last batch.
    public var failure: Int32 = 0

    /// `rows`: of each batch, if not those of its first column.
    public init(_ batches: [ColumnFixture]..., rows: [Int64]? = nil) {
        self.batches = batches
        self.rows = rows ?? batches.map { $0.first?.length ?? 0 }
    }

    deinit { for block in memory { free(block) } }

    private func keep<Value>(_ value: Value) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        pointer.initialize(to: value)
        memory.append(UnsafeMutableRawPointer(pointer))
        return pointer
    }

    private func keep(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + 1, alignment: 16)
        bytes.withUnsafeBytes {
            block.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block), byteCount: $0.count)
        }
        block.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
        memory.append(block)
        return block
    }

    private func list<Value>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
        let pointer = UnsafeMutablePointer<Value>.allocate(capacity: max(values.count, 1))
        pointer.initialize(from: values, count: values.count)
        memory.append(UnsafeMutableRawPointer(pointer))
        return pointer
    }

    private var owner: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> FrameFixture? {
        pointer.map { Unmanaged<FrameFixture>.fromOpaque($0).takeUnretainedValue() }
    }

    private func text(_ text: String) -> UnsafePointer<CChar> {
        UnsafePointer(keep(Array(text.utf8)).assumingMemoryBound(to: CChar.self))
    }

    private func schema(_ column: ColumnFixture, isTop: Bool = false) -> ArrowSchema {
        var schema = ArrowSchema()
        schema.format = text(column.format)
        schema.name = text(column.name)
        schema.n_children = Int64(column.children.count)
        schema.children = list(column.children.map { keep(self.schema($0)) as Optional })
        schema.dictionary = column.dictionary.first.map { keep(self.schema($0)) }
        schema.private_data = owner
        schema.release = { schema in schema?.pointee.release = nil }
        if isTop {
            unreleased += 1
            schema.release = { schema in
                FrameFixture.of(schema?.pointee.private_data)?.unreleased -= 1
                schema?.pointee.release = nil
            }
        }
        return schema
    }

    private func array(_ column: ColumnFixture, isTop: Bool = false) -> ArrowArray {
        var array = ArrowArray()
        array.length = column.length
        array.null_count = column.nullCount
        array.offset = column.offset
        array.n_buffers = Int64(column.buffers.count)
        array.buffers = list(column.buffers.map { $0.map { UnsafeRawPointer(keep($0)) } })
        array.n_children = Int64(column.children.count)
        array.children = list(column.children.map { keep(self.array($0)) as Optional })
        array.dictionary = column.dictionary.first.map { keep(self.array($0)) }
        array.private_data = owner
        array.release = { array in array?.pointee.release = nil }
        if isTop {
            unreleased += 1
            array.release = { array in
                FrameFixture.of(array?.pointee.private_data)?.unreleased -= 1
                array?.pointee.release = nil
            }
        }
        return array
    }

    private func whole(_ index: Int) -> ColumnFixture {
        ColumnFixture("", "+s", length: rows[index], [nil], children: batches[index])
    }

    /// The frame as a stream, from its beginning.
    public func stream() -> ArrowArrayStream {
        next = 0
        unreleased += 1
        var stream = ArrowArrayStream()
        // The stream keeps its frame, which a test may have let go.
        stream.private_data = Unmanaged.passRetained(self).toOpaque()
        stream.get_schema = { stream, out in
            guard let frame = FrameFixture.of(stream?.pointee.private_data) else { return 22 }
            out?.pointee = frame.schema(frame.whole(0), isTop: true)
            return 0
        }
        stream.get_next = { stream, out in
            guard let frame = FrameFixture.of(stream?.pointee.private_data) else { return 22 }
            guard frame.next < frame.batches.count else {
                out?.pointee = ArrowArray()
                return frame.failure
            }
            out?.pointee = frame.array(frame.whole(frame.next), isTop: true)
            frame.next += 1
            return 0
        }
        stream.get_last_error = { _ in nil }
        stream.release = { stream in
            guard let kept = stream?.pointee.private_data else { return }
            Unmanaged<FrameFixture>.fromOpaque(kept).takeRetainedValue().unreleased -= 1
            stream?.pointee.release = nil
        }
        return stream
    }
}
