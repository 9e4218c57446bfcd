internal import Synchronization

/// Numbers that are given once in the life of the process: they tell objects apart without keeping them.
enum SerialNumber {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
