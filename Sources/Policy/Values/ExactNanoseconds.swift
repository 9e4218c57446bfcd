/// A duration, or a point in time, that need not be a whole number of nanoseconds: `ceiling` less `excess` parts of one.
///
/// A limit of 7 per minute has a unit of 60/7 s. Rounded, each unit would be a little too long, and a busy client would lose
/// requests for ever. The limit says how many parts make a nanosecond (``LimitPace/parts``); `excess` is always fewer.
package struct ExactNanoseconds: Equatable, Sendable {
    /// The value, rounded up.
    package var ceiling: UInt64
    /// What rounding up added.
    package var excess: UInt32

    // Inlinable, like `zero`: the limiter makes several for each limit of each request.
    @inlinable @inline(__always)
    package init(ceiling: UInt64, excess: UInt32 = 0) {
        self.ceiling = ceiling
        self.excess = excess
    }

    @inlinable @inline(__always)
    package static var zero: ExactNanoseconds { ExactNanoseconds(ceiling: 0) }
}
