/// Who took a lease, and for what: enough to show it, and to recognize the same request when it is sent again.
///
/// An object, because a lease is copied often and its owner never changes.
package final class LeaseOwner: Equatable, Sendable {
    /// The caller, whichever of its tokens it used.
    package let subject: String
    /// The name of the token, `organization/name`.
    package let token: String
    /// The id of the route.
    package let operation: String
    /// Equal for requests that ask for the same; `nil` if the request cannot be recognized.
    package let fingerprint: RequestFingerprint?

    package init(subject: String, token: String, operation: String, fingerprint: RequestFingerprint?) {
        self.subject = subject
        self.token = token
        self.operation = operation
        self.fingerprint = fingerprint
    }

    /// The name of the token, if both it and the viewer's token belong to the organization whose connection this is about. To others
    /// the name would show another organization, or that organization's tokens.
    func token(shownTo viewer: LeaseOwner?, about organization: String) -> String? {
        let prefix = "\(organization)/".utf8
        guard let viewer, viewer.token.utf8.starts(with: prefix), token.utf8.starts(with: prefix) else { return nil }
        return token
    }

    package static func == (one: LeaseOwner, other: LeaseOwner) -> Bool {
        one.subject == other.subject && one.token == other.token && one.operation == other.operation
            && one.fingerprint == other.fingerprint
    }

    /// Whether the same caller asks for the same again.
    func isResent(by other: LeaseOwner) -> Bool {
        guard let fingerprint, let later = other.fingerprint else { return false }
        return fingerprint == later && subject == other.subject && operation == other.operation
    }
}
