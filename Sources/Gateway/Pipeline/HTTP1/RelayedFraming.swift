internal import HTTP

/// The body framing of a relayed response for an HTTP/1.1 client (RFC 9112, section 6).
enum RelayedFraming: Equatable {
    /// No body, and no length in the head.
    case none
    case length(Int)
    case chunked
    /// For HTTP/1.0 clients, if the length is unknown.
    case untilClose

    var isLength: Bool {
        if case .length = self { true } else { false }
    }

    init(of response: borrowing ResponseHead, for request: borrowing RequestHead) {
        switch response.framing {
        // The head of a HEAD has the length that a GET would get; a 204 has none (RFC 9110, section 8.6).
        case .none: self = response.announcedLength.map { .length(Int($0)) } ?? .none
        case .length(let length): self = .length(Int(length))
        case .chunked, .untilClose: self = request.isHTTP10 ? .untilClose : .chunked
        }
    }
}
