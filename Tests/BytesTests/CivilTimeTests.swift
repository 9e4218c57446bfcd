import Bytes
import Foundation
import Testing

@Suite("Civil time")
struct CivilTimeTests {
    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: "UTC") ?? .current
        return calendar
    }()

    @Test("CivilTime: a moment has the calendar date that Foundation gives it")
    func againstFoundation() {
        // Some 3,000 moments from 1601 to 2600, at all times of day, and both sides of each midnight between 1999 and 2001.
        let wide = stride(from: -11_644_473_600, to: 19_880_899_200, by: 10_483_691)
        let close = stride(from: 915_148_800, to: 1_009_843_200, by: 86400).flatMap { [$0 - 1, $0] }
        for seconds in Array(wide) + close {
            let parts = Self.calendar.dateComponents(
                [.year, .month, .day, .weekday, .hour, .minute, .second],
                from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            let time = CivilTime(epochSeconds: seconds)
            let isEqual =
                time.year == parts.year && time.month == parts.month && time.day == parts.day
                && time.weekday + 1 == parts.weekday && time.hour == parts.hour && time.minute == parts.minute
                && time.second == parts.second
            if !isEqual { Issue.record("\(seconds): \(time)") }
        }
    }

    @Test(
        "CivilTime: leap days are where the calendar has them",
        arguments: [(2000, true), (1900, false), (2024, true), (2026, false), (2100, false), (2400, true)])
    func leapDays(year: Int, isLeap: Bool) throws {
        let february = try #require(Self.calendar.date(from: DateComponents(year: year, month: 2, day: 28)))
        let next = CivilTime(epochSeconds: Int(february.timeIntervalSince1970) + 86400)
        #expect((next.month, next.day) == (isLeap ? (2, 29) : (3, 1)))
    }

    @Test("CivilTime: the days to a date are those from it, for every day of eight centuries")
    func roundTrip() {
        for day in -300_000..<300_000 {
            let date = CivilTime(epochSeconds: day * 86400)
            let isBack = CivilTime.daysSinceEpoch(year: date.year, month: date.month, day: date.day) == day
            let isLast = CivilTime(epochSeconds: (day + 1) * 86400).day == 1
            if !isBack || isLast != (date.day == CivilTime.days(in: date.month, of: date.year)) {
                Issue.record("\(day): \(date)")
            }
        }
    }
}
