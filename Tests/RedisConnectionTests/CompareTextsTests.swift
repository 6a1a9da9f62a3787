// SPDX-License-Identifier: Apache-2.0
// Texts are equal if their bytes are, wherever the library compares them.

import RedcolBase
import Testing

@Suite struct CompareTextsTests {
    let composed = "caf\u{E9}"
    let decomposed = "cafe\u{301}"

    @Test func bytesDecide() {
        let isSame = composed == decomposed
        let isOther = composed != decomposed
        #expect(!isSame)
        #expect(isOther)
        let isItself = composed == "caf" + "\u{E9}"
        #expect(isItself)
        let isLonger = "caf" == composed
        #expect(!isLonger)
    }

    @Test func switchesDoTheSame() {
        func isComposed(_ text: String) -> Bool {
            switch text {
            case "caf\u{E9}": true
            default: false
            }
        }
        #expect(isComposed(composed))
        #expect(!isComposed(decomposed))
    }

    @Test func prefixesAreBytes() {
        #expect(decomposed.hasPrefix("cafe"))
        #expect(!decomposed.hasPrefix(composed))
        #expect(composed.hasPrefix(""))
        #expect(!"".hasPrefix("c"))
    }

    @Test func nothingEqualsNoText() {
        let none: String? = nil
        let some: String? = composed
        let isNone = none == ""
        let isSome = some == composed
        let isOther = some == decomposed
        #expect(!isNone)
        #expect(isSome)
        #expect(!isOther)
    }
}
