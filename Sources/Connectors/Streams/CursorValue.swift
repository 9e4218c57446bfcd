internal import JSON

/// How far a stream has been read: the greatest value of its cursor field in the destination.
///
/// Integers are ordered by value, other texts by their bytes; every integer is less than every other text. A text that
/// looks like an integer counts as one, because a CSV file has only texts. Dates are in the right order if all have one
/// format, as in `2024-06-15T10:30:00Z`.
enum CursorValue: Hashable, Sendable {
    case integer(Int64)
    case text(String)

    /// The value of a cursor field; `nil` for values without an order.
    init?(_ value: JSONValue) {
        switch value.kind {
        case .number(let number):
            guard let integer = number.integer else { return nil }
            self = .integer(integer)
        case .string(let text): self = .text(text)
        default: return nil
        }
    }

    private var asInteger: Int64? {
        switch self {
        case .integer(let value): value
        case .text(let text): Int64(text)
        }
    }
}

extension CursorValue: Comparable {
    static func < (left: CursorValue, right: CursorValue) -> Bool {
        if case .text(let left) = left, case .text(let right) = right, let first = left.utf8.first, first > 0x39 {
            return left.utf8.lexicographicallyPrecedes(right.utf8)
        }
        switch (left.asInteger, right.asInteger) {
        case (let left?, let right?): return left < right
        case (.some, nil): return true
        case (nil, .some): return false
        case (nil, nil):
            guard case .text(let left) = left, case .text(let right) = right else { return false }
            return left.utf8.lexicographicallyPrecedes(right.utf8)
        }
    }
}
