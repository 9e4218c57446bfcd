internal import Bytes

/// The `WWW-Authenticate` of an error response (RFC 6750, section 3).
package enum BearerChallenge: Equatable, Sendable {
    /// No credential was sent. The challenge has no `error`, because the client has not tried one (section 3.1).
    case missing
    case invalidToken
    /// The required scopes, separated by spaces.
    case insufficientScope(String)

    /// Appends the field value. It always has `realm`, because the scheme needs at least one parameter.
    package func append(realm: String, to buffer: inout [UInt8]) {
        buffer.append(text: "Bearer realm=")
        buffer.append(quoted: realm)
        switch self {
        case .missing: break
        case .invalidToken: buffer.append(text: ", error=\"invalid_token\"")
        case .insufficientScope(let scope):
            buffer.append(text: ", error=\"insufficient_scope\", scope=")
            buffer.append(quoted: scope)
        }
    }
}

extension [UInt8] {
    /// Appends text as a quoted-string (RFC 9110, section 5.6.4). Characters that cannot be in one become `?`.
    mutating func append(quoted text: String) {
        append(UInt8(ascii: "\""))
        if text.utf8.span.isPlainText {
            append(contentsOf: text.utf8)
            return append(UInt8(ascii: "\""))
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case 0x20...0x7E: append(byte)
            default: append(UInt8(ascii: "?"))
            }
        }
        append(UInt8(ascii: "\""))
    }
}
