/// Names one connection; ids are unique within an organization only.
struct ConnectionKey: Hashable, Sendable {
    let organization: String
    /// As in the definition, except that a UUID is in lower case.
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
            case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return false }
            default:
                guard (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte | 0x20) else { return false }
            }
        }
        return true
    }
}
