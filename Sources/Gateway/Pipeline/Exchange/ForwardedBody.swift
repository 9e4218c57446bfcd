/// The body of a request that is forwarded to the upstream.
enum ForwardedBody {
    /// The whole body is in memory, so it can be sent again.
    case whole([UInt8])
    /// Only the start is in memory. The rest is forwarded piece by piece, and can be sent only once.
    case streamed(ForwardedFraming, begun: [UInt8])

    var framing: ForwardedFraming {
        switch self {
        case .whole(let bytes): bytes.isEmpty ? .none : .length(bytes.count)
        case .streamed(let framing, _): framing
        }
    }

    var isRepeatable: Bool {
        if case .whole = self { true } else { false }
    }
}

/// The framing of a forwarded request's body.
enum ForwardedFraming: Equatable {
    case none
    case length(Int)
    case chunked
}
