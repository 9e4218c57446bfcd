internal import Policy
package import Transport

extension Grant {
    /// Whose share its request uses up; `nil` on a public route.
    var owner: ShareOwner? {
        guard let principal, let organization else { return nil }
        return ShareOwner(organization: organization.key, token: principal.key)
    }

    /// The same, with the client's address on a public route.
    func owner(from address: String) -> ShareOwner { owner ?? ShareOwner(address: address) }
}

extension ShareOwner {
    /// An organization as a whole, without a token.
    package init(organization: String) { self.init(organization: processKey(of: organization), token: 0) }

    /// A caller of whom only the address is known. All of them share as the organization 0.
    init(address: String) { self.init(organization: 0, token: processKey(of: address)) }
}
