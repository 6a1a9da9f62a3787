// SPDX-License-Identifier: Apache-2.0
// Which of a cluster's 16,384 slots a key belongs to.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

enum HashSlot {
    static let count = 16_384

    /// The slot of a key. Keys with the same text in braces, as in "{user1}.events", are in the
    /// same slot.
    static func of(_ key: [UInt8]) -> Int {
        var hashed = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let rest = key[(open + 1)...]
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex {
                hashed = rest[..<close]
            }
        }
        return Int(checksum(hashed)) % count
    }

    /// CRC-16/XMODEM: polynomial 0x1021, beginning with 0. The shifts stand for a table: a byte
    /// and the upper half of the sum so far give the same bits.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var sum: UInt16 = 0
        for byte in bytes {
            var mixed = (sum >> 8) ^ UInt16(byte)
            mixed ^= mixed >> 4
            sum = (sum << 8) ^ (mixed << 12) ^ (mixed << 5) ^ mixed
        }
        return sum
    }
}
