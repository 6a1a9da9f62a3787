// SPDX-License-Identifier: Apache-2.0
// The error of a value that does not fit its column, or is missing: where it is, and what to do.

import ArrowColumns
import RedcolBase
import RedisConnection

extension RowParser {
    /// `text` is the value, cut at 81 bytes, or nil if the entry has none; `nested` says what was
    /// wrong in a JSON text.
    func refusedValue(
        _ text: [UInt8]?, _ nested: NestedRefusal?, _ column: RequestedColumn, _ id: String,
        isField: Bool
    ) -> RedcolError {
        let field = secrets.shown(column.name, limit: 200, keeping: .names)
        let dtype = String(decoding: column.type.format, as: UTF8.self)
        var details: [(RedcolError.Detail, String)] = [
            (.entryID, id),
            (
                .field,
                secrets.shown(
                    column.name, limit: RowParser.fieldDetailMax, keeping: .columnNames)
            ),
            (.dtype, dtype),
        ]
        if let text { details.append((.value, shown(text))) }
        if text != nil, let nested, nested.value != nil {
            let path = secrets.shown(nested.path, limit: 1_000, keeping: .names)
            details.append((.path, field + path))
        }
        let what = reason(text, nested, column, isField: isField)
        let wayOut =
            text == nil
            ? "leave the column out of the schema, or give missing_field=\"null\" to read null "
                + "there, or on_error=\"skip\" to leave such entries out"
            : "give the column another type, or on_error=\"null\" to read such values as null, or "
                + "\"skip\" to leave such entries out"
        return RedcolError(
            .value, "entry \(id), field \"\(field)\": \(what); \(wayOut)", details: details)
    }

    func shown(_ value: [UInt8]) -> String {
        secrets.shown(value, limit: 80, mayGoOn: value.count > 80)
    }

    func reason(
        _ text: [UInt8]?, _ nested: NestedRefusal?, _ column: RequestedColumn, isField: Bool
    ) -> String {
        guard let text else { return "the entry has no such field" }
        let name = column.categories == nil ? column.type.wholeName : "Enum"
        let what = "the value \"\(shown(text))\" does not fit \(name)"
        if let nested {
            guard let inner = nested.value else { return "\(what): it is not JSON" }
            let path =
                secrets.shown(column.name, limit: 200, keeping: .names)
                + secrets.shown(nested.path, limit: 1_000, keeping: .names)
            return "\(what): \(path) is \(shown(inner)), which does not fit \(nested.type)"
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
        let field = "field \"\(secrets.shown(column.name, limit: 200, keeping: .names))\""
        if refusal.text == nil { return "\(entry): it has no \(field)" }
        let name = column.categories == nil ? column.type.wholeName : "Enum"
        return "\(entry): the value of \(field) does not fit \(name)"
    }

    /// Whether the columns are, or were, found without a schema.
    private var findsColumns: Bool {
        if case .ignore = unknown { return false }
        return true
    }
}
