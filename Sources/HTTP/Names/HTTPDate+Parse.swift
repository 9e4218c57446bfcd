extension HTTPDate {
    /// Reads a date in any of the three forms of RFC 9110, section 5.6.7, as seconds since the epoch; `nil` if it is none.
    ///
    /// `now` decides which century a year of two digits is in: none is more than 50 years ahead.
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
            (1...31).contains(day), parts.count == 3, let hour = number(parts[0], 2), hour < 24,
            let minute = number(parts[1], 2), minute < 60, let second = number(parts[2], 2),
            // A leap second is the first one of the next minute.
            second <= 60
        else { return nil }
        let days = days(year, month + 1, day)
        let date = CivilTime(epochSeconds: days * 86400)
        // A day that the month does not have would be one of the next.
        guard date.month == month + 1, date.day == day else { return nil }
        return days * 86400 + hour * 3600 + minute * 60 + second
    }

    /// Days since the epoch, after Howard Hinnant; the inverse of what `CivilTime` does.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// Exactly `count` digits, of which there is one or two, or four.
    private static func number(_ text: Substring, _ count: Int) -> Int? {
        let digits = text.utf8
        guard digits.count == count, (1...4).contains(count), digits.allSatisfy(\.isDigit) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
