// Finding the streams whose keys match a pattern: SCAN, page by page, which holds the server up as
// little as is wanted. https://redis.io/docs/latest/commands/scan/

import RedisConnection

/// The state of a search for keys. Pure: it knows no socket.
struct KeyScan {
    private let pattern: [UInt8]
    private let count: Int
    private var cursor: [UInt8] = KeyScan.beginning
    private var found = NameList()
    private(set) var isDone = false

    private static let beginning: [UInt8] = [0x30]
    /// Keys that the server looks at for one answer: it is busy for well under a millisecond.
    static let countUsual = 1_000

    /// `count`: how many keys the server looks at for each answer.
    init(pattern: [UInt8], count: Int) {
        self.pattern = pattern
        self.count = count
        // Without a special character the pattern is a key, and nothing needs to be searched.
        if !pattern.contains(where: { [0x2A, 0x3F, 0x5B, 0x5C].contains($0) }) {  // * ? [ \
            found.append(pattern)
            isDone = true
        }
    }

    var command: Command {
        var command = Command("SCAN")
        command.add(cursor)
        command.add("MATCH")
        command.add(pattern)
        command.add("COUNT")
        command.add(String(count))
        command.add("TYPE")
        command.add("stream")
        return command
    }

    /// Takes an answer; false if it is none.
    mutating func take(_ reply: Reply) -> Bool {
        guard case .array(let parts) = reply, parts.count == 2, case .bulk(let next) = parts[0],
            case .array(let keys) = parts[1], !next.isEmpty, next.count <= 20,
            next.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
        else { return false }
        for key in keys {
            guard case .bulk(let name) = key else { return false }
            found.append(name)
        }
        cursor = next
        isDone = next == KeyScan.beginning
        return true
    }

    /// The connection was lost. A cursor means nothing to a server that was started again, so the
    /// search begins anew; what was found before is kept.
    mutating func interrupted() {
        if !isDone { cursor = KeyScan.beginning }
    }

    /// The keys found, each once, sorted by their bytes: SCAN gives them in an order that differs
    /// from server to server, and some of them twice.
    func sortedKeys() -> NameList { found.sortedAndUnique() }
}
