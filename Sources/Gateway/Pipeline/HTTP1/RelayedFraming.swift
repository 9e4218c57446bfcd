internal import HTTP

/// How the body of a relayed response is framed for a client of HTTP/1.1 (RFC 9112, section 6).
enum RelayedFraming: Equatable {
    /// None follows, and none is announced.
    case none
    case length(Int)
    case chunked
    /// For clients of HTTP/1.0, where the length is not known.
    case untilClose

    var isLength: Bool {
        if case .length = self { true } else { false }
    }

    init(of response: borrowing ResponseHead, for request: borrowing RequestHead) {
        switch response.framing {
        // What a HEAD would have got is announced; a 204 announces nothing (RFC 9110, section 8.6).
        case .none: self = response.announcedLength.map { .length(Int($0)) } ?? .none
        case .length(let length): self = .length(Int(length))
        case .chunked, .untilClose: self = request.isHTTP10 ? .untilClose : .chunked
        }
    }
}
