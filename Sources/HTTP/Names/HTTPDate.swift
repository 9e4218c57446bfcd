internal import Bytes

/// Dates in field values, always in UTC.
package enum HTTPDate {
    static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// IMF-fixdate (RFC 9110, section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    package static func text(epochSeconds: Int) -> String {
        let time = CivilTime(epochSeconds: epochSeconds)
        return "\(weekdays[time.weekday]), \(two(time.day)) \(months[time.month - 1]) \(four(time.year)) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }

    /// The `Date` field line of a response, line end included. Make it once a second, not once a response.
    package static func fieldLine(epochSeconds: Int) -> [UInt8] {
        Array("Date: \(text(epochSeconds: epochSeconds))\r\n".utf8)
    }

    private static func four(_ year: Int) -> String { two(year / 100) + two(year % 100) }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
