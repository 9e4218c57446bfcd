/// A set of well-known field names, stored as bits: a lookup is a shift.
package struct FieldNameSet: Equatable, Sendable, ExpressibleByArrayLiteral {
    private var bits: UInt64 = 0

    /// The set of these names.
    package init(arrayLiteral names: FieldName...) {
        for name in names { insert(name) }
    }

    /// Adds a name; `.other` is not allowed.
    package mutating func insert(_ name: FieldName) {
        precondition(name != .other, "the names that are not known are no single name")
        bits |= 1 << UInt64(name.rawValue)
    }

    /// The names that are in one of the two or in both.
    package func union(_ other: FieldNameSet) -> FieldNameSet {
        var both = self
        both.bits |= other.bits
        return both
    }

    /// Whether the name is in the set; `.other` never is.
    package func contains(_ name: FieldName) -> Bool { bits >> UInt64(name.rawValue) & 1 == 1 }
}
