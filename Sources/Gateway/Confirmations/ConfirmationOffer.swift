/// The first answer to a request that must be confirmed: what it would erase, and what to send back.
package struct ConfirmationOffer: Equatable, Sendable {
    /// Text for ``field``.
    package let token: String
    /// Milliseconds since the epoch.
    package let expiresAt: Int64
    package let expiresInSeconds: Int
    package let operation: String
    package let connection: String
    /// Whether the body demands that records that were synced before are removed; `nil` if it says nothing.
    package let removesRecords: Bool?

    package init(
        token: String, expiresAt: Int64, expiresInSeconds: Int, operation: String, connection: String,
        removesRecords: Bool?
    ) {
        self.token = token
        self.expiresAt = expiresAt
        self.expiresInSeconds = expiresInSeconds
        self.operation = operation
        self.connection = connection
        self.removesRecords = removesRecords
    }

    /// The field in which a client returns the token. It is never forwarded, as no `X-Gateway-` field of a client is.
    package static let field = "X-Gateway-Confirmation"
}
