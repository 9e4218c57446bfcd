internal import Bytes

// The names of an upstream's fields, where they are text: as they came, in any case.
extension String {
    /// Whether this is `name`, which must be lower case, in any case.
    func spells(_ name: String) -> Bool {
        let (own, other) = (utf8, name.utf8)
        return own.count == other.count && zip(own, other).allSatisfy { $0 == $1 || $0.lowercased == $1 }
    }

    /// Whether this begins with `prefix`, which must be lower case, in any case.
    func begins(with prefix: String) -> Bool {
        let (own, other) = (utf8, prefix.utf8)
        return own.count >= other.count && zip(own, other).allSatisfy { $0 == $1 || $0.lowercased == $1 }
    }
}
