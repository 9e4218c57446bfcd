/// The body of a request on its way upstream.
enum ForwardedBody {
    /// In memory, so it can be sent again.
    case whole([UInt8])
    /// All but its beginning is still with the client: passed on piece by piece, and never more than once.
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

/// How a forwarded request's body is framed.
enum ForwardedFraming: Equatable {
    case none
    case length(Int)
    case chunked
}
