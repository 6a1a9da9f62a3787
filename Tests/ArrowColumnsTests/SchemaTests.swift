// SPDX-License-Identifier: Apache-2.0
// Arrow formats, hostile and proper schemas in, and the release protocol of schemas out.
import CArrowData
import CPlatform
import RedcolBase
import Testing

@testable import ArrowColumns

@Suite struct ColumnTypeTests {
    @Test(
        arguments: [
            ("b", .boolean, 0), ("c", .int8, 1), ("C", .uint8, 1), ("s", .int16, 2),
            ("S", .uint16, 2), ("i", .int32, 4),
            ("I", .uint32, 4), ("l", .int64, 8), ("L", .uint64, 8), ("f", .float32, 4),
            ("g", .float64, 8),
            ("u", .string, 16), ("U", .string, 16), ("vu", .string, 16), ("z", .binary, 16),
            ("Z", .binary, 16),
            ("vz", .binary, 16), ("tdD", .date32, 4), ("tts", .time32, 4), ("ttm", .time32, 4),
            ("ttu", .time64, 8),
            ("ttn", .time64, 8), ("tss:", .timestamp, 8), ("tsm:UTC", .timestamp, 8),
            ("tsu:Europe/Berlin", .timestamp, 8), ("tsn:+01:00", .timestamp, 8),
            ("tDs", .duration, 8),
            ("tDm", .duration, 8), ("tDu", .duration, 8), ("tDn", .duration, 8),
            ("d:38,0", .decimal128, 16),
            ("d:5,5", .decimal128, 16), ("d:5,2,128", .decimal128, 16),
            ("_pli128", .int128, 16), ("_plu128", .uint128, 16), ("+w:0", .fixedList, 0),
            ("+w:2147483647", .fixedList, 0),
        ] as [(String, ColumnType.Kind, Int)])
    func supported(format: String, kind: ColumnType.Kind, width: Int) throws {
        let type = try ColumnType(format: format)
        #expect(type.kind == kind && type.indexKind == kind && type.byteWidth == width)
        var given = format
        if kind == .string { given = "vu" }
        if kind == .binary { given = "vz" }
        if format == "d:5,2,128" { given = "d:5,2" }
        #expect(type.format == Array(given.utf8))
        if kind == .time32 || kind == .time64 || kind == .timestamp || kind == .duration {
            let units: [ColumnType.Unit] = [.second, .millisecond, .microsecond, .nanosecond]
            let letters: [UInt8] = Array("smun".utf8)
            #expect(units.firstIndex(of: type.unit) == letters.firstIndex(of: type.format[2]))
        }
    }

    @Test func listSizes() throws {
        #expect(try ColumnType(format: "+w:2147483647").listSize == 2_147_483_647)
        #expect(try ColumnType(format: "+w:007").listSize == 7)
        #expect(try ColumnType(format: "+l").listSize == 0)
    }

    @Test func decimalNumbers() throws {
        let type = try ColumnType(format: "d:19,10")
        #expect(type.precision == 19 && type.scale == 10)
        #expect(try ColumnType(format: "d:7,3") == ColumnType(format: "d:7,3,128"))
    }

    @Test(arguments: [
        "", "n", "e", "w:16", "tdm", "tD", "tDx", "tDsx", "tt", "ttx", "ttsx", "ts", "tss", "tsx:",
        "tsD:",
        "ttD", "tDD", "td", "tdDx", "+", "+w", "+w:", "+w:-1", "+w:2 ",
        "+w:2147483648", "+w:99999999999999999999", "+l:2", "_pli12", "_pli1288", "_plu64", "+m",
        "+ss", "+vl", "v", "vx", "vuu", "uu",
        "d", "d:", "d:5", "d:5,",
        "d:,2", "d:0,0",
        "d:39,0", "d:5,6", "d:5,-1", "d:5,2,", "d:5,2,256", "d:5,2,128,", "d:5,2,128,1",
        "d:005,2,0128",
        "d:99999999999999999999,2", "d:5 ,2", "dx5,2", "d:5,2x", "tiM", "l ", " l",
    ])
    func refused(format: String) {
        #expect {
            try ColumnType(format: format)
        } throws: { error in
            guard let error = error as? ColumnError else { return false }
            return error.cause == .schema && error.message.contains("\"\(format)\"")
        }
    }

    @Test func dictionary() {
        let type = ColumnType.dictionary(index: .uint32)
        #expect(type?.kind == .dictionary && type?.indexKind == .uint32 && type?.byteWidth == 4)
        #expect(type?.format == Array("I".utf8))
        #expect(ColumnType.dictionary(index: .float64) == nil)
    }
}

/// An ArrowSchema of the test's own, which counts how often it is released.
final class ForeignSchema {
    let pointer = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: 1)
    private var texts: [UnsafeMutablePointer<CChar>] = []
    private var list: UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>?
    private var kept: [ForeignSchema] = []
    nonisolated(unsafe) static var released = 0

    init(
        _ format: String?, _ name: String? = "", _ children: [ForeignSchema?] = [],
        dictionary: ForeignSchema? = nil, flags: Int64 = 0, metadata: [UInt8]? = nil
    ) {
        pointer.initialize(to: ArrowSchema())
        pointer.pointee.format = format.map { copy(Array($0.utf8) + [0]) }
        pointer.pointee.name = name.map { copy(Array($0.utf8) + [0]) }
        pointer.pointee.metadata = metadata.map { copy($0) }
        pointer.pointee.flags = flags
        pointer.pointee.n_children = Int64(children.count)
        pointer.pointee.dictionary = dictionary?.pointer
        pointer.pointee.release = { _ in ForeignSchema.released += 1 }
        if !children.isEmpty {
            let list = UnsafeMutablePointer<UnsafeMutablePointer<ArrowSchema>?>
                .allocate(capacity: children.count)
            for (index, child) in children.enumerated() { list[index] = child?.pointer }
            pointer.pointee.children = list
            self.list = list
        }
        kept = children.compactMap { $0 } + [dictionary].compactMap { $0 }
    }

    deinit {
        for text in texts { text.deallocate() }
        list?.deallocate()
        pointer.deallocate()
    }

    func copy(_ bytes: [UInt8]) -> UnsafePointer<CChar> {
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { text[index] = CChar(bitPattern: byte) }
        texts.append(text)
        return UnsafePointer(text)
    }
}

/// Metadata as Arrow encodes it, from keys and values in turn.
func encodedMetadata(_ texts: [String], pairs: Int32? = nil) -> [UInt8] {
    var bytes = withUnsafeBytes(of: pairs ?? Int32(texts.count / 2)) { Array($0) }
    for text in texts {
        withUnsafeBytes(of: Int32(text.utf8.count)) { bytes += Array($0) }
        bytes += Array(text.utf8)
    }
    return bytes
}

@Suite struct ImportSchemaTests {
    private func importing(_ schema: ForeignSchema) throws -> [RequestedColumn] {
        defer { #expect(ForeignSchema.released == 0) }
        return try withExtendedLifetime(schema) { try importSchema(schema.pointer) }
    }

    private func refused(_ schema: ForeignSchema, _ words: String, _ line: Int = #line) {
        let location = SourceLocation(
            fileID: #fileID, filePath: #filePath, line: line, column: 1)
        #expect(sourceLocation: location) {
            try importing(schema)
        } throws: { error in
            guard let error = error as? ColumnError, error.cause == .schema else { return false }
            if !error.message.contains(words) { print("message:", error.message) }
            return error.message.contains(words)
        }
    }

    @Test func columns() throws {
        let metadata = encodedMetadata(["key", "value", "", "größe"])
        let columns = try importing(
            ForeignSchema(
                "+s", nil,
                [
                    ForeignSchema("l", "number", flags: 0, metadata: metadata + [1, 2, 3]),
                    ForeignSchema("U", nil, flags: 6), ForeignSchema("g", "ä"),
                    ForeignSchema("I", "color", dictionary: ForeignSchema("U"), flags: 3),
                    ForeignSchema("c", "small", dictionary: ForeignSchema("vu", nil)),
                    ForeignSchema("b", "empty", metadata: encodedMetadata([])),
                ]))
        #expect(
            columns.map { $0.name }
                == ["number", "", "ä", "color", "small", "empty"].map { Array($0.utf8) })
        #expect(
            columns.map { $0.type.kind } == [
                .int64, .string, .float64, .dictionary, .dictionary, .boolean,
            ])
        #expect(columns.map { $0.flags } == [2, 2, 2, 3, 2, 2])
        #expect(columns[0].metadata == metadata)
        #expect(columns[5].metadata == [0, 0, 0, 0])
        #expect(columns[1].metadata.isEmpty)
        #expect(columns[3].type.indexKind == .uint32 && columns[4].type.indexKind == .int8)
        #expect(columns.allSatisfy { $0.categories == nil })
        #expect(try importing(ForeignSchema("+s")).isEmpty)
    }

    @Test func hostile() {
        let released = ForeignSchema("+s")
        released.pointer.pointee.release = nil
        refused(released, "released")
        refused(ForeignSchema(nil), "no format")
        refused(ForeignSchema("l"), "\"l\"")
        refused(ForeignSchema("+struct"), "\"+struct\"")
        let noList = ForeignSchema("+s")
        for count in [1, 100_000] as [Int64] {
            noList.pointer.pointee.n_children = count
            refused(noList, "NULL")
        }
        for count in [-1, Int64.min, 100_001, Int64.max] {
            noList.pointer.pointee.n_children = count
            refused(noList, "\(count)")
        }
        refused(
            ForeignSchema("+s", "", [ForeignSchema("l", "a"), nil]),
            "Column 1 of the schema is NULL")
        refused(
            ForeignSchema("+s", "", [ForeignSchema(nil, "a")]),
            "Column 0 (\"a\") of the schema has no format")
        refused(ForeignSchema("+s", "", [ForeignSchema("+m", "a")]), "\"+m\" is not supported")
        refused(ForeignSchema("+s", "", [ForeignSchema("+l", "a")]), "it has 0 columns")
        refused(ForeignSchema("+s", "", [ForeignSchema("+w:2", "a")]), "it has 0 columns")
        let two = [ForeignSchema("l", "item"), ForeignSchema("l", "item")]
        refused(ForeignSchema("+s", "", [ForeignSchema("+L", "a", two)]), "it has 2 columns")
        let same = [ForeignSchema("l", "same"), ForeignSchema("l", "same")]
        refused(ForeignSchema("+s", "", [ForeignSchema("+s", "a", same)]), "named \"same\"")
        refused(
            ForeignSchema("+s", "", [ForeignSchema("+l", "a", [ForeignSchema("z", "item")])]),
            "JSON cannot carry")
        refused(
            ForeignSchema("+s", "", [ForeignSchema("+w:1", "a", [ForeignSchema("z", "item")])]),
            "JSON cannot carry")
        var deep = ForeignSchema("l", "deepest")
        for _ in 0..<64 { deep = ForeignSchema("+l", "list", [deep]) }
        refused(ForeignSchema("+s", "", [deep]), "nested deeper than 64 levels")
        let gone = ForeignSchema("l", "gone")
        gone.pointer.pointee.release = nil
        refused(ForeignSchema("+s", "", [gone]), "\"gone\"")
        let bad = ForeignSchema("l")
        bad.pointer.pointee.name = bad.copy([0x61, 0xFF, 0])
        refused(
            ForeignSchema("+s", "", [bad]), "a\\xff\") of the schema has a name that is not UTF-8")
    }

    @Test func sameNames() {
        let names = ["b", "a", "ab", "twice", "", "c", "twice"]
        refused(
            ForeignSchema("+s", "", names.map { ForeignSchema("l", $0) }),
            "two columns named \"twice\"")
        refused(
            ForeignSchema("+s", "", [ForeignSchema("l", nil), ForeignSchema("b", "")]), "named \"\""
        )
    }

    @Test func manyColumns() throws {
        let names = (0..<2_000).map { "column \($0 * 7_919 % 2_000)" }
        let columns = try importing(ForeignSchema("+s", "", names.map { ForeignSchema("l", $0) }))
        #expect(columns.map { String(decoding: $0.name, as: UTF8.self) } == names)
    }

    @Test func dictionaries() {
        for (index, value) in [
            ("f", "u"), ("u", "u"), ("i", "z"), ("i", "l"), ("tdD", "u"), ("i", ""),
        ] {
            let child = ForeignSchema(index, "color", dictionary: ForeignSchema(value))
            refused(ForeignSchema("+s", "", [child]), "\"color\"")
        }
        let noFormat = ForeignSchema("i", "color", dictionary: ForeignSchema(nil))
        refused(ForeignSchema("+s", "", [noFormat]), "without a format")
        let nested = ForeignSchema("u", "", dictionary: ForeignSchema("u"))
        refused(
            ForeignSchema("+s", "", [ForeignSchema("i", "c", dictionary: nested)]), "dictionary")
        let gone = ForeignSchema("u")
        gone.pointer.pointee.release = nil
        refused(ForeignSchema("+s", "", [ForeignSchema("i", "c", dictionary: gone)]), "dictionary")
    }

    @Test func hostileMetadata() throws {
        func bytes(_ numbers: Int32...) -> [UInt8] {
            numbers.flatMap { number in withUnsafeBytes(of: number) { Array($0) } }
        }
        let limit = Int32(16 << 20)
        for metadata in [
            bytes(-1), bytes(Int32.min), bytes(Int32.max), bytes(limit / 8 + 1), bytes(1, -1),
            bytes(1, Int32.min),
            bytes(1, Int32.max), bytes(1, limit), bytes(1, limit - 7), bytes(1, 0, -1),
            bytes(1, 0, limit - 11),
            bytes(2, 0, 0, 0, Int32.max),
        ] {
            let child = ForeignSchema("l", "a", metadata: metadata)
            refused(ForeignSchema("+s", "", [child]), "metadata")
        }
        // The largest that is taken: 4 + 4 + 0 + 4 + the rest.
        let largest = bytes(1, 0, limit - 12) + [UInt8](repeating: 7, count: Int(limit) - 12)
        let child = ForeignSchema("l", "a", metadata: bytes(0))
        largest.withUnsafeBytes { source in
            child.pointer.pointee.metadata = source.baseAddress?.assumingMemoryBound(to: CChar.self)
            let columns = try? importing(ForeignSchema("+s", "", [child]))
            #expect(columns?.first?.metadata.count == Int(limit))
        }
    }
}

extension LiveObjects {
    @Suite struct ExportSchemaTests {
        private func exported(_ columns: [RequestedColumn]) -> UnsafeMutablePointer<ArrowSchema> {
            let schema = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: 1)
            memset(schema, 0xA5, MemoryLayout<ArrowSchema>.size)
            #expect(exportSchema(columns, into: schema))
            return schema
        }

        private func columns() throws -> [RequestedColumn] {
            let metadata = encodedMetadata(["key", "value"])
            return [
                RequestedColumn(name: Array("_id".utf8), type: .string),
                RequestedColumn(
                    name: [], type: try ColumnType(format: "tsu:UTC"), metadata: metadata),
                RequestedColumn(
                    name: Array("color".utf8), type: try #require(.dictionary(index: .uint8)),
                    flags: 3,
                    metadata: encodedMetadata(["odd length", "x"])),
                RequestedColumn(
                    name: Array("price".utf8), type: try ColumnType(format: "d:9,2,128")),
            ]
        }

        @Test func whatGoesInComesOut() throws {
            let before = platform_live_objects()
            let columns = try columns()
            let schema = exported(columns)
            #expect(platform_live_objects() == before + 1)
            #expect(String(cString: schema.pointee.format) == "+s")
            #expect(String(cString: schema.pointee.name) == "")
            #expect(schema.pointee.flags == 0 && schema.pointee.metadata == nil)
            #expect(schema.pointee.dictionary == nil && schema.pointee.n_children == 4)
            let again = try importSchema(schema)
            for (left, right) in zip(again, columns) {
                #expect(left.name == right.name && left.type == right.type)
                #expect(left.flags == right.flags && left.metadata == right.metadata)
            }
            let color = try #require(schema.pointee.children[2])
            #expect(String(cString: color.pointee.format) == "C")
            let dictionary = try #require(color.pointee.dictionary)
            #expect(String(cString: dictionary.pointee.format) == "vu")
            #expect(dictionary.pointee.flags == 2 && dictionary.pointee.release != nil)
            #expect(
                String(cString: try #require(schema.pointee.children[3]).pointee.format) == "d:9,2")
            schema.pointee.release(schema)
            #expect(schema.pointee.release == nil)
            #expect(platform_live_objects() == before)
            schema.deallocate()
        }

        @Test func noColumns() {
            let before = platform_live_objects()
            let schema = exported([])
            #expect(schema.pointee.n_children == 0)
            schema.pointee.release(schema)
            #expect(schema.pointee.release == nil && platform_live_objects() == before)
            schema.deallocate()
        }

        /// The consumer moves children out (every set of them), then releases in both orders.
        @Test(arguments: 0..<16, [false, true])
        func childrenMovedOut(moved: Int, parentFirst: Bool) throws {
            let before = platform_live_objects()
            let columns = try columns()
            let schema = exported(columns)
            var children: [UnsafeMutablePointer<ArrowSchema>] = []
            for index in 0..<4 where moved >> index & 1 == 1 {
                let child = try #require(schema.pointee.children[index])
                let home = UnsafeMutablePointer<ArrowSchema>.allocate(capacity: 1)
                home.initialize(to: child.pointee)
                child.pointee.release = nil
                children.append(home)
            }
            if parentFirst { schema.pointee.release(schema) }
            for child in children {
                #expect(columns.contains { $0.name == copyBytes(child.pointee.name) })
                if let dictionary = child.pointee.dictionary {
                    #expect(String(cString: dictionary.pointee.format) == "vu")
                }
                child.pointee.release(child)
                #expect(child.pointee.release == nil)
                child.deallocate()
            }
            if !parentFirst { schema.pointee.release(schema) }
            #expect(schema.pointee.release == nil && platform_live_objects() == before)
            schema.deallocate()
        }

        @Test func dictionaryMovedOut() throws {
            let schema = exported(try columns())
            let dictionary = try #require(schema.pointee.children[2]?.pointee.dictionary)
            var home = dictionary.pointee
            dictionary.pointee.release = nil
            schema.pointee.release(schema)
            #expect(String(cString: home.format) == "vu")
            home.release(&home)
            #expect(home.release == nil)
            schema.deallocate()
        }

        /// How many allocations succeed before one fails.
        nonisolated(unsafe) static var allocationsLeft = 0

        @Test func noMemory() throws {
            let before = platform_live_objects()
            let columns = try columns()
            var schema = ArrowSchema()
            for failing in 0...6 {
                Self.allocationsLeft = failing
                let isDone = exportSchema(columns, into: &schema) { count, size in
                    ExportSchemaTests.allocationsLeft -= 1
                    return ExportSchemaTests.allocationsLeft < 0 ? nil : calloc(count, size)
                }
                // The struct, four columns, one dictionary.
                #expect(isDone == (failing == 6))
                #expect((schema.release == nil) == !isDone)
            }
            #expect(platform_live_objects() == before + 1)
            schema.release(&schema)
            #expect(platform_live_objects() == before)
        }
    }
}
