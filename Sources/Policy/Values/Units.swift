internal import JSON

/// So many requests in so many seconds.
struct Rate: Equatable {
    let count: Int
    let periodSeconds: Int

    /// Requests per second.
    var pace: Double { Double(count) / Double(periodSeconds) }
}

/// The small notations inside strings: durations, rates, sizes, times, hashes.
enum Units {
    static let durationHelp = "a duration is a whole number and a unit: \"250ms\", \"10s\", \"5min\", \"12h\", \"1d\""
    static let rateHelp = "a rate is a number per time: \"6/min\", \"100/s\", \"10000/day\", \"5/10s\""
    static let sizeHelp = "a size is a number of bytes or a string with a unit: 8192, \"16KiB\", \"10MiB\""
    static let timeHelp =
        "a point in time is RFC 3339, \"2027-01-31T12:00:00Z\", or a date, \"2027-01-31\", which is its first second in UTC"
    static let hashHelp = "it is the SHA-256 of the token as 64 hexadecimal digits; \"gateway token create\" prints it"

    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = numberAndUnit(text) else { return nil }
        if unit == "ms" { return .milliseconds(number) }
        guard let seconds = seconds(of: unit), number <= 100_000_000 else { return nil }
        return .seconds(number * seconds)
    }

    /// A short duration as it would be written.
    static func text(of duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return attoseconds == 0 ? "\(seconds)s" : "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
    }

    static func rate(_ text: String) -> Rate? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = digits(parts[0]), (1...1_000_000_000).contains(count) else { return nil }
        let (number, unit) = numberAndUnit(String(parts[1])) ?? (1, parts[1])
        guard number >= 1, number <= 100_000_000, let seconds = seconds(of: unit) else { return nil }
        let period = number * seconds
        guard period <= 31 * 86_400 else { return nil }
        return Rate(count: count, periodSeconds: period)
    }

    static func size(_ text: String) -> Int? {
        guard let (number, unit) = numberAndUnit(text), number <= 1 << 40 else { return nil }
        return switch unit {
        case "B": number
        case "KiB": number << 10
        case "MiB": number << 20
        case "GiB": number <= 1 << 20 ? number << 30 : nil
        default: nil
        }
    }

    private static func numberAndUnit(_ text: String) -> (Int, Substring)? {
        let number = text.prefix { $0.isASCII && $0.isNumber }
        guard let value = digits(number), value <= 1 << 53 else { return nil }
        return (value, text[number.endIndex...])
    }

    private static func digits(_ text: Substring) -> Int? {
        guard (1...16).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }

    private static func seconds(of unit: Substring) -> Int? {
        switch unit {
        case "s", "sec", "second": 1
        case "min", "minute": 60
        case "h", "hour": 3600
        case "d", "day": 86_400
        default: nil
        }
    }

    /// A SHA-256 in hexadecimal.
    static func digest(_ text: String) -> TokenDigest? {
        guard text.utf8.count == 64 else { return nil }
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for byte in text.utf8 {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            words.0 = words.0 << 4 | words.1 >> 60
            words.1 = words.1 << 4 | words.2 >> 60
            words.2 = words.2 << 4 | words.3 >> 60
            words.3 = words.3 << 4 | UInt64(digit)
        }
        return TokenDigest(words.0, words.1, words.2, words.3)
    }
}

extension Units {
    /// Seconds since the epoch of an RFC 3339 time, or of the start of a day.
    static func time(_ text: String) -> Int64? {
        var rest = text.utf8[...]
        guard let year = number(4, &rest), skip("-", &rest), let month = number(2, &rest), skip("-", &rest),
            let day = number(2, &rest), (1...12).contains(month), (1...daysIn(month, of: year)).contains(day)
        else { return nil }
        let midnight = daysSinceEpoch(year, month, day) * 86_400
        if rest.isEmpty { return midnight }
        guard skip("T", &rest) || skip("t", &rest), let hour = number(2, &rest), skip(":", &rest),
            let minute = number(2, &rest), skip(":", &rest), let second = number(2, &rest), hour < 24, minute < 60,
            second < 60
        else { return nil }
        if skip(".", &rest) {
            let fraction = rest.prefix { (0x30...0x39).contains($0) }
            guard !fraction.isEmpty else { return nil }
            rest = rest[fraction.endIndex...]
        }
        let local = midnight + hour * 3600 + minute * 60 + second
        if skip("Z", &rest) || skip("z", &rest) { return rest.isEmpty ? local : nil }
        let isEast = skip("+", &rest)
        guard isEast || skip("-", &rest), let hours = number(2, &rest), skip(":", &rest),
            let minutes = number(2, &rest),
            hours < 24, minutes < 60, rest.isEmpty
        else { return nil }
        let offset = hours * 3600 + minutes * 60
        return isEast ? local - offset : local + offset
    }

    private static func number(_ digits: Int, _ rest: inout Substring.UTF8View) -> Int64? {
        guard rest.count >= digits else { return nil }
        var value: Int64 = 0
        for byte in rest.prefix(digits) {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        rest = rest.dropFirst(digits)
        return value
    }

    private static func skip(_ character: Unicode.Scalar, _ rest: inout Substring.UTF8View) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Counts by years that start in March, so that the leap day is the last of its year.
    private static func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let marchYear = month > 2 ? year : year - 1
        let marchMonth = month > 2 ? month - 3 : month + 9
        let days =
            365 * marchYear + marchYear / 4 - marchYear / 100 + marchYear / 400 + (153 * marchMonth + 2) / 5 + day - 1
        return days - 719_468
    }
}
