internal import Transport

/// Checks whether a body arrives fast enough for the resources that it holds. A byte now and then is progress, but not enough.
///
/// Only the time of waiting for the client counts, so that a client is not blamed for a slow upstream.
struct BodyRate {
    private let span: Duration
    private let minBytes: Int
    private var waited = Duration.zero
    private var bytes = 0

    /// Checks the pace over spans of the maximum time between two pieces.
    init(_ timeouts: ServerTimeouts) { self.init(span: timeouts.body) }

    init(span: Duration) {
        self.span = span
        minBytes = Int(span.components.seconds) * BodyRate.minBytesPerSecond
    }

    static let minBytesPerSecond = 1024

    /// Whether the pace is still fast enough after `count` bytes and a wait of `wait`.
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
