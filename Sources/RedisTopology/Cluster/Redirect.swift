// SPDX-License-Identifier: Apache-2.0
// What a node of a cluster answers for a key that another node has.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection

/// The error MOVED or ASK, taken apart.
struct RedirectText: Equatable {
    /// MOVED: the slot is there from now on. ASK: it is on its way there, and so is this key.
    var asks: Bool
    var slot: Int
    /// Empty: the host that has answered.
    var host: [UInt8]
    var port: UInt16

    /// The line of an error without its "-": "MOVED 3999 127.0.0.1:6381". Nil if it is another one.
    init?(_ line: [UInt8]) {
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
        guard words.count >= 3, let slot = RedirectText.number(words[1]), slot < HashSlot.count
        else { return nil }
        if words[0].elementsEqual("MOVED".utf8) {
            asks = false
        } else if words[0].elementsEqual("ASK".utf8) {
            asks = true
        } else {
            return nil
        }
        // An IPv6 address has colons, too.
        guard let colon = words[2].lastIndex(of: UInt8(ascii: ":")),
            let port = RedirectText.number(words[2][(colon + 1)...]), port > 0, port <= 65_535
        else { return nil }
        self.slot = slot
        self.port = UInt16(port)
        host = Array(words[2][..<colon])
        // A node without the name that is preferred.
        if host.elementsEqual("?".utf8) { host = [] }
    }

    /// The number that these digits say; nil unless they are one to five digits.
    static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 5 else { return nil }
        var number = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return number
    }
}
