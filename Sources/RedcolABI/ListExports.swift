// SPDX-License-Identifier: Apache-2.0
// The exports that list what is there, as tables: streams, groups, consumers, pending entries, and
// the parts into which streams can be cut.

import ArrowColumns
import CPlatform
import CRedcol
import RedcolBase
import RedisTopology
import StreamInspection

@c @implementation
public func redcol_list_streams(
    _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?, _ pattern_length: Int64,
    _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ stream_lengths: UnsafePointer<Int64>?,
    _ stream_count: Int64, _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    list(
        .streams, client, pattern, pattern_length, streams, stream_lengths, stream_count, nil, 0,
        nil, table_out, error_out)
}

@c @implementation
public func redcol_list_groups(
    _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?, _ pattern_length: Int64,
    _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ stream_lengths: UnsafePointer<Int64>?,
    _ stream_count: Int64, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    list(
        .groups, client, pattern, pattern_length, streams, stream_lengths, stream_count, nil, 0,
        options, table_out, error_out)
}

@c @implementation
public func redcol_list_consumers(
    _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?, _ pattern_length: Int64,
    _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ stream_lengths: UnsafePointer<Int64>?,
    _ stream_count: Int64, _ group: UnsafePointer<CChar>?, _ group_length: Int64,
    _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    list(
        .consumers, client, pattern, pattern_length, streams, stream_lengths, stream_count, group,
        group_length, nil, table_out, error_out)
}

@c @implementation
public func redcol_list_pending(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64,
    _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    list(
        .pending, client, stream, stream_length, nil, nil, 0, group, group_length, options,
        table_out, error_out)
}

@c @implementation
public func redcol_partitions(
    _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?, _ pattern_length: Int64,
    _ streams: UnsafePointer<UnsafePointer<CChar>?>?, _ stream_lengths: UnsafePointer<Int64>?,
    _ stream_count: Int64, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    list(
        .partitions, client, pattern, pattern_length, streams, stream_lengths, stream_count, nil,
        0, options, table_out, error_out)
}

/// All of them, with what each of them takes. `pattern`: of pending entries the stream's key.
@inline(never)
private func list(
    _ what: ListRequest.What, _ client: OpaquePointer?, _ pattern: UnsafePointer<CChar>?,
    _ patternLength: Int64, _ streams: UnsafePointer<UnsafePointer<CChar>?>?,
    _ lengths: UnsafePointer<Int64>?, _ count: Int64, _ group: UnsafePointer<CChar>?,
    _ groupLength: Int64, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ table_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    table_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let table_out else { throw Arguments.missing("table_out") }
        let client = try Arguments.client(client)
        let isPending = what == .pending
        let chosen: ChosenStreams =
            isPending
            ? .named([try Arguments.name(pattern, patternLength, "stream")])
            : try Arguments.chosen(pattern, patternLength, streams, lengths, count)
        let name =
            isPending || group != nil ? try Arguments.name(group, groupLength, "group") : nil
        let request = ListRequest(
            what, of: chosen, group: name,
            try ListOptions(try Arguments.options(options), for: what))
        table_out.pointee = TableHandle(try client.list(request)).retainedPointer()
        return Status.ok
    }
}
