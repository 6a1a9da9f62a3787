// SPDX-License-Identifier: Apache-2.0
// Arrow structs in Python capsules: destructors that are C functions, and names that outlive
// everything.
// https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html

import ArrowColumns
import CPlatform
import CRedcol

/// CPython's PyCapsule_GetPointer, in this process if it is one; set once, by
/// `redcol_capsule_setup`.
nonisolated(unsafe) private var capsuleGetPointer:
    (
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) ->
            UnsafeMutableRawPointer?
    )?

@c @implementation
public func redcol_capsule_setup(
    _ capsule_get_pointer: (
        @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?) ->
            UnsafeMutableRawPointer?
    )?
) {
    capsuleGetPointer = capsule_get_pointer
}

/// What a capsule holds; asking CPython about NULL would be a Python error.
private func content(
    _ capsule: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?
) -> UnsafeMutableRawPointer? {
    guard let capsule else { return nil }
    return capsuleGetPointer?(capsule, name)
}

@c @implementation
public func redcol_capsule_schema_name() -> UnsafePointer<CChar>? { platform_capsule_schema_name() }

@c @implementation
public func redcol_capsule_array_name() -> UnsafePointer<CChar>? { platform_capsule_array_name() }

@c @implementation
public func redcol_capsule_schema_new() -> UnsafeMutablePointer<ArrowSchema>? {
    calloc(1, MemoryLayout<ArrowSchema>.size)?.assumingMemoryBound(to: ArrowSchema.self)
}

@c @implementation
public func redcol_capsule_array_new() -> UnsafeMutablePointer<ArrowArray>? {
    calloc(1, MemoryLayout<ArrowArray>.size)?.assumingMemoryBound(to: ArrowArray.self)
}

@c @implementation
public func redcol_capsule_schema_free(_ capsule: UnsafeMutableRawPointer?) {
    guard let memory = content(capsule, platform_capsule_schema_name()) else { return }
    let schema = memory.assumingMemoryBound(to: ArrowSchema.self)
    schema.pointee.release?(schema)
    free(memory)
}

@c @implementation
public func redcol_capsule_array_free(_ capsule: UnsafeMutableRawPointer?) {
    guard let memory = content(capsule, platform_capsule_array_name()) else { return }
    let array = memory.assumingMemoryBound(to: ArrowArray.self)
    array.pointee.release?(array)
    free(memory)
}

@c @implementation
public func redcol_capsule_stream_name() -> UnsafePointer<CChar>? { platform_capsule_stream_name() }

@c @implementation
public func redcol_capsule_stream_new() -> UnsafeMutablePointer<ArrowArrayStream>? {
    calloc(1, MemoryLayout<ArrowArrayStream>.size)?.assumingMemoryBound(to: ArrowArrayStream.self)
}

@c @implementation
public func redcol_capsule_stream_free(_ capsule: UnsafeMutableRawPointer?) {
    guard let memory = content(capsule, platform_capsule_stream_name()) else { return }
    let stream = memory.assumingMemoryBound(to: ArrowArrayStream.self)
    stream.pointee.release?(stream)
    free(memory)
}

@c @implementation
public func redcol_capsule_schema_copy(
    _ schema: UnsafePointer<ArrowSchema>?, _ copy_out: UnsafeMutablePointer<ArrowSchema>?
) -> Int32 {
    copy_out?.pointee = ArrowSchema()
    guard let schema, let copy_out, let columns = try? importSchema(schema),
        exportSchema(columns, into: copy_out)
    else { return -1 }
    return 0
}

@c @implementation
public func redcol_capsule_handle_name() -> UnsafePointer<CChar>? { platform_capsule_handle_name() }

@c @implementation
public func redcol_capsule_handle_new() -> UnsafeMutablePointer<UnsafeMutableRawPointer?>? {
    calloc(1, MemoryLayout<UnsafeMutableRawPointer?>.size)?
        .assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
}

@c @implementation
public func redcol_capsule_handle_free(_ capsule: UnsafeMutableRawPointer?) {
    guard let memory = content(capsule, platform_capsule_handle_name()) else { return }
    let cell = memory.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    redcol_free(cell.pointee)
    free(memory)
}

@c @implementation
public func redcol_capsule_logger(
    _ level: Int32, _ topic: UnsafePointer<CChar>?, _ message: UnsafePointer<CChar>?,
    _ user_data: UnsafeMutableRawPointer?
) -> Int32 {
    platform_log_to_python(level, topic, message, user_data)
}
