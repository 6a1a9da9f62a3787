// SPDX-License-Identifier: Apache-2.0
// The rule at the end of a time zone's data: when the clocks change in years to come, as in
// "CET-1CEST,M3.5.0,M10.5.0/3".
// https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html

/// A rule with two changes a year.
struct ZoneRule {
    private enum Day {
        /// The n-th weekday (0 is Sunday) of a month; the fifth is the last.
        case weekday(month: Int64, week: Int64, day: Int64)
        /// A day of the year from 1, where the 29th of February is not counted.
        case julian(Int64)
        /// A day of the year from 0.
        case ofYear(Int64)
    }

    private struct Change {
        var day: Day
        /// Seconds from the day's beginning, by the clock that is then changed.
        var time: Int64
    }

    private var standard: Int64 = 0
    private var summer: Int64 = 0
    private var begin = Change(day: .ofYear(0), time: 0)
    private var end = Change(day: .ofYear(0), time: 0)

    /// Nil for a text that is no rule, or one of a zone whose clocks do not change.
    init?(_ text: [UInt8]) {
        var text = RuleText(text)
        guard text.takeName(), let west = text.takeTime(hoursMax: 24), text.takeName() else {
            return nil
        }
        standard = -west
        summer = standard + 3_600
        if !text.take(UInt8(ascii: ",")) {
            guard let west = text.takeTime(hoursMax: 24), text.take(UInt8(ascii: ",")) else {
                return nil
            }
            summer = -west
        }
        guard let begin = ZoneRule.change(&text), text.take(UInt8(ascii: ",")),
            let end = ZoneRule.change(&text), text.isAtEnd
        else { return nil }
        self.begin = begin
        self.end = end
    }

    private static func change(_ text: inout RuleText) -> Change? {
        let day: Day
        if text.take(UInt8(ascii: "M")) {
            guard let month = text.takeNumber(1...12), text.take(UInt8(ascii: ".")),
                let week = text.takeNumber(1...5), text.take(UInt8(ascii: ".")),
                let weekday = text.takeNumber(0...6)
            else { return nil }
            day = .weekday(month: month, week: week, day: weekday)
        } else if text.take(UInt8(ascii: "J")) {
            guard let number = text.takeNumber(1...365) else { return nil }
            day = .julian(number)
        } else {
            guard let number = text.takeNumber(0...365) else { return nil }
            day = .ofYear(number)
        }
        guard text.take(UInt8(ascii: "/")) else { return Change(day: day, time: 7_200) }
        return text.takeTime(hoursMax: 167).map { Change(day: day, time: $0) }
    }

    /// The year of a moment, or one before.
    func year(of moment: Int64) -> Int {
        Int(clamping: 1_970 + max(moment, 0) / 31_622_400)
    }

    /// The moments at which the offset changes in a year, in their order, and to what.
    func changes(in year: Int) -> [(begin: Int64, offset: Int64)] {
        let toSummer = moment(of: begin, in: Int64(year)) - standard
        let toStandard = moment(of: end, in: Int64(year)) - summer
        let first = (begin: toSummer, offset: summer)
        let second = (begin: toStandard, offset: standard)
        return toSummer < toStandard ? [first, second] : [second, first]
    }

    /// Local seconds.
    private func moment(of change: Change, in year: Int64) -> Int64 {
        let first = Int64(daysSinceEpoch(year, 1, 1) ?? 0)
        let days: Int64
        switch change.day {
        case .julian(let number):
            let isLeap = daysSinceEpoch(year, 2, 29) != nil
            days = first + number - 1 + (isLeap && number >= 60 ? 1 : 0)
        case .ofYear(let number): days = first + number
        case .weekday(let month, let week, let weekday):
            let start = Int64(daysSinceEpoch(year, month, 1) ?? 0)
            // 1970-01-01 was a Thursday.
            let startsOn = (start + 4) % 7
            var day = start + (weekday - startsOn + 7) % 7 + (week - 1) * 7
            let isInMonth = daysSinceEpoch(year, month, day - start + 1) != nil
            if !isInMonth { day -= 7 }
            days = day
        }
        return days * secondsPerDay + change.time
    }
}

/// A rule, piece by piece.
private struct RuleText {
    private let text: [UInt8]
    private var at = 0

    init(_ text: [UInt8]) { self.text = text }

    var isAtEnd: Bool { at == text.count }

    mutating func take(_ byte: UInt8) -> Bool {
        guard at < text.count, text[at] == byte else { return false }
        at += 1
        return true
    }

    /// A zone's name: letters, or anything between < and >.
    mutating func takeName() -> Bool {
        let start = at
        if take(UInt8(ascii: "<")) {
            while at < text.count, text[at] != UInt8(ascii: ">") { at += 1 }
            return take(UInt8(ascii: ">"))
        }
        while at < text.count, text[at] | 0x20 >= UInt8(ascii: "a"),
            text[at] | 0x20 <= UInt8(ascii: "z")
        { at += 1 }
        return at > start
    }

    mutating func takeNumber(_ range: ClosedRange<Int64>) -> Int64? {
        let start = at
        var number: Int64 = 0
        while at < text.count, at - start < 4, let digit = digitValue(text[at]) {
            number = number * 10 + Int64(digit)
            at += 1
        }
        return at > start && range.contains(number) ? number : nil
    }

    /// [+-]hours[:minutes[:seconds]] in seconds.
    mutating func takeTime(hoursMax: Int64) -> Int64? {
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        guard var seconds = takeNumber(0...hoursMax).map({ $0 * 3_600 }) else { return nil }
        for unit in [Int64(60), 1] where take(UInt8(ascii: ":")) {
            guard let number = takeNumber(0...59) else { return nil }
            seconds += number * unit
        }
        return isNegative ? -seconds : seconds
    }
}
