internal import JSON

/// What a request of a route takes from its limits, as written.
struct CostDocument {
    /// From each limit that `byLimit` does not name.
    private(set) var general: Located<Int>?
    /// From single limits.
    private(set) var byLimit: [(limit: Located<String>, cost: Located<Int>)] = []

    private static let range: ClosedRange<Int64> = 1...1_000_000

    /// A number, or an object from the names of limits to numbers.
    init?(_ fields: ObjectReader) {
        guard let value = fields["cost"] else { return nil }
        guard let members = value.object else {
            general = fields.integer("cost", in: Self.range)
            return
        }
        for member in members {
            guard let cost = fields.integer("cost.\(member.name)", member.value, in: Self.range) else { continue }
            let name = Located(
                value: member.name, span: SourceSpan(file: fields.span.file, range: member.nameRange))
            byLimit.append((name, cost))
        }
    }

    /// The units that a request takes from the limit.
    func cost(on limit: String) -> Located<Int>? { byLimit.first { $0.limit.value == limit }?.cost ?? general }
}
