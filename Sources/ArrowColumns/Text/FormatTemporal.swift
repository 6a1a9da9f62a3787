// SPDX-License-Identifier: Apache-2.0
// Dates, times, timestamps and durations as ISO 8601 text: what the reading half parses. Each
// returns the number of bytes, and writes at most 40.

import RedcolBase

/// Years that are written: more than six digits could not be read back.
private let yearMax: Int64 = 999_999

private func writePair(_ value: Int64, to text: UnsafeMutablePointer<UInt8>) {
    writePadded(UInt64(truncatingIfNeeded: value), 2, to: text)
}

/// Days since 1970-01-01 as "YYYY-MM-DD"; years before 0 and after 9999 with a sign. nil: the year
/// has too many digits.
public func writeDate(_ days: Int64, to text: UnsafeMutablePointer<UInt8>) -> Int? {
    let (year, month, day) = calendarDay(days)
    guard year >= -yearMax, year <= yearMax else { return nil }
    var at = 0
    if year < 0 || year > 9_999 {
        text.pointee = UInt8(ascii: year < 0 ? "-" : "+")
        at = 1
    }
    let magnitude = year.magnitude
    let digits = magnitude > 99_999 ? 6 : magnitude > 9_999 ? 5 : 4
    writePadded(magnitude, digits, to: text + at)
    at &+= digits
    text[at] = UInt8(ascii: "-")
    writePair(month, to: text + (at &+ 1))
    text[at &+ 3] = UInt8(ascii: "-")
    writePair(day, to: text + (at &+ 4))
    return at &+ 6
}

extension ColumnType.Unit {
    /// Digits after a second's point.
    fileprivate var digits: Int {
        switch self {
        case .second: return 0
        case .millisecond: return 3
        case .microsecond: return 6
        case .nanosecond: return 9
        }
    }
}

/// Ticks since midnight as "HH:MM:SS" with all digits of the unit; nil if that time does not exist.
public func writeTime(
    _ ticks: Int64, _ unit: ColumnType.Unit, to text: UnsafeMutablePointer<UInt8>
) -> Int? {
    let perSecond = unit.ticksPerSecond
    let seconds = ticks / perSecond
    guard ticks >= 0, seconds < secondsPerDay else { return nil }
    writePair(seconds / 3_600, to: text)
    text[2] = UInt8(ascii: ":")
    writePair(seconds / 60 % 60, to: text + 3)
    text[5] = UInt8(ascii: ":")
    writePair(seconds % 60, to: text + 6)
    let digits = unit.digits
    if digits == 0 { return 8 }
    text[8] = UInt8(ascii: ".")
    writePadded(UInt64(truncatingIfNeeded: ticks % perSecond), digits, to: text + 9)
    return 9 &+ digits
}

/// Ticks since 1970 as a date, "T" and a time, then "+0000" if they are of UTC and not of a clock
/// without a time zone. nil: the year has too many digits.
public func writeTimestamp(
    _ ticks: Int64, _ unit: ColumnType.Unit, isUTC: Bool, to text: UnsafeMutablePointer<UInt8>
) -> Int? {
    let perDay = unit.ticksPerSecond &* secondsPerDay
    var days = ticks / perDay
    var rest = ticks % perDay
    if rest < 0 {
        days &-= 1
        rest &+= perDay
    }
    guard var at = writeDate(days, to: text) else { return nil }
    text[at] = UInt8(ascii: "T")
    at &+= 1
    guard let time = writeTime(rest, unit, to: text + at) else { return nil }
    at &+= time
    guard isUTC else { return at }
    text[at] = UInt8(ascii: "+")
    writePadded(0, 4, to: text + (at &+ 1))
    return at &+ 5
}

/// Ticks as [-]P[nD][T[nH][nM][n[.f]S]], the parts that are 0 left out; nothing is "PT0S".
public func writeDuration(
    _ ticks: Int64, _ unit: ColumnType.Unit, to text: UnsafeMutablePointer<UInt8>
) -> Int {
    var at = 0
    func put(_ byte: UInt8) {
        text[at] = byte
        at &+= 1
    }
    func put(_ number: UInt64, _ letter: UInt8) {
        at &+= writeDecimal(number, to: text + at)
        put(letter)
    }
    let perSecond = unit.ticksPerSecond.magnitude
    let magnitude = ticks.magnitude
    let seconds = magnitude / perSecond
    var fraction = magnitude % perSecond
    if ticks < 0 { put(UInt8(ascii: "-")) }
    put(UInt8(ascii: "P"))
    let days = seconds / secondsPerDay.magnitude
    if days > 0 { put(days, UInt8(ascii: "D")) }
    let hours = seconds / 3_600 % 24
    let minutes = seconds / 60 % 60
    let rest = seconds % 60
    guard hours | minutes | rest | fraction != 0 || days == 0 else { return at }
    put(UInt8(ascii: "T"))
    if hours > 0 { put(hours, UInt8(ascii: "H")) }
    if minutes > 0 { put(minutes, UInt8(ascii: "M")) }
    guard rest | fraction != 0 || magnitude == 0 else { return at }
    at &+= writeDecimal(rest, to: text + at)
    if fraction > 0 {
        put(UInt8(ascii: "."))
        var digits = unit.digits
        while fraction % 10 == 0 {
            fraction /= 10
            digits &-= 1
        }
        writePadded(fraction, digits, to: text + at)
        at &+= digits
    }
    put(UInt8(ascii: "S"))
    return at
}
