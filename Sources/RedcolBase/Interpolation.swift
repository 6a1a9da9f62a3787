// SPDX-License-Identifier: Apache-2.0
// How a text with values in it is put together: "no field \(name)". Swift's own functions for its
// pieces are inlined wherever a text is made, which was a sixth of the library's code. The compiler
// prefers these, which are called.

extension DefaultStringInterpolation {
    @inline(never)
    public mutating func appendLiteral(_ literal: String) { write(literal) }

    @inline(never)
    public mutating func appendInterpolation(_ text: String) { write(text) }

    @inline(never)
    public mutating func appendInterpolation(_ text: StaticString) { write(text.description) }

    @inline(never)
    public mutating func appendInterpolation(_ number: Int) { write(number.description) }

    public mutating func appendInterpolation(_ number: Int64) { appendInterpolation(Int(number)) }

    public mutating func appendInterpolation(_ number: Int32) { appendInterpolation(Int(number)) }
}
