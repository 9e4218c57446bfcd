import Gateway
import Transport

// Tests count time in milliseconds from one beginning for both clocks.
extension Moment {
    init(_ milliseconds: Int64) {
        self.init(
            epochMilliseconds: milliseconds, instant: Instant(nanoseconds: UInt64(max(milliseconds, 0)) * 1_000_000))
    }

    init(_ milliseconds: Int) { self.init(Int64(milliseconds)) }
}

extension Moment: ExpressibleByIntegerLiteral {
    public init(integerLiteral milliseconds: Int64) { self.init(milliseconds) }
}
