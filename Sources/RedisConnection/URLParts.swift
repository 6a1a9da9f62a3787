// SPDX-License-Identifier: Apache-2.0
// A URL taken apart into its bytes. What they mean, Endpoint says. No message shows a part that
// could be a password.

import RedcolBase

/// The scheme, login, place and query of a URL, percent-decoded except for the place.
struct URLParts {
    typealias Text = (value: [UInt8], raw: [UInt8])

    /// In small letters.
    let scheme: String
    /// What stands before the first colon and after it, before the last @. Each also as the URL
    /// spells it.
    private(set) var user: Text?
    private(set) var password: Text?
    /// Host and port, and the path with its slash.
    private(set) var place: [UInt8]
    var query: Query

    init(_ url: String) throws(RedcolError) {
        var rest = Array(url.utf8)
        guard !rest.contains(0) else { throw wrongURL("it contains a NUL byte") }
        guard let colon = rest.firstIndex(of: 0x3A), rest.count >= colon + 3,
            rest[colon + 1] == 0x2F, rest[colon + 2] == 0x2F
        else {
            throw wrongURL("it has no scheme; begin with redis:// or unix://")
        }
        let isCapital = { (byte: UInt8) in byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") }
        scheme = String(
            decoding: rest[..<colon].map { isCapital($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
        rest.removeFirst(colon + 3)
        try URLParts.removeFragment(&rest)
        query = try Query(takenFrom: &rest)
        let authorityEnd = rest.firstIndex(of: 0x2F) ?? rest.endIndex
        if let at = rest[..<authorityEnd].lastIndex(of: 0x40) {
            let login = rest[..<at]
            let separator = login.firstIndex(of: 0x3A) ?? login.endIndex
            user = (try percentDecoded(login[..<separator]), Array(login[..<separator]))
            if separator < login.endIndex {
                let text = login[(separator + 1)...]
                password = (try percentDecoded(text), Array(text))
            }
            rest.removeFirst(at + 1)
        }
        place = rest
    }

    private static func removeFragment(_ rest: inout [UInt8]) throws(RedcolError) {
        guard let fragment = rest.firstIndex(of: 0x23) else { return }
        let query = rest[..<fragment].firstIndex(of: 0x3F).map { rest[$0..<fragment] }
        // Then the rest of a password would be cut off.
        if rest[fragment...].contains(0x40) || query?.contains(0x3D) == true {
            throw unencodedURL
        }
        rest.removeSubrange(fragment...)
    }

    /// The parameters after the question mark. Each may stand there once.
    struct Query {
        private var pairs: [(key: [UInt8], text: Text)] = []
        /// An @ after the question mark: perhaps the mark stands in a password, and is no
        /// beginning.
        private(set) var mayHoldPassword = false

        init(takenFrom rest: inout [UInt8]) throws(RedcolError) {
            // A password may hold a question mark: the query begins after the last @.
            let from = rest.lastIndex(of: 0x40) ?? rest.startIndex
            guard let mark = rest[from...].firstIndex(of: 0x3F) ?? rest.firstIndex(of: 0x3F) else {
                return
            }
            mayHoldPassword = rest[mark...].contains(0x40)
            for part in rest[(mark + 1)...].split(separator: 0x26) {
                let equals = part.firstIndex(of: 0x3D) ?? part.endIndex
                let value = equals == part.endIndex ? part[equals...] : part[(equals + 1)...]
                pairs.append(
                    (try percentDecoded(part[..<equals]), (try percentDecoded(value), Array(value)))
                )
            }
            rest.removeSubrange(mark...)
        }

        /// The first parameter that nobody has taken.
        var firstKey: [UInt8]? { pairs.first?.key }

        /// A value, and how the URL spells it.
        mutating func removeValue(_ key: String) throws(RedcolError) -> Text? {
            if pairs.isEmpty { return nil }
            var found: Text?
            var kept = pairs
            kept.removeAll { pair in
                guard pair.key.elementsEqual(key.utf8) else { return false }
                found = pair.text
                return true
            }
            if pairs.count > kept.count + 1 { throw wrongURL("it has the parameter \(key) twice") }
            pairs = kept
            return found
        }
    }
}

/// The error for a URL; `reason` continues after a colon.
func wrongURL(_ reason: String) -> RedcolError {
    RedcolError(
        .invalidArgument,
        "the URL cannot be used: \(reason). "
            + "Examples: redis://localhost:6379/0, redis://user:password@host, unix:///path")
}

var unencodedURL: RedcolError {
    wrongURL(
        "a / or # in a user or password, and a # in a parameter, must be percent-encoded: "
            + "/ is %2F, and # is %23")
}

func percentDecoded(_ text: ArraySlice<UInt8>) throws(RedcolError) -> [UInt8] {
    var bytes: [UInt8] = []
    var index = text.startIndex
    while index < text.endIndex {
        guard text[index] == 0x25 else {
            bytes.append(text[index])
            index += 1
            continue
        }
        guard index + 2 < text.endIndex, let high = hexDigit(text[index + 1]),
            let low = hexDigit(text[index + 2])
        else { throw wrongURL("a % is not followed by two hexadecimal digits; write %25 for %") }
        bytes.append(high << 4 | low)
        index += 3
    }
    guard !bytes.contains(0) else { throw wrongURL("it contains %00") }
    return bytes
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: return byte - 0x30
    case 0x41...0x46: return byte - 0x37
    case 0x61...0x66: return byte - 0x57
    default: return nil
    }
}
