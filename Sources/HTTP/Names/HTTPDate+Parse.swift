internal import Bytes

extension HTTPDate {
    /// Reads a date in any of the three forms of RFC 9110, section 5.6.7, as seconds since the epoch; `nil` if it is none.
    ///
    /// `now` selects the century of a two-digit year: the year is at most 50 years ahead.
    package static func epochSeconds(_ text: String, now: Int) -> Int? {
        guard text.utf8.count <= 40 else { return nil }
        let words = text.split(separator: " ")
        guard let weekday = words.first else { return nil }
        switch words.count {
        // Sun, 06 Nov 1994 08:49:37 GMT
        case 6:
            guard weekdays.contains(where: { weekday == "\($0)," }), words[5] == "GMT", let year = number(words[3], 4)
            else { return nil }
            return seconds(year, words[2], words[1], words[4])
        // Sun Nov  6 08:49:37 1994
        case 5:
            guard weekdays.contains(where: { weekday == $0 }), let year = number(words[4], 4) else { return nil }
            return seconds(year, words[1], words[2], words[3])
        // Sunday, 06-Nov-94 08:49:37 GMT
        case 4:
            let date = words[1].split(separator: "-", omittingEmptySubsequences: false)
            guard longWeekdays.contains(where: { weekday == "\($0)," }), words[3] == "GMT", date.count == 3,
                let year = number(date[2], 2)
            else { return nil }
            let this = CivilTime(epochSeconds: now).year
            let full = this / 100 * 100 + year
            return seconds(full > this + 50 ? full - 100 : full, date[1], date[0], words[2])
        default: return nil
        }
    }

    private static let longWeekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]

    private static func seconds(_ year: Int, _ month: Substring, _ day: Substring, _ time: Substring) -> Int? {
        let parts = time.split(separator: ":", omittingEmptySubsequences: false)
        guard let month = months.firstIndex(where: { month == $0 }), let day = number(day, day.utf8.count),
            (1...CivilTime.days(in: month + 1, of: year)).contains(day), parts.count == 3,
            let hour = number(parts[0], 2), hour < 24,
            let minute = number(parts[1], 2), minute < 60, let second = number(parts[2], 2),
            // A leap second counts as the first second of the next minute.
            second <= 60
        else { return nil }
        return CivilTime.daysSinceEpoch(year: year, month: month + 1, day: day) * 86400 + hour * 3600 + minute * 60
            + second
    }

    /// A number of exactly `count` digits, at most four.
    private static func number(_ text: Substring, _ count: Int) -> Int? {
        text.utf8.count == count && count <= 4 ? Int(decimal: text.utf8.span) : nil
    }
}
