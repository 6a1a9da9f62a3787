// SPDX-License-Identifier: Apache-2.0
// The memory of a write: what encodes its rows, and the ids that it collects.

import ArrowColumns
import RedcolBase

/// A row encoder and the ids that come back, behind pointers, where their fields are reached
/// without the checks that a class's have.
final class EncoderOwner {
    let encoder: UnsafeMutablePointer<RowEncoder>
    let ids: UnsafeMutablePointer<BatchBuilder>?

    static func make(_ encoder: consuming RowEncoder) throws(RedcolError) -> EncoderOwner {
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
        return EncoderOwner(encoder, ids)
    }

    private init(
        _ encoder: consuming RowEncoder, _ ids: UnsafeMutablePointer<BatchBuilder>?
    ) {
        self.ids = ids
        self.encoder = .allocate(capacity: 1)
        self.encoder.initialize(to: encoder)
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
