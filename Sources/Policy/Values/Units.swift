internal import Bytes
internal import JSON

/// A number of requests in a period.
struct Rate: Hashable {
    let count: Int
    let periodSeconds: Int

    /// Requests per second.
    var perSecond: Double { Double(count) / Double(periodSeconds) }
}

/// The small notations inside strings: durations, rates, sizes, times, hashes.
enum Units {
    static let durationHelp = "write a whole number and a unit: \"250ms\", \"10s\", \"5min\", \"12h\", \"1d\""
    static let rateHelp = "write a number per time: \"6/min\", \"2.5/s\", \"10000/day\", \"5/3min\""
    static let shareHelp = "write a percentage with at most two decimals: \"10%\", \"0.5%\"; \"100%\" is everyone"
    static let sizeHelp = "write a number of bytes, or a string with a unit: 8192, \"16KiB\", \"10MiB\""
    static let timeHelp =
        "write a time as in RFC 3339, \"2027-01-31T12:00:00Z\", or a date, \"2027-01-31\", for its first second in UTC"
    static let hashHelp = "write the SHA-256 of the token as 64 hexadecimal digits; \"gateway token create\" prints it"

    static func duration(_ text: String) -> Duration? {
        guard let (number, unit) = numberAndUnit(text) else { return nil }
        if unit == "ms" { return .milliseconds(number) }
        guard let seconds = seconds(of: unit), number <= 100_000_000 else { return nil }
        return .seconds(number * seconds)
    }

    /// A short duration in the notation of policies.
    static func text(of duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if duration > .zero, attoseconds == 0, seconds % 86_400 == 0 { return "\(seconds / 86_400)d" }
        return attoseconds == 0 ? "\(seconds)s" : "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
    }

    static func rate(_ text: String) -> Rate? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let (count, scale) = decimal(parts[0]), count >= 1 else { return nil }
        let (number, unit) = numberAndUnit(String(parts[1])) ?? (1, parts[1])
        guard number >= 1, number <= 100_000_000, let seconds = seconds(of: unit) else { return nil }
        // The period of "2.5/s" is 2 s, so that the count is whole and the rate exact.
        let period = number * seconds * scale
        guard (1...1_000_000_000).contains(count), period <= 31 * 86_400 else { return nil }
        return Rate(count: count, periodSeconds: period)
    }

    /// A share in hundredths of a percent.
    static func share(_ text: String) -> Int? {
        guard text.hasSuffix("%"), let (number, scale) = decimal(text.dropLast()), 100 % scale == 0 else { return nil }
        let share = number * (100 / scale)
        return (1...10_000).contains(share) ? share : nil
    }

    /// A number with at most three decimals, as a fraction in lowest terms.
    private static func decimal(_ text: Substring) -> (number: Int, scale: Int)? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts[0].utf8.count <= 10, let whole = digits(parts[0]) else { return nil }
        guard parts.count == 2 else { return (whole, 1) }
        guard (1...3).contains(parts[1].utf8.count), let rest = digits(parts[1]) else { return nil }
        var number = whole
        var scale = 1
        for _ in parts[1].utf8 { (number, scale) = (number * 10, scale * 10) }
        number += rest
        for factor in [2, 2, 2, 5, 5, 5] where scale % factor == 0 && number % factor == 0 {
            (number, scale) = (number / factor, scale / factor)
        }
        return (number, scale)
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
        text.utf8.count <= 16 ? Int(decimal: text.utf8.span) : nil
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
        let digits = text.utf8.span
        guard let first = UInt64(hex: digits.extracting(0..<16)), let second = UInt64(hex: digits.extracting(16..<32)),
            let third = UInt64(hex: digits.extracting(32..<48)), let fourth = UInt64(hex: digits.extracting(48..<64))
        else { return nil }
        return TokenDigest(first, second, third, fourth)
    }
}
