internal import HTTP
internal import Transport

/// A copy of a relayed response's body, kept while the body passes. Bodies that tell of jobs are parsed when they are complete.
struct BodyTap {
    private var isWanted: Bool
    /// The response is held back until the copy is whole: its job must be bound to the lease before the client sees it.
    private(set) var holdsBack: Bool
    private let coding: ContentCoding?
    private var bytes: [UInt8] = []
    /// The bytes that are kept, also of what they decode to.
    let limit: Int

    /// `coding` is what the answer's bytes are encoded with.
    init(isWanted: Bool, holdsBack: Bool, coding: ContentCoding? = nil) {
        self.isWanted = isWanted
        self.holdsBack = holdsBack
        self.coding = coding
        limit = holdsBack ? JobObserver.maxBytes : JobObserver.maxBytesInPassing
    }

    mutating func append(_ range: Range<Int>, of upstream: UpstreamConnection) {
        guard takes(range.count) else { return }
        upstream.copyBody(range, to: &bytes)
    }

    /// Whether the next `count` bytes are kept. What does not fit takes what was there with it.
    mutating func takes(_ count: Int) -> Bool {
        guard isWanted else { return false }
        guard bytes.count + count <= limit else {
            isWanted = false
            holdsBack = false
            bytes = []
            return false
        }
        return true
    }

    /// The body without its coding: a client may have asked for one. Empty where it cannot be taken off.
    var plain: [UInt8] {
        guard let coding else { return bytes }
        return Inflate.decode(bytes.span, coding: coding, limit: limit) ?? []
    }
}

extension UpstreamConnection {
    /// What the current response is encoded with; `nil` where it is not, or with something unknown. Before the body is read.
    var contentCoding: ContentCoding? {
        // Not by `withHead`, which copies the head: nearly every response comes by here.
        let input = input
        let bytes = input.span.extracting(headStart..<headStart + head.end)
        return head.contentEncoding.flatMap { ContentCoding(bytes, $0) }
    }
}
