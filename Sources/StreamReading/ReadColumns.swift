// The columns of a read: those of the entry's id first, then those of the schema.

import ArrowColumns
import RedisConnection

/// What a row parser is made from.
struct ReadColumns {
    var columns: [RequestedColumn] = []
    var idColumns = RowParser.IDColumns()
    var unknown: RowParser.Unknown

    /// `schema` nil: the fields are discovered.
    init(_ options: ReadOptions, schema: [RequestedColumn]?) throws(RedisError) {
        unknown = schema == nil ? .discover : .ignore
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
        for (index, values) in options.categories {
            guard index < columns.count - reserved.count,
                columns[reserved.count + index].type.kind == .dictionary
            else {
                throw RedisError(
                    .invalidArgument,
                    "categories:\(index) names a column that is no dictionary column of the schema")
            }
            let most = columns[reserved.count + index].type.categoriesMost
            guard values.count <= most, Set(values).count == values.count else {
                throw RedisError(
                    .invalidArgument,
                    "categories:\(index) has \(values.count) values; its index type can number "
                        + "\(most), each of them once")
            }
            columns[reserved.count + index].categories = values
        }
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
        columns.append(RequestedColumn(name: bytes, type: type))
        return columns.count - 1
    }

    func makeParser(
        _ options: ReadOptions, streams: [[UInt8]], secrets: Secrets = .none
    ) throws(RedisError) -> RowParser {
        try RowParser(
            streams: streams, columns: columns, idColumns: idColumns,
            ignoredNames: columns[..<idColumns.count].map { $0.name }, unknown: unknown,
            columnsMax: options.columnsMax, onRefused: options.onError,
            secrets: secrets)
    }
}
