// SPDX-License-Identifier: Apache-2.0
// ISO 8601 text to dates, times, timestamps and durations. As with integers, at least 16 bytes
// after a value's text may be read.

/// "YYYY-MM-DD" of the proleptic Gregorian calendar, or with a sign and 4 to 6 digits of year, as
/// days since 1970-01-01.
func parseDate(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int32? {
    if count == 10, let days = parseShortDate(text) { return days }
    return parseSignedDate(text, count)
}

/// "YYYY-MM-DD"; the caller has seen that there are 10 bytes.
@inline(__always)
private func parseShortDate(_ text: UnsafePointer<UInt8>) -> Int32? {
    // "YYYY-MM-" in one word: the hyphens become 0, the digits their values.
    let word = loadWord(text) ^ 0x2D30_302D_3030_3030
    guard word & 0xFF00_00FF_0000_0000 == 0, isAllBelowTen(word),
        let tens = digitValue(text[8]), let ones = digitValue(text[9])
    else { return nil }
    let pairs = (word &* (10 << 8 | 1)) &>> 8
    let year = Int64(truncatingIfNeeded: (pairs & 0xFF) &* 100 &+ (pairs &>> 16 & 0xFF))
    let month = Int64(truncatingIfNeeded: pairs &>> 40 & 0xFF)
    return daysSinceEpoch(year, month, Int64(tens &* 10 &+ ones))
}

/// "±YYYY-MM-DD" to "±YYYYYY-MM-DD".
private func parseSignedDate(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int32? {
    guard count >= 11, count <= 13 else { return nil }
    guard text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") else { return nil }
    let rest = text + (count - 6)
    guard rest[0] == UInt8(ascii: "-"), rest[3] == UInt8(ascii: "-"),
        let magnitude = parseDigits(text + 1, count - 7),
        let year = signed(magnitude, text[0] == UInt8(ascii: "-")),
        let month = twoDigits(rest + 1), let day = twoDigits(rest + 4)
    else { return nil }
    return daysSinceEpoch(year, month, day)
}

/// "HH:MM", "HH:MM:SS" or "HH:MM:SS.f" with 1 to 9 digits, as ticks since midnight. What is finer
/// than the unit is cut off.
func parseTime(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ unit: ColumnType.Unit
) -> Int64? {
    var index = 0
    guard let nanoseconds = readTime(text, count, &index), index == count else { return nil }
    return nanoseconds / unit.nanosecondsPerTick
}

/// Reads a time of day from `index` on, and moves it to the end; in nanoseconds.
@inline(__always)
private func readTime(_ text: UnsafePointer<UInt8>, _ count: Int, _ index: inout Int) -> Int64? {
    guard count &- index >= 5, text[index &+ 2] == UInt8(ascii: ":"),
        let hours = twoDigits(text + index), hours < 24,
        let minutes = twoDigits(text + (index &+ 3)), minutes < 60
    else { return nil }
    index &+= 5
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    if index < count, text[index] == UInt8(ascii: ":") {
        guard count &- index >= 3, let read = twoDigits(text + (index &+ 1)), read < 60 else {
            return nil
        }
        seconds = read
        index &+= 3
        if index < count, text[index] == UInt8(ascii: ".") {
            index &+= 1
            guard let read = readFraction(text, count, &index) else { return nil }
            nanoseconds = read
        }
    }
    return (hours &* 3_600 &+ minutes &* 60 &+ seconds) &* 1_000_000_000 &+ nanoseconds
}

/// Reads 1 to 9 digits after a point as nanoseconds.
@inline(__always)
private func readFraction(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ index: inout Int
) -> Int64? {
    let start = index
    while index < count, digitValue(text[index]) != nil { index &+= 1 }
    let digits = index &- start
    guard digits >= 1, digits <= 9, let value = parseDigits(text + start, digits) else {
        return nil
    }
    var nanoseconds = Int64(truncatingIfNeeded: value)
    for _ in digits..<9 { nanoseconds &*= 10 }
    return nanoseconds
}

/// A signed integer: ticks since 1970-01-01 UTC. Or ISO 8601: a date, then a time after 'T' or a
/// space, then 'Z' or an offset (±HH, ±HH:MM, ±HHMM), each of which may be missing. An offset needs
/// a `zone`; a text without one is a local time there. What is finer than the unit is cut off
/// towards the past; nil if the result does not fit.
func parseTimestamp(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ unit: ColumnType.Unit, _ zone: TimestampZone
) -> Int64? {
    // An integer of that length could have a digit only where a date has its first hyphen.
    let isShortDate = count >= 10 && text[4] == UInt8(ascii: "-")
    if !isShortDate, let ticks = parseSigned(text, count) { return ticks }
    var index = 10
    let days: Int32
    if isShortDate {
        guard let read = parseShortDate(text) else { return nil }
        days = read
    } else {
        index = 1
        while index < count, index < 8, text[index] != UInt8(ascii: "-") { index &+= 1 }
        index &+= 6
        guard index <= count, let read = parseSignedDate(text, index) else { return nil }
        days = read
    }
    var nanoseconds: Int64 = 0
    if index < count, text[index] | 0x20 == UInt8(ascii: "t") || text[index] == 0x20 {
        index &+= 1
        guard let read = readTime(text, count, &index) else { return nil }
        nanoseconds = read
    }
    let secondOfDay = nanoseconds / 1_000_000_000
    let fraction = nanoseconds &- secondOfDay &* 1_000_000_000
    let local = Int64(days) &* secondsPerDay &+ secondOfDay
    let seconds: Int64
    if index < count {
        if case .none = zone { return nil }
        guard let offset = parseOffset(text + index, count &- index) else { return nil }
        seconds = local &- offset
    } else {
        switch zone {
        case .none: seconds = local
        case .fixed(let offset): seconds = local &- offset
        case .table(let table):
            guard let moment = table.pointee.moment(local: local) else { return nil }
            seconds = moment
        case .unknown: return nil
        }
    }
    return ticks(seconds, fraction / unit.nanosecondsPerTick, unit)
}

/// A date, or a date and a time, as `parseTimestamp` reads them and UTC without an offset, in
/// milliseconds since 1970. Nil for a number, and for other texts.
public func parseInstant(_ text: String) -> Int64? {
    let bytes = Array(text.utf8) + Array(repeating: 0, count: 32)
    guard bytes.count >= 42, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-") else {
        return nil
    }
    return bytes.withUnsafeBufferPointer { text in
        text.baseAddress.flatMap {
            parseTimestamp($0, text.count - 32, .millisecond, .fixed(0))
        }
    }
}

/// 'Z', ±HH, ±HH:MM or ±HHMM, to the end, in seconds.
func parseOffset(_ text: UnsafePointer<UInt8>, _ count: Int) -> Int64? {
    if count == 1 { return text[0] | 0x20 == UInt8(ascii: "z") ? 0 : nil }
    guard count >= 3, text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+"),
        let hours = twoDigits(text + 1), hours < 24
    else { return nil }
    var minutes: Int64 = 0
    switch count {
    case 3: break
    case 5, 6:
        guard count == 5 || text[3] == UInt8(ascii: ":"),
            let read = twoDigits(text + (count - 2)), read < 60
        else { return nil }
        minutes = read
    default: return nil
    }
    let seconds = hours &* 3_600 &+ minutes &* 60
    return text[0] == UInt8(ascii: "-") ? 0 &- seconds : seconds
}

/// `fraction` is in ticks, and not negative. Before 1970 it is taken from the second above, since
/// the first second that Int64 can hold in part cannot be held from its beginning.
@inline(__always)
private func ticks(_ seconds: Int64, _ fraction: Int64, _ unit: ColumnType.Unit) -> Int64? {
    let perSecond = unit.ticksPerSecond
    let isBorrowed = seconds < 0 && fraction > 0
    let (whole, isTooLarge) = (isBorrowed ? seconds &+ 1 : seconds)
        .multipliedReportingOverflow(by: perSecond)
    let (sum, isOverflow) = whole.addingReportingOverflow(
        isBorrowed ? fraction &- perSecond : fraction)
    return isTooLarge || isOverflow ? nil : sum
}

/// A signed integer: ticks. Or ISO 8601: [-]P[nW][nD][T[nH][nM][n[.f]S]] with at least one part,
/// and one after a T; f has 1 to 9 digits. What is finer than the unit is cut off towards zero;
/// nil if the result does not fit. Years and months have no fixed length and are refused.
func parseDuration(
    _ text: UnsafePointer<UInt8>, _ count: Int, _ unit: ColumnType.Unit
) -> Int64? {
    guard count > 0 else { return nil }
    let isNegative = text[0] == UInt8(ascii: "-")
    var index = isNegative ? 1 : 0
    guard index < count, text[index] == UInt8(ascii: "P") else { return parseSigned(text, count) }
    index &+= 1
    var seconds: Int64 = 0
    var fraction: Int64 = 0
    // Parts come in this order, each once: W D T H M S. 0 is the part that comes next.
    var nextPart = 0
    var needsPart = true
    while index < count {
        if text[index] == UInt8(ascii: "T") {
            guard nextPart < 3 else { return nil }
            nextPart = 3
            needsPart = true
            index &+= 1
            continue
        }
        let start = index
        while index < count, digitValue(text[index]) != nil { index &+= 1 }
        guard let magnitude = parseDigits(text + start, index &- start),
            let number = signed(magnitude, isNegative), index < count
        else { return nil }
        var hasFraction = false
        if text[index] == UInt8(ascii: ".") {
            index &+= 1
            guard let read = readFraction(text, count, &index), index < count else { return nil }
            fraction = read
            hasFraction = true
        }
        guard let (part, length) = durationPart(text[index], isTime: nextPart >= 3),
            part >= nextPart, !hasFraction || part == 5
        else { return nil }
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: length)
        let (sum, isOverflow) = seconds.addingReportingOverflow(product)
        guard !isTooLarge, !isOverflow else { return nil }
        seconds = sum
        nextPart = part + 1
        needsPart = false
        index &+= 1
    }
    guard !needsPart else { return nil }
    let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: unit.ticksPerSecond)
    let rest = fraction / unit.nanosecondsPerTick
    let (sum, isOverflow) = whole.addingReportingOverflow(isNegative ? 0 &- rest : rest)
    return isTooLarge || isOverflow ? nil : sum
}

/// The place of a duration's part in the order W D T H M S, and its length in seconds.
private func durationPart(_ letter: UInt8, isTime: Bool) -> (part: Int, length: Int64)? {
    switch letter {
    case UInt8(ascii: "W") where !isTime: return (0, 7 * secondsPerDay)
    case UInt8(ascii: "D") where !isTime: return (1, secondsPerDay)
    case UInt8(ascii: "H") where isTime: return (3, 3_600)
    case UInt8(ascii: "M") where isTime: return (4, 60)
    case UInt8(ascii: "S") where isTime: return (5, 1)
    default: return nil
    }
}

/// The value of two digits, or nil.
@inline(__always)
private func twoDigits(_ text: UnsafePointer<UInt8>) -> Int64? {
    guard let tens = digitValue(text[0]), let ones = digitValue(text[1]) else { return nil }
    return Int64(tens &* 10 &+ ones)
}
