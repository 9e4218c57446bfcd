internal import HTTP
internal import Transport

/// Copies the body of a relayed response while it is relayed. Bodies that may show jobs are parsed when they are complete.
struct BodyTap {
    private var isWanted: Bool
    /// The response is held until the copy is complete, because its job must be bound to the lease before the client
    /// sees it.
    private(set) var holdsBack: Bool
    private let coding: ContentCoding?
    private var bytes: [UInt8] = []
    /// The maximum size of the copy, before and after decoding.
    let limit: Int

    /// `coding` is the content coding of the response.
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

    /// Whether the next `count` bytes are kept. If they do not fit, the whole copy is dropped.
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

    /// The body as it was relayed; `nil` if it did not fit.
    var whole: [UInt8]? { isWanted ? bytes : nil }

    /// The decoded body. Empty if it cannot be decoded.
    var plain: [UInt8] {
        guard let coding else { return bytes }
        return Inflate.decode(bytes.span, coding: coding, limit: limit) ?? []
    }
}

extension UpstreamConnection {
    /// The content coding of the current response; `nil` if there is none or it is unknown. Call it before the body is
    /// read.
    var contentCoding: ContentCoding? {
        // `withHead` would copy the head, and nearly all responses run this code.
        let input = input
        let bytes = input.span.extracting(headStart..<headStart + head.end)
        return head.contentEncoding.flatMap { ContentCoding(bytes, $0) }
    }
}
