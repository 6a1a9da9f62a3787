// SPDX-License-Identifier: Apache-2.0
// The export for messages of channels; include/redcol.h is its manual.

import CRedcol
import RedcolBase
import StreamReading

@c @implementation
public func redcol_subscribe(
    _ client: OpaquePointer?, _ channels: UnsafePointer<UnsafePointer<CChar>?>?,
    _ channel_lengths: UnsafePointer<Int64>?, _ channel_count: Int64,
    _ patterns: UnsafePointer<UnsafePointer<CChar>?>?,
    _ pattern_lengths: UnsafePointer<Int64>?, _ pattern_count: Int64,
    _ schema: UnsafePointer<ArrowSchema>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ iter_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    iter_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let iter_out else { throw Arguments.missing("iter_out") }
        let client = try Arguments.client(client)
        let named = Channels(
            names: try Arguments.names(
                channels, channel_lengths, channel_count, allowed: 0...100_000, of: "channel"),
            patterns: try Arguments.names(
                patterns, pattern_lengths, pattern_count, allowed: 0...100_000, of: "pattern"))
        let reader = try client.beginRead(
            ReadArguments(
                channels: named, columns: try requestedColumns(schema),
                options: try Arguments.options(options)))
        iter_out.pointee = try IterHandle.make(reader, client).retainedPointer()
        return Status.ok
    }
}
