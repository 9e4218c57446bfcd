internal import Bytes
internal import HTTP

/// The constant parts of a forwarded head, and the rules for client fields that are not forwarded.
enum ForwardedFields {
    static let traceparent = Array("traceparent: ".utf8)
    static let leaseGeneration = Array("X-Gateway-Lease-Generation: ".utf8)
    static let organization = Array("X-Gateway-Organization: ".utf8)

    /// This process's name in `Via`. A request that arrives with this name is in a loop (RFC 9110, section 7.6.3).
    static let pseudonym: String = {
        var random = FastRandom()
        var name = Array("connector-gateway-".utf8)
        name.append(hex: random.next(), digits: 8)
        return String(decoding: name, as: UTF8.self)
    }()
    static let via = Array("Via: 1.1 \(pseudonym)\r\n".utf8)

    /// Fields that the gateway writes itself, or that concern only the client's connection. The gateway answers
    /// `Expect` itself.
    static let alwaysDropped: FieldNameSet = [
        .host, .contentLength, .expect, .traceparent, .tracestate, .trailer, .xForwardedFor, .forwarded,
        .proxyAuthorization,
    ]
    static let droppedFromStrangers = alwaysDropped.union([.xForwardedProto, .xForwardedHost])
    static let credentials: FieldNameSet = [.authorization, .apiKey]

    /// Whether the request has passed this process before: its pseudonym is in `Via`.
    static func isLoop(_ head: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        for field in head.fields {
            // A pattern: `==` of another module's type is a call.
            guard case .via = field.name, field.value.count >= pseudonym.utf8.count else { continue }
            if bytes.text(field.value).contains(pseudonym) { return true }
        }
        return false
    }
}
