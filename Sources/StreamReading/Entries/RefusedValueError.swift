// SPDX-License-Identifier: Apache-2.0
// The error of a value that does not fit its column: where it stands, and what can be done.

import ArrowColumns
import RedcolBase
import RedisConnection

extension RowParser {
    /// `text` is the value, cut at 81 bytes; `nested` says what was wrong in a JSON text.
    func refusedValue(
        _ text: [UInt8], _ nested: NestedRefusal?, _ column: RequestedColumn, _ id: String,
        isField: Bool
    ) -> RedcolError {
        let field = secrets.shown(column.name, limit: 200, keeping: .names)
        let dtype = String(decoding: column.type.format, as: UTF8.self)
        let value = secrets.shown(text, limit: 80, mayGoOn: text.count > 80)
        var details: [(RedcolError.Detail, String)] = [
            (.entryID, id),
            (
                .field,
                secrets.shown(
                    column.name, limit: RowParser.fieldDetailMax, keeping: .columnNames)
            ),
            (.dtype, dtype), (.value, value),
        ]
        if let nested, nested.value != nil {
            let path = secrets.shown(nested.path, limit: 1_000, keeping: .names)
            details.append((.path, field + path))
        }
        let what = reason(text, nested, column, isField: isField)
        return RedcolError(
            .value, "entry \(id), field \"\(field)\": \(what); \(wayOut)", details: details)
    }

    private func reason(
        _ text: [UInt8], _ nested: NestedRefusal?, _ column: RequestedColumn, isField: Bool
    ) -> String {
        let value = secrets.shown(text, limit: 80, mayGoOn: text.count > 80)
        let name = column.categories == nil ? column.type.wholeName : "Enum"
        let what = "the value \"\(value)\" does not fit \(name)"
        if let nested {
            guard let inner = nested.value else { return "\(what): it is not JSON" }
            let path =
                secrets.shown(column.name, limit: 200, keeping: .names)
                + secrets.shown(nested.path, limit: 1_000, keeping: .names)
            let shown = secrets.shown(inner, limit: 80, mayGoOn: inner.count > 80)
            return "\(what): \(path) is \(shown), which does not fit \(nested.type)"
        }
        if column.type.kind == .timestamp { return "\(what); \(column.type.timestampHint)" }
        if isField, column.type.kind == .string, findsColumns {
            return what + ": it is not UTF-8; discover=\"auto\" makes such a column Binary, "
                + "discover=\"binary\" all columns"
        }
        return what
    }

    /// Bytes of a field's name in the detail of an error.
    static var fieldDetailMax: Int { 65_536 }

    /// The error of a field that was not discovered. Its name is cut after `fieldDetailMax` bytes,
    /// and one more.
    func newField(_ field: [UInt8], _ id: String) -> RedcolError {
        let isCut = field.count > RowParser.fieldDetailMax
        let shown = secrets.shown(field, limit: 200, mayGoOn: isCut, keeping: .names)
        let column = secrets.shown(
            field, limit: RowParser.fieldDetailMax, mayGoOn: isCut, keeping: .columnNames)
        return RedcolError(
            .schema,
            "entry \(id) has a field \"\(shown)\", which was not there when the columns were "
                + "discovered: give a schema that names the fields you want, or discover them "
                + "again", details: [(.entryID, id), (.field, column)])
    }

    /// The value that was refused last, for a dead letter.
    var lastRefusal: DeadLetter.Refusal? {
        guard let refusal, refusal.column < columns.count else { return nil }
        let column = columns[refusal.column]
        let isField = !isColumnOfID(refusal.column)
        let why = reason(refusal.text, refusal.nested, column, isField: isField)
        return DeadLetter.Refusal(field: column.name, reason: Array(why.utf8))
    }

    /// The entry that was left out last, for the log: without its value.
    func lastLeftOut(of stream: String) -> String {
        let entry = "entry \(String(decoding: failedID, as: UTF8.self)) of stream \"\(stream)\""
        guard let refusal, refusal.column < columns.count else { return entry }
        let column = columns[refusal.column]
        let name = column.categories == nil ? column.type.wholeName : "Enum"
        return "\(entry): the value of field "
            + "\"\(secrets.shown(column.name, limit: 200, keeping: .names))\" does not fit \(name)"
    }

    /// Whether the columns are, or were, found without a schema.
    private var findsColumns: Bool {
        if case .ignore = unknown { return false }
        return true
    }

    private var wayOut: String {
        "give the column another type, or on_error=\"null\" to read such values as null, or "
            + "\"skip\" to leave such entries out"
    }
}
