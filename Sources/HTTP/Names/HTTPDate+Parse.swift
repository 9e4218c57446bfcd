internal import Bytes

extension HTTPDate {
    /// Reads a date in any of the three forms of RFC 9110, section 5.6.7, as seconds since the epoch; `nil` if it is none.
    ///
    /// `now` selects the century of a two-digit year: the year is at most 50 years ahead.
    package static func epochSeconds(_ text: String, now: Int) -> Int? {
        guard text.utf8.count <= 40 else { return nil }
        // Empty words too: between any two words there is one space.
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        let weekday = words[0]
        switch words.count {
        // Sun, 06 Nov 1994 08:49:37 GMT
        case 6 where words[5] == "GMT":
            guard weekdays.contains(where: { weekday == "\($0)," }), let day = number(words[1], 2),
                let year = number(words[3], 4)
            else { return nil }
            return seconds(year, words[2], day, words[4])
        // Sun Nov 16 08:49:37 1994
        case 5:
            guard weekdays.contains(where: { weekday == $0 }), let day = number(words[2], 2),
                let year = number(words[4], 4)
            else { return nil }
            return seconds(year, words[1], day, words[3])
        // Sun Nov  6 08:49:37 1994
        case 6 where words[2].isEmpty:
            guard weekdays.contains(where: { weekday == $0 }), let day = number(words[3], 1),
                let year = number(words[5], 4)
            else { return nil }
            return seconds(year, words[1], day, words[4])
        // Sunday, 06-Nov-94 08:49:37 GMT
        case 4:
            let date = words[1].split(separator: "-", omittingEmptySubsequences: false)
            guard longWeekdays.contains(where: { weekday == "\($0)," }), words[3] == "GMT", date.count == 3,
                let day = number(date[0], 2), let year = number(date[2], 2)
            else { return nil }
            let this = CivilTime(epochSeconds: now).year
            let full = this / 100 * 100 + year
            return seconds(full > this + 50 ? full - 100 : full, date[1], day, words[2])
        default: return nil
        }
    }

    private static let longWeekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]

    private static func seconds(_ year: Int, _ month: Substring, _ day: Int, _ time: Substring) -> Int? {
        let parts = time.split(separator: ":", omittingEmptySubsequences: false)
        guard let month = months.firstIndex(where: { month == $0 }),
            (1...CivilTime.days(in: month + 1, of: year)).contains(day), parts.count == 3,
            let hour = number(parts[0], 2), hour < 24,
            let minute = number(parts[1], 2), minute < 60, let second = number(parts[2], 2),
            // A leap second counts as the first second of the next minute.
            second <= 60
        else { return nil }
        return CivilTime.daysSinceEpoch(year: year, month: month + 1, day: day) * 86400 + hour * 3600 + minute * 60
            + second
    }

    /// A number of exactly `count` digits.
    private static func number(_ text: Substring, _ count: Int) -> Int? {
        text.utf8.count == count ? Int(decimal: text.utf8.span) : nil
    }
}
