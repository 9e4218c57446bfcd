/// A moment as a calendar date in UTC, for `Date:` fields and time stamps.
package struct CivilTime: Equatable, Sendable {
    package let year: Int
    /// January is 1.
    package let month: Int
    package let day: Int
    /// Sunday is 0.
    package let weekday: Int
    package let hour: Int
    package let minute: Int
    package let second: Int

    package init(epochSeconds: Int) {
        let (quotient, remainder) = epochSeconds.quotientAndRemainder(dividingBy: 86400)
        let days = remainder < 0 ? quotient - 1 : quotient
        let seconds = remainder < 0 ? remainder + 86400 : remainder
        // Days from civil, after Howard Hinnant: years start in March, so that the leap day is the last one.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        weekday = ((days % 7) + 11) % 7
        hour = seconds / 3600
        minute = seconds / 60 % 60
        second = seconds % 60
    }
}

/// Dates as field values and API bodies have them, always in UTC.
package enum HTTPDate {
    static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// IMF-fixdate (RFC 9110, section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    package static func text(epochSeconds: Int) -> String {
        let time = CivilTime(epochSeconds: epochSeconds)
        return "\(weekdays[time.weekday]), \(two(time.day)) \(months[time.month - 1]) \(four(time.year)) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }

    /// The `Date` field line of a response, line end included. For once a second, not once a response.
    package static func fieldLine(epochSeconds: Int) -> [UInt8] {
        Array("Date: \(text(epochSeconds: epochSeconds))\r\n".utf8)
    }

    /// RFC 3339 in UTC with whole seconds, such as `1994-11-06T08:49:37Z`.
    package static func timestamp(epochSeconds: Int) -> String {
        let time = CivilTime(epochSeconds: epochSeconds)
        return
            "\(four(time.year))-\(two(time.month))-\(two(time.day))T\(two(time.hour)):\(two(time.minute)):\(two(time.second))Z"
    }

    private static func four(_ year: Int) -> String { two(year / 100) + two(year % 100) }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
