// SPDX-License-Identifier: Apache-2.0
// The options of a client, from string keys and values.

import RedcolBase

extension Timeouts {
    static var names: [String] {
        ["connect_timeout_ms", "timeout_ms", "answer_timeout_ms", "connect"]
    }

    /// The options of a client.
    public init(options: [(key: String, value: String)]) throws(RedcolError) {
        self.init()
        let range = 1...Int(Int32.max)
        for (key, value) in options {
            switch key {
            case "connect_timeout_ms":
                connectMs = Int64(try OptionValue.integer(key, value, range))
            case "timeout_ms": silenceMs = Int64(try OptionValue.integer(key, value, range))
            case "answer_timeout_ms":
                answerMsGiven = Int64(try OptionValue.integer(key, value, range))
            case "connect": _ = try OptionValue.later(key, value)  // says nothing about times
            default:
                throw OptionValue.unknown(key, "a client", known: Timeouts.names)
            }
        }
    }
}
