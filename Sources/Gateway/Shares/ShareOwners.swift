internal import Policy
package import Transport

extension Grant {
    /// The owner whose share the request uses; `nil` on a public route.
    var owner: ShareOwner? {
        guard let principal, let organization else { return nil }
        return ShareOwner(organization: organization.key, token: principal.key)
    }

    /// The owner whose share the request uses; on a public route that is the client's address.
    func owner(from address: String) -> ShareOwner { owner ?? ShareOwner(address: address) }
}

extension ShareOwner {
    /// An organization as a whole, without a token.
    package init(organization: String) { self.init(organization: processKey(of: organization), token: 0) }

    /// A caller that is known only by its address. All such callers share as the organization 0.
    init(address: String) { self.init(organization: 0, token: processKey(of: address)) }
}
