/// A limit with some changes applied.
struct EffectiveLimit: Equatable {
    private(set) var rate: Rate
    private(set) var burst: Int?
    private(set) var mode: LimitMode

    init(_ limit: LimitDocument) {
        rate = limit.rate
        burst = limit.burst
        mode = limit.mode
    }

    mutating func apply(_ change: LimitChange) {
        rate = change.rate ?? rate
        burst = change.burst ?? burst
        mode = change.mode ?? mode
    }

    /// The burst in force.
    var effectiveBurst: Int { burst ?? rate.count }
}
