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
        isGatewaysWord(bytes, name) || bytes.spells("proxy-authentication-info", in: name)
            || (isMapped && UpstreamLocations.Field(bytes, name) != nil)
    }

    /// A quick look at a name without a ``FieldName``: whether it is worth asking ``isDropped(_:_:isMapped:)``.
    static func mayBeDropped(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        switch name.count {
        case 19, 25: true
        // "x-g".
        case 11...:
            bytes[name.lowerBound] | 0x20 == UInt8(ascii: "x") && bytes[name.lowerBound + 2] | 0x20 == UInt8(ascii: "g")
        default: false
        }
    }

    /// Whether only the gateway can say what the field says: which of its answers a response is.
    private static func isGatewaysWord(_ bytes: Span<UInt8>, _ name: Range<Int>) -> Bool {
        switch bytes[name.lowerBound] | 0x20 {
        case UInt8(ascii: "x"):
            name.count > gatewayPrefix.utf8.count
                && bytes.spells(gatewayPrefix, in: name.prefix(gatewayPrefix.utf8.count))
        case UInt8(ascii: "i"): bytes.spells("idempotent-replayed", in: name)
        default: false
        }
    }

    private static let gatewayPrefix = "x-gateway-"

    static let limits: FieldNameSet = [
        .rateLimit, .rateLimitPolicy, .rateLimitLimit, .rateLimitRemaining, .rateLimitReset, .xRateLimitLimit,
        .xRateLimitRemaining, .xRateLimitReset,
    ]
}
