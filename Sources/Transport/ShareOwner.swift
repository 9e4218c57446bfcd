/// Whose share of what many share something counts against: a token of an organization, both as numbers.
///
/// Before either is known the client's address stands for it. Whoever gives out the shares decides which of the two it
/// replaces: an address that is an organization of its own weighs as much as one, an address that is a token of the
/// organization 0 shares with all that are unknown.
package struct ShareOwner: Hashable, Sendable {
    package let organization: UInt64
    package let token: UInt64

    package init(organization: UInt64, token: UInt64) {
        self.organization = organization
        self.token = token
    }
}
