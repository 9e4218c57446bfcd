/// For whom and what a request counts: the keys of organization, token and operation in the policy, 0 where it has none, and
/// the canonical id of the connection, empty where none is known.
package struct BucketSubject {
    package var organization: UInt64 = 0
    package var connection = ""
    package var token: UInt64 = 0
    package var operation: UInt64 = 0

    package init(organization: UInt64 = 0, connection: String = "", token: UInt64 = 0, operation: UInt64 = 0) {
        self.organization = organization
        self.connection = connection
        self.token = token
        self.operation = operation
    }
}
