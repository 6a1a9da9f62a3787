// SPDX-License-Identifier: Apache-2.0
// Strict UTF-8: string columns hold nothing else, and consumers do not check again.

/// Whether the bytes are UTF-8 as Unicode 15, table 3-7, has it: no surrogates, nothing overlong,
/// nothing above U+10FFFF. Reads these bytes and none after them.
func isValidUTF8(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
    let highBits: UInt64 = 0x8080_8080_8080_8080
    var index = 0
    while count &- index >= 16 {
        let words = loadWord(bytes + index) | loadWord(bytes + (index &+ 8))
        guard words & highBits == 0 else { return isValidMixed(bytes, count, index) }
        index &+= 16
    }
    // What is left is covered by two loads that may overlap.
    let rest = count &- index
    let isASCII: Bool
    if rest >= 8 {
        let words = loadWord(bytes + index) | loadWord(bytes + (count &- 8))
        isASCII = words & highBits == 0
    } else if rest >= 4 {
        let start = UnsafeRawPointer(bytes + index)
        let end = UnsafeRawPointer(bytes + (count &- 4))
        let words = start.loadUnaligned(as: UInt32.self) | end.loadUnaligned(as: UInt32.self)
        isASCII = words & 0x8080_8080 == 0
    } else {
        var union: UInt8 = 0
        for last in index..<max(count, index) { union |= bytes[last] }
        isASCII = union < 0x80
    }
    return isASCII || isValidMixed(bytes, count, index)
}

/// One character at a time from `start` on, ASCII by eights.
private func isValidMixed(_ bytes: UnsafePointer<UInt8>, _ count: Int, _ start: Int) -> Bool {
    var index = start
    while index < count {
        let lead = bytes[index]
        if lead < 0x80 {
            let isWord =
                count &- index >= 8 && loadWord(bytes + index) & 0x8080_8080_8080_8080 == 0
            index &+= isWord ? 8 : 1
            continue
        }
        // The second byte's range depends on the first; all further ones are 80 to BF.
        let width: Int
        var lowest: UInt8 = 0x80
        var highest: UInt8 = 0xBF
        switch lead {
        case 0xC2...0xDF: width = 2
        case 0xE0...0xEF:
            width = 3
            if lead == 0xE0 { lowest = 0xA0 }
            if lead == 0xED { highest = 0x9F }
        case 0xF0...0xF4:
            width = 4
            if lead == 0xF0 { lowest = 0x90 }
            if lead == 0xF4 { highest = 0x8F }
        default: return false
        }
        guard count &- index >= width, bytes[index &+ 1] >= lowest, bytes[index &+ 1] <= highest
        else { return false }
        if width > 2, bytes[index &+ 2] & 0xC0 != 0x80 { return false }
        if width > 3, bytes[index &+ 3] & 0xC0 != 0x80 { return false }
        index &+= width
    }
    return true
}
