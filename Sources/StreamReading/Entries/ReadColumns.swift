// SPDX-License-Identifier: Apache-2.0
// The columns of a read: those of the entry's id and those of the schema, and which field goes to
// which of them.

import ArrowColumns
import RedcolBase
import RedisConnection

/// What a row parser is made from.
///
/// A column of the schema that has the name and the type of a column of the entry's id is that
/// column: what was read can be read again with its own schema. An entry's own field of such a name
/// goes to another column (`FieldNames`).
struct ReadColumns {
    var columns: [RequestedColumn] = []
    var idColumns = RowParser.IDColumns()
    var unknown: RowParser.Unknown
    /// The column of each field that is known; the first place that a name has counts.
    var fields: [(name: [UInt8], column: Int)] = []
    /// Names that no field has as a column.
    let reserved: [[UInt8]]

    /// How the texts of columns that are not in the schema are laid out.
    private let layout: TextLayout

    /// `schema` nil: the fields are discovered.
    init(_ options: ReadOptions, schema given: [RequestedColumn]?) throws(RedcolError) {
        unknown = .ignore(but: [:])
        let schema = given ?? []
        layout = options.stringLayout ?? ReadColumns.layout(of: schema) ?? .view
        let parts = options.idParts
        var places: [[UInt8]: Int] = [:]
        for (place, column) in schema.enumerated() where places[column.name] == nil {
            places[column.name] = place
        }
        // The place in the schema of each part that it names.
        var partPlaces: [(place: Int, part: IDPart)] = []
        var names = options.reserved
        for part in parts {
            if let place = places[part.name] {
                if part.fits(schema[place].type) {
                    if let other = partPlaces.first(where: { $0.place == place })?.part {
                        throw ReadColumns.sameName(part, other)
                    }
                    partPlaces.append((place, part))
                    names.append(part.name)
                } else if part.isWanted == true {
                    throw ReadColumns.wrongType(part, schema[place])
                }
            } else if part.isWanted == true {
                if let other = parts.first(where: { $0.name == part.name && $0.kind < part.kind }),
                    other.isWanted == true
                {
                    throw ReadColumns.sameName(part, other)
                }
                idColumns.set(part.kind, columns.count)
                let type = part.kind == .timestamp ? options.timestampType : part.type
                columns.append(RequestedColumn(name: part.name, type: type, layout: layout))
                names.append(part.name)
            }
        }
        reserved = names
        let first = columns.count
        for (place, part) in partPlaces { idColumns.set(part.kind, first + place) }
        columns += schema

        if given == nil {
            unknown = .discover(options.discover, layout)
            if let option = options.schemaOption {
                throw RedcolError(
                    .invalidArgument,
                    "\(option) is about the columns of a schema: give a schema too")
            }
        } else if let option = options.noSchemaOption {
            throw RedcolError(
                .invalidArgument,
                "\(option) is for reads without a schema: leave out \(option) or the schema")
        }
        for (place, values) in options.categories {
            try ReadColumns.requireCategories(values, place, in: &columns, first: first)
        }
        let fieldNames = try ReadColumns.fieldNames(options, schema, partPlaces.map { $0.place })
        if let discovered = options.discovered {
            let known = Set(discovered)
            var found: [[UInt8]: Int] = [:]
            for (place, name) in fieldNames.enumerated() {
                guard let name else { continue }
                guard known.contains(name) else {
                    throw RedcolError(
                        .invalidArgument,
                        "the schema has a column of the field \"\(escaped(name, limit: 80))\", "
                            + "which is not among those discovered")
                }
                found[name] = first + place
            }
            guard given != nil else {
                throw RedcolError(.invalidArgument, "discovered needs a schema")
            }
            unknown = .refuse(known, columns: found)
        } else if given != nil {
            fields = FieldNames.table(schema, fieldNames, reserved: reserved, first: first)
            unknown = .ignore(but: FieldNames.escaped(fieldNames, first: first))
        }
    }

    /// The field of each column of the schema; nil for a column of the entry's id.
    private static func fieldNames(
        _ options: ReadOptions, _ schema: [RequestedColumn], _ partPlaces: [Int]
    ) throws(RedcolError) -> [[UInt8]?] {
        var names: [[UInt8]?] = schema.map { $0.name }
        for place in partPlaces { names[place] = nil }
        if options.fields.isEmpty { return names }
        for (place, name) in options.fields {
            guard place < schema.count, names[place] != nil else {
                throw RedcolError(
                    .invalidArgument,
                    "field:\(place) names a column of the schema that does not hold a field")
            }
            names[place] = name
        }
        var seen: Set<[UInt8]> = []
        for case let name? in names where !seen.insert(name).inserted {
            throw RedcolError(
                .invalidArgument,
                "two columns of the schema are the field \"\(escaped(name, limit: 80))\"")
        }
        return names
    }

    /// The layout of the first text among these columns.
    static func layout(of columns: [RequestedColumn]) -> TextLayout? {
        for column in columns {
            switch column.type.kind {
            case .string, .binary, .dictionary: return column.layout
            default: if let layout = layout(of: column.children) { return layout }
            }
        }
        return nil
    }

    private static func optionName(_ place: [Int]) -> String {
        var name = "categories:"
        for (index, number) in place.enumerated() { name += index > 0 ? ".\(number)" : "\(number)" }
        return name
    }

    /// Sets the categories of the column at `place`, counted from `first`.
    static func requireCategories(
        _ values: [[UInt8]], _ place: [Int], in columns: inout [RequestedColumn], first: Int
    ) throws(RedcolError) {
        guard try setCategories(values, place, in: &columns, first: first) else {
            throw RedcolError(
                .invalidArgument,
                "\(optionName(place)) names a column that is not a dictionary column of the schema"
            )
        }
    }

    /// Sets the categories of the column at `place`; false if it is not a dictionary column.
    private static func setCategories(
        _ values: [[UInt8]], _ place: [Int], in columns: inout [RequestedColumn], first: Int,
        depth: Int = 0
    ) throws(RedcolError) -> Bool {
        guard depth < place.count, place[depth] < columns.count - first else { return false }
        let index = first + place[depth]
        guard depth == place.count - 1 else {
            return try setCategories(
                values, place, in: &columns[index].children, first: 0, depth: depth + 1)
        }
        guard columns[index].type.kind == .dictionary else { return false }
        let most = columns[index].type.categoriesMost
        guard values.count <= most, Set(values).count == values.count else {
            throw RedcolError(
                .invalidArgument,
                "\(optionName(place)) has \(values.count) values; its index type can number "
                    + "\(most), each of them once")
        }
        columns[index].categories = values
        return true
    }

    private static func sameName(_ part: IDPart, _ other: IDPart) -> RedcolError {
        RedcolError(
            .invalidArgument,
            "\(part.option) is \"\(escaped(part.name, limit: 80))\", as is \(other.option): give "
                + "each column a name of its own")
    }

    private static func wrongType(_ part: IDPart, _ column: RequestedColumn) -> RedcolError {
        let name = escaped(part.name, limit: 80)
        let asked = String(decoding: column.type.format, as: UTF8.self)
        return RedcolError(
            .schema,
            "the schema's column \"\(name)\" is \(column.type.name) (\(asked)), but that is the "
                + "name of a column of \(part.what): to read a field \"\(name)\", choose another "
                + "\(part.option)\(part.leaveOut)",
            details: [(.field, columnDetail(part.name)), (.dtype, asked)])
    }

    func makeParser(
        _ options: ReadOptions, streams: [[UInt8]], secrets: Secrets = .none
    ) throws(RedcolError) -> RowParser {
        var parser = try RowParser(
            streams: streams, columns: columns, idColumns: idColumns, fields: fields,
            reserved: reserved, unknown: unknown, columnsMax: options.columnsMax,
            onRefused: options.onError.ofValue, secrets: secrets,
            limits: EntryLimits(bytes: options.entryBytesMax, fields: options.entryFieldsMax))
        parser.skipsRefused = options.onError == .skip
        if options.raisesMissingFields { parser.withBatch { $0.refusesMissing = true } }
        return parser
    }
}

/// A column of the entry's id or its stream, as the options ask for it.
struct IDPart {
    enum Kind: Int, Comparable {
        case id, timestamp, sequence, stream

        static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }
    }

    let kind: Kind
    let name: [UInt8]
    /// nil: if the schema names it.
    let isWanted: Bool?

    var option: String {
        switch kind {
        case .id: return "id_column"
        case .timestamp: return "timestamp_column"
        case .sequence: return "sequence_column"
        case .stream: return "stream_column"
        }
    }

    /// Another way out, where the column can be left out.
    var leaveOut: String {
        switch kind {
        case .id: return ", or leave that column out (include_id)"
        case .timestamp: return ", or leave that column out (include_timestamp)"
        case .sequence: return ", or leave that column out (include_sequence)"
        case .stream: return ""
        }
    }

    var type: ColumnType {
        switch kind {
        case .id, .stream: return .string
        case .timestamp: return .int64
        case .sequence: return .uint64
        }
    }

    var what: String {
        switch kind {
        case .id: return "the entries' ids (text)"
        case .timestamp: return "the ids' milliseconds (int64, or a timestamp in milliseconds)"
        case .sequence: return "the ids' sequence numbers (uint64)"
        case .stream: return "the streams' keys (text)"
        }
    }

    /// The type with this Arrow format, if the column of milliseconds can have it.
    static func timestampType(_ format: String) -> ColumnType? {
        let part = IDPart(kind: .timestamp, name: [], isWanted: nil)
        let bytes = format.utf8.map { CChar(bitPattern: $0) } + [0]
        let type = bytes.withUnsafeBufferPointer { text in
            text.baseAddress.flatMap { try? ColumnType(format: $0) }
        }
        return type.flatMap { part.fits($0) ? $0 : nil }
    }

    /// Whether a column of the schema can be this one.
    func fits(_ type: ColumnType) -> Bool {
        switch kind {
        case .id, .stream: return type.kind == .string
        case .timestamp:
            return type.kind == .int64 || type.kind == .timestamp && type.unit == .millisecond
        case .sequence: return type.kind == .uint64
        }
    }
}

extension RowParser {
    /// Which columns an entry's id goes to; -1 for none.
    struct IDColumns {
        var id = -1
        var timestamp = -1
        var sequence = -1
        /// The name of the stream.
        var stream = -1
    }
}

extension RowParser.IDColumns {
    func has(_ column: Int) -> Bool {
        column == id || column == timestamp || column == sequence || column == stream
    }

    mutating func set(_ part: IDPart.Kind, _ column: Int) {
        switch part {
        case .id: id = column
        case .timestamp: timestamp = column
        case .sequence: sequence = column
        case .stream: stream = column
        }
    }
}

extension ReadOptions {
    /// The columns of the entry's id that there may be, in their order.
    var idParts: [IDPart] {
        var parts: [IDPart] = []
        func add(_ kind: IDPart.Kind, _ name: String, _ isWanted: Bool?) {
            if isWanted == false { return }
            parts.append(IDPart(kind: kind, name: Array(name.utf8), isWanted: isWanted))
        }
        add(.id, idColumn, includeID)
        add(.timestamp, timestampColumn, includeTimestamp)
        add(.sequence, sequenceColumn, includeSequence)
        if let streamColumn { add(.stream, streamColumn, true) }
        return parts
    }
}
