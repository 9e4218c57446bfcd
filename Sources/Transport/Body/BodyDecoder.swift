internal import HTTP

/// Finds the end of one message's body in the received bytes.
struct BodyDecoder {
    enum Step {
        case data(Range<Int>)
        case needsMore
        case end
    }

    private var framing: BodyFraming
    private var remaining: UInt64 = 0
    private var chunks = ChunkedDecoder()
    private(set) var isActive: Bool
    /// Reading the body has begun.
    var hasStarted = false
    /// When all of it must be here; set when the body is first waited for.
    var deadline: Instant?

    init(framing: BodyFraming, keepsTrailers: Bool = false) {
        if keepsTrailers, framing == .chunked { chunks = ChunkedDecoder(keepsTrailers: true) }
        self.framing = framing
        isActive = !framing.isNone
        if case .length(let length) = framing { remaining = length }
    }

    /// The trailers of a chunked body after its end, if they are kept.
    var trailers: [UInt8] { chunks.trailers }

    /// The length that the head announced; `nil` for a body with another end.
    var announced: UInt64? {
        switch framing {
        case .none: 0
        case .length(let length): length
        case .chunked, .untilClose: nil
        }
    }

    /// Consumes the front of `input[start..<end]`, moving `start`.
    mutating func next(_ input: Span<UInt8>, from start: inout Int, to end: Int) throws(FramingError) -> Step {
        guard isActive else { return .end }
        switch framing {
        case .none:
            isActive = false
            return .end
        case .length:
            if remaining == 0 {
                isActive = false
                return .end
            }
            guard start < end else { return .needsMore }
            let count = Int(min(remaining, UInt64(end - start)))
            let range = start..<start + count
            start += count
            remaining -= UInt64(count)
            return .data(range)
        case .untilClose:
            guard start < end else { return .needsMore }
            let range = start..<end
            start = end
            return .data(range)
        case .chunked:
            // The decoder's ranges count from the start of the span, which is the start of the buffer.
            switch try chunks.next(input.extracting(0..<end), from: &start) {
            case .needsMore: return .needsMore
            case .data(let range): return .data(range)
            case .end:
                isActive = false
                return .end
            }
        }
    }
}
