// SPDX-License-Identifier: Apache-2.0
// Causes as the statuses of the C interface, and their details as its names.

import CRedcol
import RedcolBase
import RedisConnection

/// The outcomes that are no errors, in the type that the exports return.
enum Status {
    static let ok = redcol_status(REDCOL_OK)
    static let end = redcol_status(REDCOL_END)
    static let timeout = redcol_status(REDCOL_TIMEOUT)
}

extension RedcolError.Cause {
    /// The status of the C interface that says the same.
    var status: redcol_status {
        let constant =
            switch self {
            case .invalidArgument: REDCOL_ERROR_INVALID_ARGUMENT
            case .connection: REDCOL_ERROR_CONNECTION
            case .name: REDCOL_ERROR_NAME
            case .timedOut: REDCOL_ERROR_TIMED_OUT
            case .authentication: REDCOL_ERROR_AUTHENTICATION
            case .permission: REDCOL_ERROR_PERMISSION
            case .wrongType: REDCOL_ERROR_WRONG_TYPE
            case .loading: REDCOL_ERROR_LOADING
            case .server: REDCOL_ERROR_SERVER
            case .protocolViolation: REDCOL_ERROR_PROTOCOL
            case .value: REDCOL_ERROR_VALUE
            case .schema: REDCOL_ERROR_SCHEMA
            case .memory: REDCOL_ERROR_MEMORY
            case .unsupported: REDCOL_ERROR_UNSUPPORTED
            case .cancelled: REDCOL_ERROR_CANCELLED
            case .closed: REDCOL_ERROR_CLOSED
            case .busy: REDCOL_ERROR_BUSY
            case .forked: REDCOL_ERROR_FORKED
            case .noGroup: REDCOL_ERROR_NO_GROUP
            case .keyExists: REDCOL_ERROR_KEY_EXISTS
            case .tooLarge: REDCOL_ERROR_TOO_LARGE
            case .tls: REDCOL_ERROR_TLS
            case .pending: REDCOL_ERROR_PENDING
            case .gap: REDCOL_ERROR_GAP
            case .noStream: REDCOL_ERROR_NO_STREAM
            case .interrupted: REDCOL_TIMEOUT
            }
        return redcol_status(constant)
    }
}

extension RedcolError.Detail {
    var name: StaticString {
        switch self {
        case .serverCode: return "server_code"
        case .stream: return "stream"
        case .entryID: return "entry_id"
        case .path: return "path"
        case .field: return "field"
        case .dtype: return "dtype"
        case .value: return "value"
        case .row: return "row"
        case .key: return "key"
        case .refusedRows: return "refused_rows"
        case .unknownRows: return "unknown_rows"
        case .providerCode: return "provider_code"
        case .lostEntries: return "lost_entries"
        case .afterID: return "after_id"
        case .beforeID: return "before_id"
        }
    }
}
