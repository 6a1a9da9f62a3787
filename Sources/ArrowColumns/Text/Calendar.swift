// SPDX-License-Identifier: Apache-2.0
// The proleptic Gregorian calendar: days since 1970-01-01 to a year, a month and a day, and back.
// The year begins in March in both, so that a leap day is its last one; an era has 400 years.

let secondsPerDay: Int64 = 86_400

private let yearsPerEra: Int64 = 400
private let daysPerEra: Int64 = 146_097
/// From 0000-03-01 to 1970-01-01.
private let daysBefore1970: Int64 = 719_468

/// Days since 1970-01-01, or nil if that day does not exist; the year has at most six digits.
@inline(__always)
func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int32? {
    guard month >= 1, month <= 12, day >= 1 else { return nil }
    if day > 28 {
        let isLeap = year & 3 == 0 && (year % 100 != 0 || year % 400 == 0)
        let february: Int64 = isLeap ? 29 : 28
        // From March on, long and short months alternate, and start over in August.
        guard day <= (month == 2 ? february : 30 &+ (month ^ month &>> 3) & 1) else { return nil }
    }
    let shiftedYear = month > 2 ? year : year &- 1
    let shiftedMonth = month > 2 ? month &- 3 : month &+ 9
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear &- (yearsPerEra - 1)) / yearsPerEra
    let yearOfEra = shiftedYear &- era &* yearsPerEra
    let dayOfYear = (153 &* shiftedMonth &+ 2) / 5 &+ day &- 1
    let dayOfEra = yearOfEra &* 365 &+ yearOfEra / 4 &- yearOfEra / 100 &+ dayOfYear
    return Int32(truncatingIfNeeded: era &* daysPerEra &+ dayOfEra &- daysBefore1970)
}

/// The day that is `days` after 1970-01-01, which fits into 48 bits.
@inline(__always)
func calendarDay(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days &+ daysBefore1970
    let era = (shifted >= 0 ? shifted : shifted &- (daysPerEra - 1)) / daysPerEra
    let dayOfEra = shifted &- era &* daysPerEra
    let yearOfEra =
        (dayOfEra &- dayOfEra / 1_460 &+ dayOfEra / 36_524 &- dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra &- (365 &* yearOfEra &+ yearOfEra / 4 &- yearOfEra / 100)
    let shiftedMonth = (5 &* dayOfYear &+ 2) / 153
    let day = dayOfYear &- (153 &* shiftedMonth &+ 2) / 5 &+ 1
    let month = shiftedMonth < 10 ? shiftedMonth &+ 3 : shiftedMonth &- 9
    return (yearOfEra &+ era &* yearsPerEra &+ (month <= 2 ? 1 : 0), month, day)
}
