/// The subject of a lease: one connection of one organization. `connection` is in its canonical spelling.
package struct LeaseKey: Hashable, Sendable {
    package let organization: String
    package let connection: String
    /// Computed once, because a request looks its key up many times. The seed is the process's own, so nobody can search for two
    /// connections with the same hash.
    private let digest: Int

    package init(organization: String, connection: String) {
        self.organization = organization
        self.connection = connection
        var hasher = Hasher()
        hasher.combine(organization)
        hasher.combine(connection)
        digest = hasher.finalize()
    }

    package static func == (one: LeaseKey, other: LeaseKey) -> Bool {
        one.digest == other.digest && one.connection == other.connection && one.organization == other.organization
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    /// Which of `count` parts of a table has the key; `count` is a power of two.
    func part(of count: Int) -> Int { digest & (count - 1) }
}
