internal import Transport

/// What is kept of an answer that goes by: the bodies that tell of jobs are read when they are through.
struct BodyCopy {
    private var isWanted: Bool
    /// The answer waits until the copy is whole: what it says decides about a lease, and must hold before the client acts on it.
    private(set) var holdsBack: Bool
    private(set) var bytes: [UInt8] = []

    /// Answers that are longer say nothing about a single job, and are not kept.
    static let limit = 256 << 10

    init(isWanted: Bool, holdsBack: Bool) {
        self.isWanted = isWanted
        self.holdsBack = holdsBack
    }

    mutating func append(_ range: Range<Int>, of upstream: ClientConnection) {
        guard isWanted else { return }
        guard bytes.count + range.count <= BodyCopy.limit else {
            isWanted = false
            holdsBack = false
            bytes = []
            return
        }
        upstream.copyBody(range, to: &bytes)
    }
}
