// SPDX-License-Identifier: Apache-2.0
// The functions of the C interface that tell what an iterator is doing, and how far it is;
// include/redcol.h is their manual.

import CPlatform
import CRedcol
import RedcolBase
import StreamReading

@c @implementation
public func redcol_iter_descriptor(_ iter: OpaquePointer?) -> Int32 {
    do throws(RedcolError) {
        return try Arguments.iter(iter).reader.pollDescriptor
    } catch {
        return -1
    }
}

@c @implementation
public func redcol_iter_statistic(
    _ iter: OpaquePointer?, _ name: UnsafePointer<CChar>?
) -> Int64 {
    do throws(RedcolError) {
        guard let name else { return -1 }
        let reader = try Arguments.iter(iter).reader
        if strcmp(name, cString("acknowledging")) == 0 { return Int64(reader.acknowledging) }
        if strcmp(name, "connected") == 0 { return reader.isConnected ? 1 : 0 }
        let statistics = reader.statistics
        for counter in Statistics.Counter.allCases {
            let known = UnsafeRawPointer(counter.name.utf8Start).assumingMemoryBound(to: CChar.self)
            if strcmp(name, known) == 0 { return statistics.value(counter) }
        }
        return -1
    } catch {
        return -1
    }
}

@c @implementation
public func redcol_iter_last_error(_ iter: OpaquePointer?) -> OpaquePointer? {
    do throws(RedcolError) {
        guard let error = try Arguments.iter(iter).reader.lastError else { return nil }
        return ErrorHandle(error).retainedPointer()
    } catch {
        return nil
    }
}

@c @implementation
public func redcol_iter_position(
    _ iter: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ milliseconds_out: UnsafeMutablePointer<UInt64>?,
    _ sequence_out: UnsafeMutablePointer<UInt64>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    milliseconds_out?.pointee = 0
    sequence_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let iter = try Arguments.iter(iter)
        let found =
            stream == nil
            ? iter.reader.statistics.lastEntry
            : try iter.reader.position(
                in: try Arguments.name(stream, stream_length, "stream"))
        guard let id = found else { return Status.end }
        milliseconds_out?.pointee = id.milliseconds
        sequence_out?.pointee = id.sequence
        return Status.ok
    }
}

@c @implementation
public func redcol_iter_lag(
    _ iter: OpaquePointer?, _ stream: UnsafePointer<CChar>?, _ stream_length: Int64,
    _ lag_out: UnsafeMutablePointer<Int64>?, _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    lag_out?.pointee = 0
    return reporting(error_out) { () throws(RedcolError) in
        let iter = try Arguments.iter(iter)
        let name = try Arguments.name(stream, stream_length, "stream")
        var question = Question.lag(try iter.reader.lag(in: name))
        var acknowledged: Int64 = 0
        try iter.client.ask(&question, &acknowledged)
        guard case .lag(let answered) = question, let lag = answered.lag else { return Status.end }
        lag_out?.pointee = lag
        return Status.ok
    }
}
