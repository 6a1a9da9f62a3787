// SPDX-License-Identifier: Apache-2.0
// JSON text to the values of a nested column. Nothing is converted that JSON does not say itself:
// what does not fit its type exactly is refused, with the path to it.

import CPlatform

extension NestedColumn {
    /// Sets the value of `row` from its text, which must have 16 readable bytes after its end.
    @inline(never)
    mutating func set(
        _ row: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int
    ) -> ColumnBuilder.Outcome {
        begin(row)
        refusal = nil
        var outcome = ColumnBuilder.Outcome.doesNotFit
        if isValidUTF8(bytes, count) {
            var text = JSONText(bytes, count)
            outcome = parse(0, &text)
            if case .stored = outcome, !text.isAtEnd() { outcome = .doesNotFit }
        }
        if case .stored = outcome { return .stored }
        if case .doesNotFit = outcome, refusal == nil || !isJSON(bytes, count) {
            refusal = NestedRefusal(path: [], value: nil, type: "JSON")
        }
        rewind()
        return outcome
    }

    /// Appends the value that comes next to a node. Recurses as deep as the types do, which is
    /// `nestedDepthMax` at most.
    private mutating func parse(_ index: Int, _ text: inout JSONText) -> ColumnBuilder.Outcome {
        let node = nodes + index
        let first = text.peek()
        let start = text
        if first == UInt8(ascii: "n") {
            guard text.takeWord("null") else { return .doesNotFit }
            return appendNull(index) ? .stored : .noMemory
        }
        guard node.pointee.reserve() else { return .noMemory }
        switch node.pointee.shape {
        case .structure where first == UInt8(ascii: "{"):
            _ = text.take(first)
            return parseMembers(index, &text)
        case .list where first == UInt8(ascii: "["):
            _ = text.take(first)
            return parseElements(index, &text)
        case .fixedList where first == UInt8(ascii: "["):
            _ = text.take(first)
            let outcome = parseElements(index, &text)
            guard case .stored = outcome, !isWhole(index) else { return outcome }
            truncate(index, to: node.pointee.length &- 1)
            refuse(index, start)
            return .doesNotFit
        case .leaf:
            let outcome = parseLeaf(node, first, &text)
            if case .doesNotFit = outcome { refuse(index, start) }
            return outcome
        default:
            refuse(index, start)
            return .doesNotFit
        }
    }

    @inline(__always)
    private mutating func parseLeaf(
        _ node: UnsafeMutablePointer<NestedNode>, _ first: UInt8, _ text: inout JSONText
    ) -> ColumnBuilder.Outcome {
        let row = node.pointee.length
        let outcome: ColumnBuilder.Outcome
        switch first {
        case UInt8(ascii: "\""):
            guard let string = text.takeString(), node.pointee.type.kind.isJSONString else {
                return .doesNotFit
            }
            if string.hasEscapes {
                guard let target = scratch(string.count) else { return .noMemory }
                outcome = node.pointee.leaf.set(row, target, unescape(string, to: target))
            } else {
                outcome = node.pointee.leaf.set(row, string.start, string.count)
            }
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            let isTrue = first == UInt8(ascii: "t")
            let start = text.at
            guard text.takeWord(isTrue ? "true" : "false"), node.pointee.type.kind == .boolean
            else { return .doesNotFit }
            outcome = node.pointee.leaf.set(row, start, text.at - start)
        default:
            guard let number = text.takeNumber(),
                node.pointee.type.kind.takesJSONNumber(isInteger: number.isInteger)
            else { return .doesNotFit }
            outcome = node.pointee.leaf.set(row, number.start, number.count)
        }
        if case .stored = outcome { node.pointee.length = row &+ 1 }
        return outcome
    }

    private mutating func parseElements(
        _ index: Int, _ text: inout JSONText
    ) -> ColumnBuilder.Outcome {
        let child = nodes[index].firstChild
        let begin = nodes[child].length
        if !text.take(UInt8(ascii: "]")) {
            repeat {
                let outcome = parse(child, &text)
                guard case .stored = outcome else {
                    let position = nodes[child].length &- begin
                    refusal?.path.insert(contentsOf: Array("[\(position)]".utf8), at: 0)
                    return outcome
                }
            } while text.take(UInt8(ascii: ","))
            guard text.take(UInt8(ascii: "]")) else { return malformed() }
        }
        nodes[index].append(end: nodes[child].length)
        return .stored
    }

    /// Whether an array has as many values as its type says in each of its rows, the last included.
    private func isWhole(_ index: Int) -> Bool {
        nodes[nodes[index].firstChild].length == nodes[index].length * nodes[index].type.listSize
    }

    private mutating func parseMembers(
        _ index: Int, _ text: inout JSONText
    ) -> ColumnBuilder.Outcome {
        let row = nodes[index].length
        let first = nodes[index].firstChild
        // Fields mostly come in the order of the type.
        var next = 0
        if !text.take(UInt8(ascii: "}")) {
            repeat {
                guard text.peek() == UInt8(ascii: "\""), let key = text.takeString(),
                    text.take(UInt8(ascii: ":"))
                else { return malformed() }
                guard let field = find(key, in: index, guess: next) else {
                    guard text.skipValue() else { return malformed() }
                    continue
                }
                if field < 0 { return .noMemory }
                next = field &+ 1
                // Of a key that is there twice the last value holds.
                if nodes[first &+ field].length > row { truncate(first &+ field, to: row) }
                let start = text
                let outcome = parse(first &+ field, &text)
                if case .stored = outcome { continue }
                truncate(first &+ field, to: row)
                if case .doesNotFit = outcome, isSetLater(field, in: index, start) {
                    refusal = nil
                    text = start
                    _ = text.skipValue()
                    continue
                }
                let step = step(to: field, in: index)
                refusal?.path.insert(contentsOf: step, at: 0)
                return outcome
            } while text.take(UInt8(ascii: ","))
            guard text.take(UInt8(ascii: "}")) else { return malformed() }
        }
        for child in first..<(first &+ nodes[index].childCount) where nodes[child].length == row {
            guard appendNull(child) else { return .noMemory }
        }
        nodes[index].append(end: 0)
        return .stored
    }

    /// The number of the field that a key names; nil if the type has none, -1 without memory.
    @inline(__always)
    private mutating func find(
        _ key: JSONText.Characters, in index: Int, guess: Int
    ) -> Int? {
        if key.hasEscapes {
            guard let target = scratch(key.count) else { return -1 }
            return nodes[index].names.find(target, unescape(key, to: target))
        }
        let guessed = nodes[index].names.text(at: guess)
        if guessed.count == key.count, let start = guessed.baseAddress,
            memcmp(start, key.start, key.count) == 0
        {
            return guess
        }
        return nodes[index].names.find(key.start, key.count)
    }

    /// Whether the same key comes again after the value at `start`: then this one does not count.
    private mutating func isSetLater(_ field: Int, in index: Int, _ start: JSONText) -> Bool {
        var text = start
        guard text.skipValue() else { return false }
        while text.take(UInt8(ascii: ",")) {
            guard text.peek() == UInt8(ascii: "\""), let key = text.takeString(),
                text.take(UInt8(ascii: ":"))
            else { return false }
            if find(key, in: index, guess: field) == field { return true }
            guard text.skipValue() else { return false }
        }
        return false
    }

    // MARK: Refusing

    private func isJSON(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var text = JSONText(bytes, count)
        return text.skipValue() && text.isAtEnd()
    }

    private mutating func malformed() -> ColumnBuilder.Outcome {
        refusal = nil
        return .doesNotFit
    }

    /// Remembers the value at `start`, if it is JSON at all.
    private mutating func refuse(_ index: Int, _ start: JSONText) {
        var text = start
        guard text.skipValue() else {
            refusal = nil
            return
        }
        let count = min(text.at - start.at, 81)
        refusal = NestedRefusal(
            path: [], value: Array(UnsafeBufferPointer(start: start.at, count: count)),
            type: nodes[index].type.wholeName)
    }

    /// A field as a step of a path: ".name", or ["any name"] in its brackets.
    private func step(to field: Int, in index: Int) -> [UInt8] {
        let name = Array(nodes[index].names.text(at: field).prefix(200))
        let isPlain = name.enumerated().allSatisfy { place, byte in
            let letter = byte | 0x20
            return letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")
                || byte == UInt8(ascii: "_") || place > 0 && digitValue(byte) != nil
        }
        if isPlain, !name.isEmpty { return [UInt8(ascii: ".")] + name }
        return Array("[\"".utf8) + name + Array("\"]".utf8)
    }
}

extension ColumnType.Kind {
    /// Whether a JSON string can be a value of this kind, which is then read as a field's text is.
    var isJSONString: Bool {
        switch self {
        case .string, .dictionary, .decimal128, .date32, .time32, .time64, .timestamp, .duration:
            return true
        default: return false
        }
    }

    /// Whether a JSON number can be, likewise.
    func takesJSONNumber(isInteger: Bool) -> Bool {
        switch self {
        case .float32, .float64, .decimal128: return true
        case .int8, .int16, .int32, .int64, .int128, .uint8, .uint16, .uint32, .uint64, .uint128,
            .timestamp, .duration:
            return isInteger
        default: return false
        }
    }
}
