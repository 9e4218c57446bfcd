internal import Transport

/// The time of day for leases, whose jobs know it too.
@Sendable func milliseconds() -> Int64 { Int64(wallClockNanoseconds() / 1_000_000) }
