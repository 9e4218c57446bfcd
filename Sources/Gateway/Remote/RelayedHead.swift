internal import HTTP
internal import Policy
internal import Transport

extension Worker {
    /// Appends the head of the upstream's answer as the client gets it: status and end-to-end fields byte for byte, without
    /// what belongs to the upstream's connection; then what the gateway says itself.
    func appendRelayedHead(
        of upstream: ClientConnection, as framing: RelayedFraming, for exchange: borrowing Exchange,
        _ persistence: Persistence, to output: inout [UInt8]
    ) {
        let head = upstream.head
        let input = upstream.input
        let bytes = input.span.extracting(upstream.headStart..<upstream.headStart + head.end)
        // The length stays where it is, if there is one and it is still true.
        let keepsLength = framing.isLength && head.hasOneLength
        head.appendStatusAndEndToEndFields(
            of: bytes, dropping: keepsLength ? RelayedHead.dropped : RelayedHead.droppedWithLength, to: &output)
        if !head.fields.contains(where: { $0.name == .date }) { output += dateLine }
        switch framing {
        case .none: break
        case .length where keepsLength: break
        case .length(let length):
            output += ForwardedHead.contentLength
            output.append(decimal: length)
            output += ForwardedHead.lineEnd
        case .chunked: output += ForwardedHead.chunked
        case .untilClose: break
        }
        let limits: RelayedHead.Limits = RelayedHead.bringsLimits(head) ? .upstreams : .ours
        appendOwnFields(for: exchange, limits, persistence, to: &output)
    }

    /// Appends an interim answer (RFC 9110, section 15.2): all of it is for the client.
    func appendInterimHead(of upstream: ClientConnection, to output: inout [UInt8]) {
        let head = upstream.head
        let input = upstream.input
        let bytes = input.span.extracting(upstream.headStart..<upstream.headStart + head.end)
        head.appendStatusAndEndToEndFields(of: bytes, dropping: RelayedHead.droppedWithLength, to: &output)
        output += ForwardedHead.lineEnd
    }
}

/// How a relayed answer's body is framed for the client.
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

    init(of answer: borrowing ResponseHead, for request: borrowing RequestHead) {
        switch answer.framing {
        // What a HEAD would have got is announced; a 204 announces nothing (RFC 9110, section 8.6).
        case .none: self = answer.announcedLength.map { .length(Int($0)) } ?? .none
        case .length(let length): self = .length(Int(length))
        case .chunked, .untilClose: self = request.isHTTP10 ? .untilClose : .chunked
        }
    }
}

/// Which of the upstream's fields are not relayed.
enum RelayedHead {
    /// Written by the gateway itself.
    static let dropped: FieldNameSet = [.xTraceID, .xPolicyVersion]
    static let droppedWithLength = dropped.union([.contentLength])

    /// What an answer tells about its endpoint. With 502, 503 and 504 a layer in front of the service may say that the service
    /// is not there; all others are answers. A 503 that says when to come back is one as well: it was said to whom it was said.
    static func outcome(of upstream: ClientConnection, for organization: UInt64) -> Endpoint.Outcome {
        switch upstream.status {
        case 502, 504: .refusing(status: upstream.status, organization: organization)
        case 503 where upstream.head.retryAfter == nil: .refusing(status: 503, organization: organization)
        default: .good(organization: organization)
        }
    }

    /// Whose limits the client is told.
    enum Limits { case ours, upstreams }

    private static let limits: FieldNameSet = [
        .rateLimit, .rateLimitPolicy, .rateLimitLimit, .rateLimitRemaining, .rateLimitReset, .xRateLimitLimit,
        .xRateLimitRemaining, .xRateLimitReset,
    ]

    /// The upstream's own limit fields win: two values of one field would be two answers to one question.
    static func bringsLimits(_ head: borrowing ResponseHead) -> Bool {
        for field in head.fields where field.name != .other && limits.contains(field.name) { return true }
        return false
    }
}
