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
}

extension WallClock {
    /// The current time on both clocks.
    var moment: Moment { Moment(epochMilliseconds: milliseconds, instant: .now()) }
}
