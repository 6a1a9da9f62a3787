// SPDX-License-Identifier: Apache-2.0
// The part of the C interface that makes clients, and says where their credentials come from.

import CPlatform
import CRedcol
import RedcolBase
import RedisConnection
import RedisTopology

@c @implementation
public func redcol_open(
    _ url: UnsafePointer<CChar>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ client_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    open(url, options, client_out, error_out) { () throws(RedcolError) in nil }
}

@c @implementation
public func redcol_open_with_credentials(
    _ url: UnsafePointer<CChar>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ credentials: OpaquePointer?, _ client_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    open(url, options, client_out, error_out) { () throws(RedcolError) in
        try Arguments.provider(credentials)
    }
}

private func open(
    _ url: UnsafePointer<CChar>?, _ options: UnsafePointer<UnsafePointer<CChar>?>?,
    _ client_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?,
    provider: () throws(RedcolError) -> CredentialsProvider?
) -> redcol_status {
    client_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let client_out else { throw Arguments.missing("client_out") }
        let topology = try openTopology(
            url: try Arguments.text(url, "url"), options: try Arguments.options(options),
            provider: try provider())
        client_out.pointee = try ClientHandle.make(topology).retainedPointer()
        return Status.ok
    }
}

@c @implementation
public func redcol_credentials_new(
    _ callback: redcol_credentials_callback?, _ user_data: UnsafeMutableRawPointer?,
    _ release: redcol_release?,
    _ credentials_out: UnsafeMutablePointer<OpaquePointer?>?,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    credentials_out?.pointee = nil
    return reporting(error_out) { () throws(RedcolError) in
        guard let callback else { throw Arguments.missing("callback") }
        guard let credentials_out else { throw Arguments.missing("credentials_out") }
        let provider = CredentialsProvider(callback, user_data, release)
        credentials_out.pointee = CredentialsHandle(provider).retainedPointer()
        return Status.ok
    }
}

@c @implementation
public func redcol_credentials_set(
    _ request: OpaquePointer?, _ user: UnsafePointer<CChar>?, _ user_length: Int64,
    _ password: UnsafePointer<CChar>?, _ password_length: Int64,
    _ error_out: UnsafeMutablePointer<OpaquePointer?>?
) -> redcol_status {
    reporting(error_out) { () throws(RedcolError) in
        guard let request else { throw Arguments.missing("request") }
        let none = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        let user = user == nil ? none : try Arguments.bytes(user, user_length, "user")
        let password = try Arguments.bytes(password, password_length, "password")
        guard max(user.count, password.count) <= CredentialsRequest.bytesMax else {
            throw RedcolError(
                .invalidArgument,
                "user or password has more than \(CredentialsRequest.bytesMax) bytes")
        }
        Unmanaged<CredentialsRequest>.fromOpaque(UnsafeRawPointer(request)).takeUnretainedValue()
            .set(user: user, password: password)
        return Status.ok
    }
}

@c @implementation
public func redcol_capsule_credentials(
    _ request: OpaquePointer?, _ user_data: UnsafeMutableRawPointer?
) -> Int32 {
    platform_ask_python(request, user_data)
}

@c @implementation
public func redcol_capsule_credentials_setup(_ callback: redcol_credentials_callback?) {
    platform_python_set(callback)
}

@c @implementation
public func redcol_capsule_credentials_entered() { platform_python_entered() }
