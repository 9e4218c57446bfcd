internal import Transport

/// Whether a body comes fast enough to be worth what is held for it: a byte now and then is progress, but not enough.
///
/// Only the time counts in which the client was waited for, so that nobody is blamed for a slow upstream.
struct BodyRate {
    private let span: Duration
    private let minBytes: Int
    private var waited = Duration.zero
    private var bytes = 0

    /// Looks at spans as long as there may be between two pieces.
    init(_ timeouts: ServerTimeouts) { self.init(span: timeouts.body) }

    init(span: Duration) {
        self.span = span
        minBytes = Int(span.components.seconds) * BodyRate.minBytesPerSecond
    }

    static let minBytesPerSecond = 1024

    /// Whether so many bytes after so long a wait still make a pace that is fast enough.
    mutating func received(_ count: Int, after wait: Duration) -> Bool {
        waited += wait
        bytes += count
        guard waited >= span else { return true }
        let isFastEnough = bytes >= minBytes
        waited = .zero
        bytes = 0
        return isFastEnough
    }
}
