/// Points in time in the notation of RFC 3339, to the millisecond; finer digits are dropped.
package enum RFC3339 {
    /// Notations accepted besides `2027-01-31T12:00:00.5+01:00` and a date alone, which is its first moment in UTC.
    package struct Leniency: OptionSet, Sendable {
        package let rawValue: Int

        package init(rawValue: Int) { self.rawValue = rawValue }

        /// A time without an offset is in UTC: Python writes it so.
        package static let missingOffset = Leniency(rawValue: 1)
        /// More of ISO 8601: a space for the `T`, no seconds, a leap second, and offsets such as `+0100` and `+01`.
        package static let iso8601 = Leniency(rawValue: 2)
    }

    /// Milliseconds since the epoch; `nil` if the text is no time or is longer than 40 bytes.
    package static func epochMilliseconds(_ text: String, _ leniency: Leniency = []) -> Int64? {
        guard text.utf8.count <= 40 else { return nil }
        var reader = Reader(rest: text.utf8[...], leniency: leniency)
        guard let milliseconds = reader.time(), reader.rest.isEmpty else { return nil }
        return Int64(milliseconds)
    }

    /// Seconds since the epoch, rounded down; `nil` if the text is no time.
    package static func epochSeconds(_ text: String) -> Int64? {
        epochMilliseconds(text).map { $0 >= 0 ? $0 / 1000 : -((999 - $0) / 1000) }
    }

    /// The time in UTC, such as `1994-11-06T08:49:37.250Z`; a zero fraction is omitted.
    package static func text(epochMilliseconds: Int64) -> String {
        var text: [UInt8] = []
        text.append(timestamp: epochMilliseconds)
        if text.suffix(5).elementsEqual(".000Z".utf8) {
            text.removeLast(5)
            text.append(UInt8(ascii: "Z"))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Reads a time from the front of a text, part by part.
private struct Reader {
    var rest: Substring.UTF8View
    let leniency: RFC3339.Leniency

    /// The whole time in milliseconds since the epoch.
    mutating func time() -> Int? {
        guard let year = number(4), take(.hyphen), let month = number(2), take(.hyphen), let day = number(2),
            (1...12).contains(month), (1...CivilTime.days(in: month, of: year)).contains(day)
        else { return nil }
        let midnight = CivilTime.daysSinceEpoch(year: year, month: month, day: day) * 86_400_000
        if rest.isEmpty { return midnight }
        guard take(UInt8(ascii: "T")) || take(UInt8(ascii: "t")) || isISO && take(.space), let hour = number(2),
            hour < 24,
            take(.colon), let minute = number(2), minute < 60, let second = seconds(), let fraction = fraction(),
            let offset = offset()
        else { return nil }
        return midnight + (hour * 3600 + minute * 60 + second - offset) * 1000 + fraction
    }

    private var isISO: Bool { leniency.contains(.iso8601) }

    private mutating func seconds() -> Int? {
        guard take(.colon) else { return isISO ? 0 : nil }
        guard let second = number(2), second < (isISO ? 61 : 60) else { return nil }
        return second
    }

    /// Milliseconds; 0 if there is no fraction.
    private mutating func fraction() -> Int? {
        guard take(.dot) else { return 0 }
        let digits = rest.prefix(while: \.isDigit)
        guard !digits.isEmpty else { return nil }
        rest = rest[digits.endIndex...]
        var (value, scale) = (0, 100)
        for digit in digits {
            value += Int(digit - .zeroDigit) * scale
            scale /= 10
        }
        return value
    }

    /// Seconds east of UTC.
    private mutating func offset() -> Int? {
        if take(UInt8(ascii: "Z")) || take(UInt8(ascii: "z")) { return 0 }
        if rest.isEmpty { return leniency.contains(.missingOffset) ? 0 : nil }
        let isEast = take(UInt8(ascii: "+"))
        guard isEast || take(.hyphen), let hours = number(2), hours < 24 else { return nil }
        var seconds = hours * 3600
        if !rest.isEmpty || !isISO {
            guard take(.colon) || isISO, let minutes = number(2), minutes < 60 else { return nil }
            seconds += minutes * 60
        }
        return isEast ? seconds : -seconds
    }

    /// A number of exactly `width` digits.
    private mutating func number(_ width: Int) -> Int? {
        let digits = rest.prefix(width)
        guard digits.count == width, let value = Int(decimal: digits.span) else { return nil }
        rest = rest[digits.endIndex...]
        return value
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest = rest.dropFirst()
        return true
    }
}
