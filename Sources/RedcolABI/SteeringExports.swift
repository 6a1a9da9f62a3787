// SPDX-License-Identifier: Apache-2.0
// The functions of the C interface that change groups and streams; include/redcol.h is their
// manual.

import ArrowColumns
import CRedcol
import RedcolBase
import RedisTopology
import StreamReading
import StreamSteering

@c @implementation
public func redcol_create_group(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64, _ start_id: UnsafePointer<CChar>?,
    _ create_stream: Int32, _ created_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, created_out, error_out) { () throws(RedcolError) in
        try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            group: try Arguments.name(group, group_length, "group"),
            .createGroup(at: try position(start_id), createsStream: create_stream != 0))
    }
}

@c @implementation
public func redcol_delete_group(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64,
    _ deleted_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, deleted_out, error_out) { () throws(RedcolError) in
        try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            group: try Arguments.name(group, group_length, "group"), .deleteGroup)
    }
}

@c @implementation
public func redcol_seek_group(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64, _ start_id: UnsafePointer<CChar>?,
    _ milliseconds_out: UnsafeMutablePointer<UInt64>?,
    _ sequence_out: UnsafeMutablePointer<UInt64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    milliseconds_out?.pointee = 0
    sequence_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let done = try carryOut(client) { () throws(RedcolError) in
            try SteeringOrder(
                stream: try Arguments.name(stream, stream_length, "stream"),
                group: try Arguments.name(group, group_length, "group"),
                .seekGroup(to: try position(start_id)))
        }
        if case .steering(let steering) = done, let position = steering.position {
            milliseconds_out?.pointee = position.milliseconds
            sequence_out?.pointee = position.sequence
        }
        return Status.ok
    }
}

@c @implementation
public func redcol_delete_consumer(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64, _ consumer: UnsafePointer<CChar>?,
    _ consumer_length: Int64, _ force: Int32, _ pending_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, pending_out, error_out) { () throws(RedcolError) in
        try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            group: try Arguments.name(group, group_length, "group"),
            .deleteConsumer(
                try Arguments.name(consumer, consumer_length, "consumer"), isForced: force != 0))
    }
}

@c @implementation
public func redcol_release_entries(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ group: UnsafePointer<CChar>?, _ group_length: Int64, _ consumer: UnsafePointer<CChar>?,
    _ consumer_length: Int64, _ entry_ids: UnsafePointer<CChar>?, _ entry_ids_length: Int64,
    _ released_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, released_out, error_out) { () throws(RedcolError) in
        try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            group: try Arguments.name(group, group_length, "group"),
            .release(
                try EntryID.list(
                    try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids"),
                    undone: "released"),
                of: try Arguments.name(consumer, consumer_length, "consumer")))
    }
}

@c @implementation
public func redcol_claim_entries(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ entry_ids: UnsafePointer<CChar>?, _ entry_ids_length: Int64,
    _ schema: UnsafePointer<ArrowSchema>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ iter_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    iter_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let iter_out else { throw Arguments.missing("iter_out") }
        let client = try Arguments.client(client)
        var entries = ClaimedEntries.idle
        if entry_ids != nil {
            entries = .named(
                try EntryID.list(
                    try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids"),
                    undone: "claimed"))
        }
        let reader = try makeReader(
            topology: client.topology, claiming: entries,
            of: try Arguments.name(stream, stream_length, "stream"),
            schema: try requestedColumns(schema),
            options: try ReadOptions(try Arguments.options(options)))
        iter_out.pointee = try IterHandle.make(reader, client).retainedPointer()
        return Status.ok
    }
}

@c @implementation
public func redcol_trim_stream(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ maxlen: Int64, _ min_id: UnsafePointer<CChar>?, _ approximate: Int32,
    _ deleted_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, deleted_out, error_out) { () throws(RedcolError) in
        let limit: SteeringOrder.Limit
        if maxlen == -1, min_id != nil, let id = try position(min_id, "min_id") {
            limit = .from(id)
        } else if maxlen >= 0, min_id == nil {
            limit = .entries(Int(maxlen))
        } else {
            throw RedcolError(
                .invalidArgument, "give maxlen (0 or more) or min_id (an entry id), one of the two")
        }
        return try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            .trim(limit, isApproximate: approximate != 0))
    }
}

@c @implementation
public func redcol_delete_entries(
    _ client: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ entry_ids: UnsafePointer<CChar>?, _ entry_ids_length: Int64,
    _ deleted_out: UnsafeMutablePointer<Int64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    steer(client, deleted_out, error_out) { () throws(RedcolError) in
        try SteeringOrder(
            stream: try Arguments.name(stream, stream_length, "stream"),
            .deleteEntries(
                try EntryID.list(
                    try Arguments.bytes(entry_ids, entry_ids_length, "entry_ids"),
                    undone: "deleted")))
    }
}

/// An entry id, or its milliseconds; nil for "$", the end of the stream.
private func position(
    _ pointer: UnsafePointer<CChar>?, _ name: StaticString = "start_id"
) throws(RedcolError) -> EntryID? {
    let text = try Arguments.bytes(pointer, -1, "\(name)")
    if text.count == 1, text[0] == UInt8(ascii: "$") { return nil }
    guard let id = EntryID(text, sequenceIfMissing: 0) else {
        throw RedcolError(
            .invalidArgument,
            "\(name) is \"\(escaped(text, limit: 80))\", but must be an entry id, such as "
                + "1704067200000-0, or its milliseconds")
    }
    return id
}

/// Carries an order out, and writes its count, with an error as far as it has come.
private func steer(
    _ client: OpaquePointer?, _ countOut: UnsafeMutablePointer<Int64>?,
    _ errorOut: UnsafeMutablePointer<OpaquePointer?>?,
    _ order: () throws(RedcolError) -> SteeringOrder
) -> redcol_status {
    countOut?.pointee = 0
    return reporting(errorOut) { () throws(RedcolError) in
        _ = try carryOut(client, countOut, order)
        return Status.ok
    }
}

private func carryOut(
    _ client: OpaquePointer?, _ countOut: UnsafeMutablePointer<Int64>? = nil,
    _ order: () throws(RedcolError) -> SteeringOrder
) throws(RedcolError) -> Question {
    let client = try Arguments.client(client)
    var question = Question.steering(Steering(try order()))
    defer {
        if case .steering(let steering) = question { countOut?.pointee = steering.count }
    }
    var acknowledged: Int64 = 0
    try client.ask(&question, &acknowledged)
    return question
}
