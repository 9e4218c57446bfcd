/// The subject of a lease: one connection of one organization. `connection` is in its canonical spelling.
package struct LeaseKey: Hashable, Sendable {
    package let organization: String
    package let connection: String

    package init(organization: String, connection: String) {
        self.organization = organization
        self.connection = connection
    }
}
