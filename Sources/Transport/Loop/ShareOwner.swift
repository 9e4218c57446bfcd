/// The owner of a share, where many share something. It is a token of an organization, both as numbers.
///
/// For an unknown caller the organization is 0, and the token is the client's address. So all unknown callers together can
/// have as much as one organization. There is one exception: for the length of a turn on a loop, each address counts as an
/// organization of its own (``TimeSlices``).
package struct ShareOwner: Hashable, Sendable {
    package let organization: UInt64
    package let token: UInt64

    package init(organization: UInt64, token: UInt64) {
        self.organization = organization
        self.token = token
    }
}
