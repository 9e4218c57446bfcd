internal import Synchronization

/// Numbers that are unique within the process. They identify objects without retaining them.
enum SerialNumber {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
