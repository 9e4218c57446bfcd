internal import Bytes

/// The `WWW-Authenticate` of an answer (RFC 6750, section 3).
package enum BearerChallenge: Equatable, Sendable {
    /// No credential was given: no `error`, so that nothing is told to who has not tried.
    case missing
    case invalidToken
    /// The required scopes, separated by spaces.
    case insufficientScope(String)

    /// Appends the field value. `realm` is always there: the scheme needs at least one parameter.
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
    /// Appends text as a quoted-string (RFC 9110, section 5.6.4); what may not stand in one becomes `?`.
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
