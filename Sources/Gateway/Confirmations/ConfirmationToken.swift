internal import Bytes

/// What a client sends back to confirm a request: text that only this process can have made, for one request.
struct ConfirmationToken: Equatable {
    /// Tells the processes of gateways apart.
    var issuer: UInt64
    /// The end of its life, by the monotonic clock of the issuer, in nanoseconds.
    var expiresAt: UInt64
    /// Random, so that each token can be used once.
    var number: UInt64
    /// Authenticates the rest together with the request.
    var code: (UInt64, UInt64)

    init(issuer: UInt64, expiresAt: UInt64, number: UInt64, code: (UInt64, UInt64)) {
        self.issuer = issuer
        self.expiresAt = expiresAt
        self.number = number
        self.code = code
    }

    /// Reads 80 hexadecimal digits; `nil` for any other text.
    init?(_ text: Span<UInt8>) {
        guard text.count == 80 else { return nil }
        guard let issuer = UInt64(hex: text.extracting(0..<16)), let end = UInt64(hex: text.extracting(16..<32)),
            let number = UInt64(hex: text.extracting(32..<48)), let first = UInt64(hex: text.extracting(48..<64)),
            let second = UInt64(hex: text.extracting(64..<80))
        else { return nil }
        self.init(issuer: issuer, expiresAt: end, number: number, code: (first, second))
    }

    var text: String {
        var bytes: [UInt8] = []
        for word in [issuer, expiresAt, number, code.0, code.1] { bytes.append(hex: word) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func == (one: ConfirmationToken, other: ConfirmationToken) -> Bool {
        // Without a branch, so that the time does not reveal where two codes differ.
        let difference =
            (one.issuer ^ other.issuer) | (one.expiresAt ^ other.expiresAt) | (one.number ^ other.number)
            | (one.code.0 ^ other.code.0) | (one.code.1 ^ other.code.1)
        return difference == 0
    }
}

/// Why a confirmation does not count.
package enum ConfirmationError: String, Error, CaseIterable, Sendable {
    case malformed
    case expired
    /// It has begun work before.
    case used
    /// It was issued for another request: another caller, organization, route, connection or body.
    case anotherRequest = "another_request"
    /// It was issued by another gateway, or before a restart.
    case anotherGateway = "another_gateway"

    /// The reason in words, for the message.
    package var explanation: String {
        switch self {
        case .malformed: "it is not a confirmation"
        case .expired: "it has expired"
        case .used: "it has been used"
        case .anotherRequest: "it was issued for another request"
        case .anotherGateway: "it was issued by another gateway, or before a restart"
        }
    }
}
