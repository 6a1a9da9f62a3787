// SPDX-License-Identifier: Apache-2.0
// What the C interface says about itself: its version as a number, what this build can do, and the
// names of its statuses.

import CPlatform
import CRedcol
import RedisConnection

/// A static text as a C string.
func cString(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c @implementation
public func redcol_version_number() -> Int32 {
    Int32(REDCOL_VERSION_MAJOR) * 10_000 + Int32(REDCOL_VERSION_MINOR) * 100
        + Int32(REDCOL_VERSION_PATCH)
}

@c @implementation
public func redcol_feature(_ name: UnsafePointer<CChar>?) -> Int32 {
    guard let name else { return 0 }
    if strcmp(name, cString("tls")) == 0 { return Features.tls ? 1 : 0 }
    return strcmp(name, cString("tls_roots")) == 0 && Features.tlsRoots ? 1 : 0
}

@c @implementation
public func redcol_status_name(_ status: redcol_status) -> UnsafePointer<CChar>? {
    let names: [(status: Int, name: StaticString)] = [
        (REDCOL_OK, "REDCOL_OK"), (REDCOL_END, "REDCOL_END"), (REDCOL_TIMEOUT, "REDCOL_TIMEOUT"),
        (REDCOL_ERROR_INVALID_ARGUMENT, "REDCOL_ERROR_INVALID_ARGUMENT"),
        (REDCOL_ERROR_CONNECTION, "REDCOL_ERROR_CONNECTION"),
        (REDCOL_ERROR_NAME, "REDCOL_ERROR_NAME"),
        (REDCOL_ERROR_TIMED_OUT, "REDCOL_ERROR_TIMED_OUT"),
        (REDCOL_ERROR_AUTHENTICATION, "REDCOL_ERROR_AUTHENTICATION"),
        (REDCOL_ERROR_PERMISSION, "REDCOL_ERROR_PERMISSION"),
        (REDCOL_ERROR_WRONG_TYPE, "REDCOL_ERROR_WRONG_TYPE"),
        (REDCOL_ERROR_LOADING, "REDCOL_ERROR_LOADING"),
        (REDCOL_ERROR_SERVER, "REDCOL_ERROR_SERVER"),
        (REDCOL_ERROR_PROTOCOL, "REDCOL_ERROR_PROTOCOL"),
        (REDCOL_ERROR_VALUE, "REDCOL_ERROR_VALUE"),
        (REDCOL_ERROR_SCHEMA, "REDCOL_ERROR_SCHEMA"),
        (REDCOL_ERROR_MEMORY, "REDCOL_ERROR_MEMORY"),
        (REDCOL_ERROR_UNSUPPORTED, "REDCOL_ERROR_UNSUPPORTED"),
        (REDCOL_ERROR_CANCELLED, "REDCOL_ERROR_CANCELLED"),
        (REDCOL_ERROR_CLOSED, "REDCOL_ERROR_CLOSED"),
        (REDCOL_ERROR_BUSY, "REDCOL_ERROR_BUSY"),
        (REDCOL_ERROR_FORKED, "REDCOL_ERROR_FORKED"),
        (REDCOL_ERROR_NO_GROUP, "REDCOL_ERROR_NO_GROUP"),
        (REDCOL_ERROR_KEY_EXISTS, "REDCOL_ERROR_KEY_EXISTS"),
        (REDCOL_ERROR_TOO_LARGE, "REDCOL_ERROR_TOO_LARGE"),
        (REDCOL_ERROR_TLS, "REDCOL_ERROR_TLS"), (REDCOL_ERROR_PENDING, "REDCOL_ERROR_PENDING"),
        (REDCOL_ERROR_GAP, "REDCOL_ERROR_GAP"),
        (REDCOL_ERROR_NO_STREAM, "REDCOL_ERROR_NO_STREAM"),
    ]
    for known in names where known.status == Int(status) { return cString(known.name) }
    return cString("unknown status")
}
