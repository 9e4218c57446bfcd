internal import Bytes

// Names of an upstream's fields as text, in any case.
extension String {
    /// Whether this equals `name` without regard to case. `name` must be lower case.
    func spells(_ name: String) -> Bool {
        let (own, other) = (utf8, name.utf8)
        return own.count == other.count && zip(own, other).allSatisfy { $0 == $1 || $0.lowercased == $1 }
    }

    /// Whether this begins with `prefix` without regard to case. `prefix` must be lower case.
    func begins(with prefix: String) -> Bool {
        let (own, other) = (utf8, prefix.utf8)
        return own.count >= other.count && zip(own, other).allSatisfy { $0 == $1 || $0.lowercased == $1 }
    }
}
