package import Transport

/// One point in time on both clocks.
package struct Moment: Equatable, Sendable {
    /// The time of day in milliseconds since 1970, to show to people and other machines. It can jump.
    package let epochMilliseconds: Int64
    /// The monotonic time, for all durations.
    package let instant: Instant

    package init(epochMilliseconds: Int64, instant: Instant) {
        self.epochMilliseconds = epochMilliseconds
        self.instant = instant
    }

    /// The monotonic time of an earlier time of day, as far as the two clocks agree; at most one day ago.
    func begin(ofEpochMilliseconds earlier: Int64) -> Instant {
        let age = UInt64(min(max(epochMilliseconds.subtractingReportingOverflow(earlier).partialValue, 0), 86_400_000))
        return Instant(nanoseconds: instant.nanoseconds - min(instant.nanoseconds, age * 1_000_000))
    }
}

extension WallClock {
    /// The current time on both clocks.
    var moment: Moment { Moment(epochMilliseconds: milliseconds, instant: .now()) }
}
