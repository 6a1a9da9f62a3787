// The error of a value that does not fit its column: where it stands, and what can be done.

import ArrowColumns
import RedisConnection

extension RowParser {
    /// `text` is the value, cut at 81 bytes; `nested` says what was wrong in a JSON text.
    func refusedValue(
        _ text: [UInt8], _ nested: NestedRefusal?, _ column: RequestedColumn, _ id: String,
        isField: Bool
    ) -> RedisError {
        let field = secrets.shown(column.name, limit: 200)
        let dtype = String(decoding: column.type.format, as: UTF8.self)
        let value = secrets.shown(text, limit: 80, mayGoOn: text.count > 80)
        let name = column.categories == nil ? column.type.wholeName : "Enum"
        var details: [(RedisError.Detail, String)] = [
            (.entryID, id), (.field, field), (.dtype, dtype), (.value, value),
        ]
        var what = "the value \"\(value)\" does not fit \(name)"
        if let nested {
            guard let inner = nested.value else {
                return RedisError(
                    .value,
                    "entry \(id), field \"\(field)\": \(what): it is not JSON; \(wayOut)",
                    details: details)
            }
            let path = field + secrets.shown(nested.path, limit: 1_000)
            let shown = secrets.shown(inner, limit: 80, mayGoOn: inner.count > 80)
            details.append((.path, path))
            what += ": \(path) is \(shown), which does not fit \(nested.type)"
        } else if column.type.kind == .timestamp {
            what += "; \(column.type.timestampHint)"
        } else if isField, column.type.kind == .string, findsColumns {
            what +=
                ": it is not UTF-8; discover=\"auto\" makes such a column Binary, "
                + "discover=\"binary\" all columns"
        }
        return RedisError(
            .value, "entry \(id), field \"\(field)\": \(what); \(wayOut)", details: details)
    }

    /// Whether the columns are, or were, found without a schema.
    private var findsColumns: Bool {
        if case .ignore = unknown { return false }
        return true
    }

    private var wayOut: String {
        "give the column another type, or on_error=\"null\" to read such values as null"
    }
}
