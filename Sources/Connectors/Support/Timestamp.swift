internal import Bytes

/// A time, in milliseconds since 1970-01-01T00:00:00Z.
struct Timestamp: Hashable, Comparable, Sendable {
    let milliseconds: Int64

    static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// `2024-06-15T10:00:00.250Z`; the fraction is left out when it is zero.
    var iso8601: String { RFC3339.text(epochMilliseconds: milliseconds) }

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Reads a date and time with `Z` or an offset, or a date alone, which means midnight in UTC.
    init?(iso8601 text: String) {
        guard let milliseconds = RFC3339.epochMilliseconds(text, .iso8601) else { return nil }
        self.milliseconds = milliseconds
    }
}
