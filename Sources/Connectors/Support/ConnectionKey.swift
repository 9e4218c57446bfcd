internal import Bytes

/// Identifies a connection; ids are unique only within an organization.
struct ConnectionKey: Hashable, Sendable {
    let organization: String
    /// The id in the definition; a UUID in lower case.
    let id: String

    init(organization: String, id: String) {
        self.organization = organization
        self.id = id.isUUID ? id.lowercased() : id
    }
}

extension String {
    /// Whether this is a UUID in its usual 36 characters.
    var isUUID: Bool {
        guard utf8.count == 36 else { return false }
        for (index, byte) in utf8.enumerated() {
            switch index {
            case 8, 13, 18, 23: guard byte == .hyphen else { return false }
            default:
                guard byte.isHexDigit else { return false }
            }
        }
        return true
    }
}
