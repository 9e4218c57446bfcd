internal import Bytes

/// The field names that the gateway reads; every other name is `.other` and is only forwarded.
///
/// A name is packed into two words, or three if it is long, and compared with the few constants of its length: no table
/// of strings, no allocation. `FieldNameTests` checks the constants against the spellings.
package enum FieldName: UInt8, Sendable, CaseIterable {
    case other
    case host
    case contentLength
    case contentType
    case transferEncoding
    case connection
    case expect
    case authorization
    case apiKey
    case traceparent
    case tracestate
    case organizationID
    case idempotencyKey
    case upgrade
    case te
    case trailer
    case keepAlive
    case contentEncoding
    case accept
    case userAgent
    case via
    case forwarded
    case xForwardedFor
    case xForwardedProto
    case xForwardedHost
    case proxyConnection
    case proxyAuthorization
    case proxyAuthenticate
    case wwwAuthenticate
    case proxyStatus
    case retryAfter
    case date
    case location
    case server
    case setCookie
    case xTraceID
    case xPolicyVersion
    case rateLimit
    case rateLimitPolicy
    case rateLimitLimit
    case rateLimitRemaining
    case rateLimitReset
    case xRateLimitLimit
    case xRateLimitRemaining
    case xRateLimitReset

    /// The name on the wire, in lower case; empty for `.other`.
    package var spelling: String {
        switch self {
        case .other: ""
        case .host: "host"
        case .contentLength: "content-length"
        case .contentType: "content-type"
        case .transferEncoding: "transfer-encoding"
        case .connection: "connection"
        case .expect: "expect"
        case .authorization: "authorization"
        case .apiKey: "x-api-key"
        case .traceparent: "traceparent"
        case .tracestate: "tracestate"
        case .organizationID: "x-organization-id"
        case .idempotencyKey: "idempotency-key"
        case .upgrade: "upgrade"
        case .te: "te"
        case .trailer: "trailer"
        case .keepAlive: "keep-alive"
        case .contentEncoding: "content-encoding"
        case .accept: "accept"
        case .userAgent: "user-agent"
        case .via: "via"
        case .forwarded: "forwarded"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedProto: "x-forwarded-proto"
        case .xForwardedHost: "x-forwarded-host"
        case .proxyConnection: "proxy-connection"
        case .proxyAuthorization: "proxy-authorization"
        case .proxyAuthenticate: "proxy-authenticate"
        case .wwwAuthenticate: "www-authenticate"
        case .proxyStatus: "proxy-status"
        case .retryAfter: "retry-after"
        case .date: "date"
        case .location: "location"
        case .server: "server"
        case .setCookie: "set-cookie"
        case .xTraceID: "x-trace-id"
        case .xPolicyVersion: "x-policy-version"
        case .rateLimit: "ratelimit"
        case .rateLimitPolicy: "ratelimit-policy"
        case .rateLimitLimit: "ratelimit-limit"
        case .rateLimitRemaining: "ratelimit-remaining"
        case .rateLimitReset: "ratelimit-reset"
        case .xRateLimitLimit: "x-ratelimit-limit"
        case .xRateLimitRemaining: "x-ratelimit-remaining"
        case .xRateLimitReset: "x-ratelimit-reset"
        }
    }

    /// The name with that spelling, in any case; `.other` for an unknown one.
    package init(spelledAs text: String) {
        let bytes = Array(text.utf8)
        self = FieldName.recognize(bytes.span, 0..<bytes.count)
    }

    /// Costs less than `==`, which goes through the conformance.
    var isOther: Bool { if case .other = self { true } else { false } }

    /// Whether a name is a known one with `_` or another separator in place of `-`. Servers that turn names into variables
    /// do not distinguish them, so the gateway must not either.
    package static func isAlias(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.contains(where: { isSeparator(bytes[$0]) && bytes[$0] != UInt8(ascii: "-") }) else { return false }
        let plain = range.map { isSeparator(bytes[$0]) ? UInt8(ascii: "-") : bytes[$0] }
        return recognize(plain.span, 0..<plain.count) != .other
    }

    /// Whether a byte of a name is neither a letter nor a digit.
    @inline(__always)
    package static func isSeparator(_ byte: UInt8) -> Bool {
        !byte.isLetterOrDigit
    }

    /// Recognizes the name in `range`, in any case.
    static func recognize(_ bytes: Span<UInt8>, _ range: Range<Int>) -> FieldName {
        let packed = PackedName(bytes, range.lowerBound..<min(range.upperBound, range.lowerBound + 16))
        guard range.count > 16 else { return recognize(packed, length: range.count) }
        guard range.count <= 24 else { return .other }
        let last = bytes.foldedWord(at: range.lowerBound + 16, count: range.count - 16)
        return recognize(packed, last: last, length: range.count)
    }

    /// Recognizes a name at the front of sixteen bytes, with the colon that ends it, and gives its length.
    ///
    /// Other bytes that fold to those of a known name are controls, and are refused here. So a recognized name is a
    /// token and needs no other check.
    @inline(__always)
    static func recognizeStart(low: UInt64, high: UInt64) -> (FieldName, length: Int)? {
        var length = 8
        var (first, second) = (low | .spaces, UInt64(0))
        let colons = low.marks(.colon)
        if colons != 0 {
            length = colons.firstMark
            first = first.firstBytes(length)
            guard low.marksBelow(0x20) & UInt64.highBits.firstBytes(length) == 0 else { return nil }
        } else {
            let colons = high.marks(.colon)
            guard colons != 0 else { return nil }
            second = (high | .spaces).firstBytes(colons.firstMark)
            guard low.marksBelow(0x20) | high.marksBelow(0x20) & UInt64.highBits.firstBytes(colons.firstMark) == 0
            else { return nil }
            length += colons.firstMark
        }
        let name = recognize(PackedName(low: first, high: second), length: length)
        return name == .other ? nil : (name, length)
    }

    @inline(__always)
    private static func recognize(_ packed: PackedName, length: Int) -> FieldName {
        switch length {
        case 2:
            if packed.low == 0x0000_0000_0000_6574 { return .te }
        case 3:
            if packed.low == 0x0000_0000_0061_6976 { return .via }
        case 4:
            if packed.low == 0x0000_0000_7473_6F68 { return .host }
            if packed.low == 0x0000_0000_6574_6164 { return .date }
        case 6:
            if packed.low == 0x0000_7463_6570_7865 { return .expect }
            if packed.low == 0x0000_7470_6563_6361 { return .accept }
            if packed.low == 0x0000_7265_7672_6573 { return .server }
        case 7:
            if packed.low == 0x0065_6461_7267_7075 { return .upgrade }
            if packed.low == 0x0072_656C_6961_7274 { return .trailer }
        case 8:
            if packed.low == 0x6E6F_6974_6163_6F6C { return .location }
        case 9:
            if packed.low == 0x656B_2D69_7061_2D78, packed.high == 0x0000_0000_0000_0079 { return .apiKey }
            if packed.low == 0x6564_7261_7772_6F66, packed.high == 0x0000_0000_0000_0064 { return .forwarded }
            if packed.low == 0x696D_696C_6574_6172, packed.high == 0x0000_0000_0000_0074 { return .rateLimit }
        case 10:
            if packed.low == 0x6974_6365_6E6E_6F63, packed.high == 0x0000_0000_0000_6E6F { return .connection }
            if packed.low == 0x6174_7365_6361_7274, packed.high == 0x0000_0000_0000_6574 { return .tracestate }
            if packed.low == 0x696C_612D_7065_656B, packed.high == 0x0000_0000_0000_6576 { return .keepAlive }
            if packed.low == 0x6567_612D_7265_7375, packed.high == 0x0000_0000_0000_746E { return .userAgent }
            if packed.low == 0x6B6F_6F63_2D74_6573, packed.high == 0x0000_0000_0000_6569 { return .setCookie }
            if packed.low == 0x2D65_6361_7274_2D78, packed.high == 0x0000_0000_0000_6469 { return .xTraceID }
        case 11:
            if packed.low == 0x7261_7065_6361_7274, packed.high == 0x0000_0000_0074_6E65 { return .traceparent }
            if packed.low == 0x6661_2D79_7274_6572, packed.high == 0x0000_0000_0072_6574 { return .retryAfter }
        case 12:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x0000_0000_6570_7974 { return .contentType }
            if packed.low == 0x7473_2D79_786F_7270, packed.high == 0x0000_0000_7375_7461 { return .proxyStatus }
        case 13:
            if packed.low == 0x7A69_726F_6874_7561, packed.high == 0x0000_006E_6F69_7461 { return .authorization }
        case 14:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x0000_6874_676E_656C { return .contentLength }
        case 15:
            if packed.low == 0x7261_7772_6F66_2D78, packed.high == 0x0072_6F66_2D64_6564 { return .xForwardedFor }
            if packed.low == 0x696D_696C_6574_6172, packed.high == 0x0074_696D_696C_2D74 { return .rateLimitLimit }
            if packed.low == 0x696D_696C_6574_6172, packed.high == 0x0074_6573_6572_2D74 { return .rateLimitReset }
            if packed.low == 0x6574_6F70_6D65_6469, packed.high == 0x0079_656B_2D79_636E { return .idempotencyKey }
        case 16:
            if packed.low == 0x2D74_6E65_746E_6F63, packed.high == 0x676E_6964_6F63_6E65 { return .contentEncoding }
            if packed.low == 0x7261_7772_6F66_2D78, packed.high == 0x7473_6F68_2D64_6564 { return .xForwardedHost }
            if packed.low == 0x6F63_2D79_786F_7270, packed.high == 0x6E6F_6974_6365_6E6E { return .proxyConnection }
            if packed.low == 0x6874_7561_2D77_7777, packed.high == 0x6574_6163_6974_6E65 { return .wwwAuthenticate }
            if packed.low == 0x7963_696C_6F70_2D78, packed.high == 0x6E6F_6973_7265_762D { return .xPolicyVersion }
            if packed.low == 0x696D_696C_6574_6172, packed.high == 0x7963_696C_6F70_2D74 { return .rateLimitPolicy }
        default: break
        }
        return .other
    }

    /// Recognizes a name that does not fit into two words; `last` is the rest of it.
    private static func recognize(_ packed: PackedName, last: UInt64, length: Int) -> FieldName {
        switch length {
        case 17:
            if packed.low == 0x7265_6673_6E61_7274, packed.high == 0x6E69_646F_636E_652D, last == 0x67 {
                return .transferEncoding
            }
            if packed.low == 0x696E_6167_726F_2D78, packed.high == 0x692D_6E6F_6974_617A, last == 0x64 {
                return .organizationID
            }
            if packed.low == 0x7261_7772_6F66_2D78, packed.high == 0x746F_7270_2D64_6564, last == 0x6F {
                return .xForwardedProto
            }
            if packed.low == 0x696C_6574_6172_2D78, packed.high == 0x696D_696C_2D74_696D, last == 0x74 {
                return .xRateLimitLimit
            }
            if packed.low == 0x696C_6574_6172_2D78, packed.high == 0x6573_6572_2D74_696D, last == 0x74 {
                return .xRateLimitReset
            }
        case 18:
            if packed.low == 0x7561_2D79_786F_7270, packed.high == 0x6163_6974_6E65_6874, last == 0x6574 {
                return .proxyAuthenticate
            }
        case 19:
            if packed.low == 0x7561_2D79_786F_7270, packed.high == 0x7461_7A69_726F_6874, last == 0x006E_6F69 {
                return .proxyAuthorization
            }
            if packed.low == 0x696D_696C_6574_6172, packed.high == 0x6E69_616D_6572_2D74, last == 0x0067_6E69 {
                return .rateLimitRemaining
            }
        case 21:
            if packed.low == 0x696C_6574_6172_2D78, packed.high == 0x616D_6572_2D74_696D, last == 0x0067_6E69_6E69 {
                return .xRateLimitRemaining
            }
        default: break
        }
        return .other
    }
}
