/// Times appended to a byte buffer.
extension [UInt8] {
    /// Appends an instant as RFC 3339 in UTC with milliseconds: `2026-11-21T09:44:19.250Z`.
    package mutating func append(timestamp epochMilliseconds: Int64) {
        var (seconds, milliseconds) = Int(epochMilliseconds).quotientAndRemainder(dividingBy: 1000)
        if milliseconds < 0 { (seconds, milliseconds) = (seconds - 1, milliseconds + 1000) }
        append(timestampTo: seconds)
        append(timestampFrom: milliseconds)
    }

    /// Appends a time stamp down to its seconds, for callers that write many within one second.
    package mutating func append(timestampTo epochSeconds: Int) {
        let date = CivilTime(epochSeconds: epochSeconds)
        append(addingCapacity: 19) { out in
            out.append(twoDigits: date.year / 100)
            out.append(twoDigits: date.year)
            out.append(.hyphen)
            out.append(twoDigits: date.month)
            out.append(.hyphen)
            out.append(twoDigits: date.day)
            out.append(UInt8(ascii: "T"))
            out.append(twoDigits: date.hour)
            out.append(.colon)
            out.append(twoDigits: date.minute)
            out.append(.colon)
            out.append(twoDigits: date.second)
        }
    }

    /// Appends the rest of a time stamp: the milliseconds and the zone.
    package mutating func append(timestampFrom milliseconds: Int) {
        append(addingCapacity: 5) { out in
            out.append(.dot)
            out.append(.zeroDigit + UInt8(truncatingIfNeeded: milliseconds / 100 % 10))
            out.append(twoDigits: milliseconds)
            out.append(UInt8(ascii: "Z"))
        }
    }
}
