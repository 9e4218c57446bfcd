/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
struct Timestamp: Hashable, Comparable, Sendable {
    let milliseconds: Int64

    static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// `2024-06-15T10:00:00.250Z`; the fraction is left out when it is zero.
    var iso8601: String {
        let (days, inDay) = milliseconds.floored(by: 86_400_000)
        let (year, month, day) = Self.civil(fromDays: days)
        let (seconds, fraction) = inDay.floored(by: 1000)
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let time = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return date + "T" + time + (fraction == 0 ? "" : "." + padded(fraction, 3)) + "Z"
    }

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Reads a date and time with `Z` or an offset (RFC 3339), or a date alone, which is its midnight in UTC.
    init?(iso8601 text: String) {
        var reader = DateReader(Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), (1...12).contains(month), (1...Self.daysIn(month, of: year)).contains(day)
        else { return nil }
        var total = Self.days(year, month, day) * 86_400_000
        if !reader.isAtEnd {
            guard reader.take("T") || reader.take("t") || reader.take(" "), let hour = reader.number(2), hour < 24,
                reader.take(":"), let minute = reader.number(2), minute < 60
            else { return nil }
            var second: Int64 = 0
            if reader.take(":") {
                guard let whole = reader.number(2), whole <= 60 else { return nil }
                second = whole
            }
            total += ((hour * 60 + minute) * 60 + second) * 1000
            if reader.take(".") {
                guard let fraction = reader.fraction() else { return nil }
                total += fraction
            }
            guard let offset = reader.offset() else { return nil }
            total -= offset * 60_000
        }
        guard reader.isAtEnd else { return nil }
        milliseconds = total
    }

    // Days from and to the proleptic Gregorian calendar, counted in eras of 400 years that start in March,
    // so that the leap day is the last day of a year.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = shifted.floored(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).floored(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private static func daysIn(_ month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// A length of time as ISO 8601 writes it: `PT2M30S`, `PT3.2S`, `PT0S`.
func iso8601Duration(milliseconds: Int64) -> String {
    let (seconds, fraction) = max(0, milliseconds).floored(by: 1000)
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    var text = "PT"
    if hours > 0 { text += "\(hours)H" }
    if minutes > 0 { text += "\(minutes)M" }
    guard rest > 0 || fraction > 0 || text.count == 2 else { return text }
    text += "\(rest)"
    if fraction > 0 {
        var digits = padded(fraction, 3)
        while digits.hasSuffix("0") { digits.removeLast() }
        text += "." + digits
    }
    return text + "S"
}

private func padded(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

extension Int64 {
    fileprivate func floored(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

/// A cursor over the characters of a date.
private struct DateReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    mutating func take(_ character: Character) -> Bool {
        guard index < bytes.count, bytes[index] == character.asciiValue else { return false }
        index += 1
        return true
    }

    mutating func number(_ width: Int) -> Int64? {
        guard index + width <= bytes.count else { return nil }
        var value: Int64 = 0
        for byte in bytes[index..<index + width] {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        index += width
        return value
    }

    /// The digits after the point as milliseconds; what is finer is dropped.
    mutating func fraction() -> Int64? {
        var (value, scale): (Int64, Int64) = (0, 100)
        let first = index
        while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
            value += Int64(bytes[index] - 0x30) * scale
            scale /= 10
            index += 1
        }
        return index > first ? value : nil
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(2), hours < 24 else { return nil }
        guard !isAtEnd else { return sign * hours * 60 }
        _ = take(":")
        guard let minutes = number(2), minutes < 60 else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
