/// The subject of the limits of one request: the policies' keys of organization, token and operation (0 if there is
/// none), and the canonical id of the connection (empty if unknown).
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
