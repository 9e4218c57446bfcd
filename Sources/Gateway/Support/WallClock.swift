internal import Transport

/// The time of day. The starter of the gateway passes it in, so that tests can use their own.
package struct WallClock: Sendable {
    /// Nanoseconds since 1970.
    package let nanoseconds: @Sendable () -> UInt64

    package init(nanoseconds: @escaping @Sendable () -> UInt64) { self.nanoseconds = nanoseconds }

    /// Milliseconds since 1970, the unit of leases and jobs.
    package var milliseconds: Int64 { Int64(nanoseconds() / 1_000_000) }

    /// Seconds since 1970.
    package var seconds: Int64 { Int64(nanoseconds() / 1_000_000_000) }

    /// The clock of the machine.
    package static let system = WallClock { UInt64(wallClockNanoseconds()) }
}
