internal import Bytes
internal import HTTP
internal import Transport

/// Which of the upstream's fields are not relayed.
enum RelayedFields {
    /// Written by the gateway itself, or meant for it alone: it is the proxy that an upstream would want a credential of (RFC 9110,
    /// section 11.7.1).
    static let dropped: FieldNameSet = [.xTraceID, .xPolicyVersion, .proxyAuthenticate]
    static let droppedWithLength = dropped.union([.contentLength])

    /// The same for a name that is not well known.
    static func isDropped(_ bytes: Span<UInt8>, _ name: Range<Int>, isMapped: Bool) -> Bool {
        bytes.spells("proxy-authentication-info", in: name) || (isMapped && UpstreamLocations.Field(bytes, name) != nil)
    }

    /// What an answer tells about its endpoint. With 502, 503 and 504 a layer in front of the service may say that the service
    /// is not there; all others are responses of the service. So is a 503 with `Retry-After`: it may be meant for this caller only.
    static func outcome(of upstream: UpstreamConnection, for organization: UInt64) -> Endpoint.Outcome {
        switch upstream.status {
        case 502, 504: .refusing(status: upstream.status, organization: organization)
        case 503 where upstream.head.retryAfter == nil: .refusing(status: 503, organization: organization)
        default: .good(organization: organization)
        }
    }

    static let limits: FieldNameSet = [
        .rateLimit, .rateLimitPolicy, .rateLimitLimit, .rateLimitRemaining, .rateLimitReset, .xRateLimitLimit,
        .xRateLimitRemaining, .xRateLimitReset,
    ]
}
