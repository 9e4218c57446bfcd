internal import Bytes
internal import HTTP
internal import Transport

/// The fields of an upstream's response that are not relayed.
enum RelayedFields {
    /// Fields that the gateway writes itself, and fields for the gateway alone: an upstream that requests a proxy's
    /// credential means the gateway (RFC 9110, section 11.7.1).
    static let dropped: FieldNameSet = [.xTraceID, .xPolicyVersion, .proxyAuthenticate]
    static let droppedWithLength = dropped.union([.contentLength])

    /// Whether a field whose name has no ``FieldName`` is dropped.
    static func isDropped(_ bytes: Span<UInt8>, _ name: Range<Int>, isMapped: Bool) -> Bool {
        bytes.spells("proxy-authentication-info", in: name) || (isMapped && UpstreamLocations.Field(bytes, name) != nil)
    }

    /// What a response shows about its endpoint. 502, 503 and 504 can come from a layer in front of the service and
    /// mean that the service is not available. All others come from the service, and so does a 503 with `Retry-After`:
    /// it may concern only this caller.
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
