internal import Bytes
internal import HTTP

/// One member of `Proxy-Status` (RFC 9209). It shows which layer is at fault.
///
/// It has neither `details` nor `next-hop`, because they would reveal to clients what is behind the gateway.
package struct ProxyStatus: Equatable, Sendable {
    /// The proxy that adds this member (RFC 9209, section 2).
    package var name: String
    /// An error type of RFC 9209, section 2.3, if this gateway failed or could not reach the next hop.
    package var error: String?
    /// The upstream's status, if its response was replaced.
    package var receivedStatus: Int?

    package static let gatewayName = "connector-gateway"

    package init(name: String = gatewayName, error: String? = nil, receivedStatus: Int? = nil) {
        self.name = name
        self.error = error
        self.receivedStatus = receivedStatus
    }

    /// Appends the member as a structured field (RFC 9651, section 4.1).
    package func append(to buffer: inout [UInt8]) {
        if name.isStructuredToken { buffer.append(text: name) } else { buffer.append(quoted: name) }
        if let error {
            buffer.append(text: ";error=")
            if error.isStructuredToken { buffer.append(text: error) } else { buffer.append(quoted: error) }
        }
        if let receivedStatus {
            buffer.append(text: ";received-status=")
            buffer.append(decimal: receivedStatus)
        }
    }

    /// The member as text.
    package var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension String {
    /// Whether the string is a token of structured fields (RFC 9651, section 3.3.4).
    fileprivate var isStructuredToken: Bool {
        guard let first = utf8.first, first.isLetter || first == UInt8(ascii: "*") else { return false }
        return utf8.allSatisfy { $0.isTokenByte || $0 == .colon || $0 == .slash }
    }
}
