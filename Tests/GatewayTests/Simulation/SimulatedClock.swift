import Transport

@testable import Gateway

/// The time of the simulation, in milliseconds. The time of day can jump, the monotonic time cannot.
struct SimulatedClock {
    private(set) var now = 1_000_000
    /// By how much the gateway's time of day is ahead of the true one.
    var error = 0

    /// The true time of day at the beginning.
    private static let epoch = 1_700_000_000_000

    mutating func advance(_ milliseconds: Int) { now += milliseconds }

    /// The true time of day, in milliseconds since 1970.
    var timeOfDay: Int64 { Int64(Self.epoch + now) }

    var instant: Instant { instant(now) }

    func instant(_ time: Int) -> Instant { Instant(nanoseconds: UInt64(time) * 1_000_000) }

    /// What the gateway reads.
    var moment: Moment { moment(now) }

    func moment(_ time: Int) -> Moment {
        Moment(epochMilliseconds: Int64(Self.epoch + time + error), instant: instant(time))
    }
}
