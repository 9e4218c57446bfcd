import Foundation
import HTTP
import Testing

@Suite("Dates")
struct HTTPDateTests {
    private static let calendar: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: "UTC") ?? .current
        return calendar
    }()

    @Test("A moment has the calendar date that Foundation gives it")
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
        "Leap days are where the calendar has them",
        arguments: [(2000, true), (1900, false), (2024, true), (2026, false), (2100, false), (2400, true)])
    func leapDays(year: Int, isLeap: Bool) throws {
        let february = try #require(Self.calendar.date(from: DateComponents(year: year, month: 2, day: 28)))
        let next = CivilTime(epochSeconds: Int(february.timeIntervalSince1970) + 86400)
        #expect((next.month, next.day) == (isLeap ? (2, 29) : (3, 1)))
    }

    @Test("The texts are those of RFC 9110 and RFC 3339", arguments: texts)
    func write(seconds: Int, date: String, timestamp: String) {
        #expect(HTTPDate.text(epochSeconds: seconds) == date)
        #expect(HTTPDate.timestamp(epochSeconds: seconds) == timestamp)
    }

    static let texts: [(Int, String, String)] = [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"),
        (1_709_209_999, "Thu, 29 Feb 2024 12:33:19 GMT", "2024-02-29T12:33:19Z"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"),
        (-61_000_000_000, "Fri, 26 Dec 0036 11:33:20 GMT", "0036-12-26T11:33:20Z"),
    ]

    @Test("Dates are formatted as Foundation formats them")
    func textsAgainstFoundation() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        for seconds in stride(from: 0, to: 4_000_000_000, by: 13_371_337) {
            let expected = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(HTTPDate.text(epochSeconds: seconds) == expected)
        }
    }
}
