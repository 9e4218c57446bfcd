/// The exact durations of a limit, computed once for each rule: a bucket of `burst` units gains `count` units in each period.
package struct LimitPace: Equatable, Sendable {
    /// The parts into which a nanosecond is divided, so that each duration here is a whole number of parts.
    package let parts: UInt32
    /// Until one unit returns.
    package let unit: ExactNanoseconds
    /// Until the units of one request return.
    package let charge: ExactNanoseconds
    /// Until an empty bucket is full.
    package let capacity: ExactNanoseconds
    /// The maximum debt, in ``toleranceUnit``s and rounded down, at which no request is refused, whatever its cost.
    package let tolerance: UInt32

    /// 2^20 nanoseconds, about a millisecond.
    package static let toleranceUnit = 20

    /// `period` is in nanoseconds. `cost` is what the request takes, `highestCost` what the dearest request of the limit takes.
    package init(count: UInt64, period: UInt64, burst: UInt64, cost: UInt64 = 1, highestCost: UInt64 = 1) {
        let count = max(1, min(count, 1 << 30))
        let period = max(1, min(period, 1 << 60))
        let divisor = Self.greatestCommonDivisor(count, period)
        let parts = count / divisor
        let unitInParts = period / divisor
        // A full bucket is worth at most 2^60 ns (36 years), so no later sum overflows.
        let burst = max(1, min(burst, (1 << 60) / max(1, period / count + 1)))
        func time(of units: UInt64) -> ExactNanoseconds {
            let all = UInt128(units) * UInt128(unitInParts)
            let ceiling = (all + UInt128(parts) - 1) / UInt128(parts)
            return ExactNanoseconds(
                ceiling: UInt64(ceiling), excess: UInt32(ceiling * UInt128(parts) - all))
        }
        self.parts = UInt32(parts)
        unit = time(of: 1)
        charge = time(of: max(1, min(cost, burst)))
        capacity = time(of: burst)
        let tolerated = time(of: burst - max(1, min(highestCost, burst)))
        let whole = tolerated.ceiling - (tolerated.excess > 0 ? 1 : 0)
        tolerance = UInt32(clamping: whole >> UInt64(Self.toleranceUnit))
    }

    private static func greatestCommonDivisor(_ one: UInt64, _ other: UInt64) -> UInt64 {
        var (one, other) = (one, other)
        while other > 0 { (one, other) = (other, one % other) }
        return one
    }
}
