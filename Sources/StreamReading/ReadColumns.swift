// The columns of a read: those of the entry's id first, then those of the schema.

import ArrowColumns
import RedisConnection

/// What a row parser is made from.
struct ReadColumns {
    var columns: [RequestedColumn] = []
    var idColumns = RowParser.IDColumns()
    var unknown: RowParser.Unknown
    /// How the texts of columns that are not in the schema are laid out.
    private let layout: TextLayout

    /// `schema` nil: the fields are discovered.
    init(_ options: ReadOptions, schema: [RequestedColumn]?) throws(RedisError) {
        layout = options.stringLayout ?? ReadColumns.layout(of: schema ?? []) ?? .view
        unknown = schema == nil ? .discover(options.discover, layout) : .ignore
        if let discovered = options.discovered {
            guard let schema, schema.allSatisfy({ discovered.contains($0.name) }) else {
                throw RedisError(
                    .invalidArgument,
                    "discovered needs a schema, whose columns are all among those discovered")
            }
            unknown = .refuse(Set(discovered))
        }
        if options.includeID {
            idColumns.id = try add(options.idColumn, .string, option: "id_column")
        }
        if options.includeTimestamp {
            idColumns.timestamp = try add(
                options.timestampColumn, .int64, option: "timestamp_column")
        }
        if options.includeSequence {
            idColumns.sequence = try add(options.sequenceColumn, .uint64, option: "sequence_column")
        }
        if let name = options.streamColumn {
            idColumns.stream = try add(name, .string, option: "stream_column")
        }
        let reserved = columns
        for column in schema ?? [] {
            if reserved.contains(where: { $0.name == column.name }) {
                throw RedisError(
                    .schema,
                    "the schema has a column \"\(escaped(column.name, limit: 80))\", which is "
                        + "already the name of a column for the entry's id; rename that one "
                        + "(id_column, "
                        + "timestamp_column, …) or leave it out (include_…)")
            }
            columns.append(column)
        }
        for (place, values) in options.categories {
            let isSet = try setCategories(values, place, in: &columns, first: reserved.count)
            guard isSet else {
                throw RedisError(
                    .invalidArgument,
                    "\(optionName(place)) names a column that is not a dictionary column of the "
                        + "schema")
            }
        }
    }

    /// The layout of the first text among these columns.
    private static func layout(of columns: [RequestedColumn]) -> TextLayout? {
        for column in columns {
            switch column.type.kind {
            case .string, .binary, .dictionary: return column.layout
            default: if let layout = layout(of: column.children) { return layout }
            }
        }
        return nil
    }

    private func optionName(_ place: [Int]) -> String {
        var name = "categories:"
        for (index, number) in place.enumerated() { name += index > 0 ? ".\(number)" : "\(number)" }
        return name
    }

    /// Sets the categories of the column at `place`; false if it is not a dictionary column.
    private func setCategories(
        _ values: [[UInt8]], _ place: [Int], in columns: inout [RequestedColumn], first: Int,
        depth: Int = 0
    ) throws(RedisError) -> Bool {
        guard depth < place.count, place[depth] < columns.count - first else { return false }
        let index = first + place[depth]
        guard depth == place.count - 1 else {
            return try setCategories(
                values, place, in: &columns[index].children, first: 0, depth: depth + 1)
        }
        guard columns[index].type.kind == .dictionary else { return false }
        let most = columns[index].type.categoriesMost
        guard values.count <= most, Set(values).count == values.count else {
            throw RedisError(
                .invalidArgument,
                "\(optionName(place)) has \(values.count) values; its index type can number "
                    + "\(most), each of them once")
        }
        columns[index].categories = values
        return true
    }

    private mutating func add(
        _ name: String, _ type: ColumnType, option: String
    ) throws(RedisError) -> Int {
        let bytes = Array(name.utf8)
        if columns.contains(where: { $0.name == bytes }) {
            throw RedisError(
                .invalidArgument,
                "\(option) is \"\(escaped(bytes, limit: 80))\", as is another column"
            )
        }
        columns.append(RequestedColumn(name: bytes, type: type, layout: layout))
        return columns.count - 1
    }

    func makeParser(
        _ options: ReadOptions, streams: [[UInt8]], secrets: Secrets = .none
    ) throws(RedisError) -> RowParser {
        try RowParser(
            streams: streams, columns: columns, idColumns: idColumns,
            ignoredNames: columns[..<idColumns.count].map { $0.name }, unknown: unknown,
            columnsMax: options.columnsMax, onRefused: options.onError,
            secrets: secrets,
            limits: EntryLimits(bytes: options.entryBytesMax, fields: options.entryFieldsMax))
    }
}
