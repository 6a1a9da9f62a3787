// SPDX-License-Identifier: Apache-2.0
// Which key a command is about, for a node of a cluster to which its slot is being moved.

import RedcolBase

extension Command {
    /// The key that it is about, the first one if there are several; nil if it is about none.
    var key: [UInt8]? {
        let words = arguments
        var place = 1
        switch name {
        case "XREAD", "XREADGROUP":
            // A group and its member may be called as they like.
            let first = name == "XREAD" ? 1 : 4
            let streams = Array("STREAMS".utf8)
            place = (words.dropFirst(first).firstIndex(of: streams) ?? words.count) + 1
        case "XGROUP", "XINFO": place = 2
        case "EVAL": place = 3
        default: break
        }
        return words.indices.contains(place) ? words[place] : nil
    }

    var opensTransaction: Bool { name == "MULTI" }
    var endsTransaction: Bool { name == "EXEC" }
}
