internal import Policy
package import Transport

extension Grant {
    /// Whose share its request counts against; `nil` where nobody had to be known.
    var owner: ShareOwner? {
        guard let principal, let organization else { return nil }
        return ShareOwner(organization: organization.key, token: principal.key)
    }

    /// The same, or the client's address where nobody had to be known.
    func owner(from address: String) -> ShareOwner { owner ?? ShareOwner(address: address) }
}

extension ShareOwner {
    /// An organization of which no token is known.
    package init(organization: String) { self.init(organization: stableKey(of: organization), token: 0) }

    /// Somebody of whom only the address is known: one of those that share as the organization 0.
    init(address: String) { self.init(organization: 0, token: stableKey(of: address)) }
}
