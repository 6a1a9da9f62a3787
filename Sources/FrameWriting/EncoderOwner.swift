// SPDX-License-Identifier: Apache-2.0
// The memory of a write: what encodes its rows, the ids that it collects, and its numbers.

import ArrowColumns
import CArrowData
import RedcolBase

/// A row encoder and the ids that come back, behind pointers, where their fields are reached
/// without the checks that a class's have.
final class EncoderOwner {
    let encoder: UnsafeMutablePointer<RowEncoder>
    let progress: WriteProgress
    private let ids: UnsafeMutablePointer<BatchBuilder>?
    /// Whether there was no memory for an id. Then no ids are returned: each would be taken for
    /// that of another row.
    private var idsAreLost = false

    static func make(_ encoder: consuming RowEncoder) throws(RedcolError) -> EncoderOwner {
        let progress = try WriteProgress.make()
        var ids: UnsafeMutablePointer<BatchBuilder>?
        if encoder.writesEntries {
            do throws(ColumnError) {
                let column = RequestedColumn(name: Array("_id".utf8), type: .string)
                let builder = try BatchBuilder([column], onRefused: .raise)
                ids = .allocate(capacity: 1)
                ids?.initialize(to: builder)
            } catch {
                throw RedcolError(.memory, error.message)
            }
        }
        return EncoderOwner(encoder, ids, progress)
    }

    private init(
        _ encoder: consuming RowEncoder, _ ids: UnsafeMutablePointer<BatchBuilder>?,
        _ progress: WriteProgress
    ) {
        self.ids = ids
        self.progress = progress
        self.encoder = .allocate(capacity: 1)
        self.encoder.initialize(to: encoder)
    }

    /// Notes the id of the next row, nil if it has none. False if that was not possible: it is said
    /// once.
    @inline(__always)
    func note(_ id: UnsafeBufferPointer<UInt8>?) -> Bool {
        guard let ids, !idsAreLost else { return true }
        var isStored = ids.pointee.beginRow()
        if let text = id?.baseAddress, let id { ids.pointee.set(0, text, id.count) }
        if case .committed = ids.pointee.commitRow() {} else { isStored = false }
        idsAreLost = !isStored
        return isStored
    }

    /// Moves the ids that were noted into `array`; false if they are lost, or there are none.
    func takeIDs(
        array: UnsafeMutablePointer<ArrowArray>, schema: UnsafeMutablePointer<ArrowSchema>?
    ) -> Bool {
        guard let ids, !idsAreLost else { return false }
        idsAreLost = !ids.pointee.finish(array: array, schema: schema)
        return !idsAreLost
    }

    /// Frees the ids before this object goes.
    func discard() {
        if !isDiscarded { ids?.pointee.free() }
        isDiscarded = true
    }
    private var isDiscarded = false

    deinit {
        discard()
        if let ids {
            ids.deinitialize(count: 1)
            ids.deallocate()
        }
        encoder.deinitialize(count: 1)
        encoder.deallocate()
    }
}
