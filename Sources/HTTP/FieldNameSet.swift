/// A set of well-known field names, held as bits: a question to it is a shift.
package struct FieldNameSet: Equatable, Sendable, ExpressibleByArrayLiteral {
    private var bits: UInt64 = 0

    package init(arrayLiteral names: FieldName...) {
        for name in names { insert(name) }
    }

    package mutating func insert(_ name: FieldName) {
        precondition(name != .other, "the names that are not known are no single name")
        bits |= 1 << UInt64(name.rawValue)
    }

    package func union(_ other: FieldNameSet) -> FieldNameSet {
        var both = self
        both.bits |= other.bits
        return both
    }

    package func contains(_ name: FieldName) -> Bool { bits >> UInt64(name.rawValue) & 1 == 1 }
}
