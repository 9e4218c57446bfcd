internal import JSON

extension Confirmation {
    /// `"two-step"`, or `{ when: { NAME: true, NAME: "WORD" } }`.
    init?(_ fields: ObjectReader) {
        guard let value = fields["confirm"] else { return nil }
        guard value.object != nil else {
            guard value.string != nil else {
                fields.mismatch("confirm", value, "\"two-step\" or { when: { NAME: VALUE } }")
                return nil
            }
            guard fields.word("confirm", of: [("two-step", true)]) != nil else { return nil }
            self.init(conditions: [])
            return
        }
        guard let inner = fields.object("confirm", of: "\"confirm\" of \(fields.owner)", shape: .routeConfirmation)
        else { return nil }
        inner.require("when", at: fields.span(of: value))
        guard let when = inner["when"] else { return nil }
        guard let members = when.object else {
            inner.mismatch("when", when, "an object")
            return nil
        }
        if members.isEmpty {
            inner.diagnostics.error(
                .emptyList, "\"when\" of \(inner.owner) must not be empty", at: inner.span(of: when),
                help: ["name a member of the body, or write confirm: \"two-step\" for every request"])
        }
        var conditions: [Condition] = []
        for member in members {
            if let value = Self.value(of: member, inner) {
                conditions.append(Condition(name: member.name, value: value))
            }
        }
        self.init(conditions: conditions)
    }

    private static func value(of member: JSONMember, _ fields: ObjectReader) -> Value? {
        if member.value.bool == true { return .flag }
        if let word = member.value.string { return .words([word]) }
        let words = member.value.array?.compactMap(\.string) ?? []
        if !words.isEmpty, words.count == member.value.array?.count { return .words(words) }
        fields.diagnostics.error(
            .badValue, "\"when.\(member.name)\" of \(fields.owner) cannot be \(member.value.shortName)",
            at: fields.span(of: member.value),
            help: ["write true, a string or a list of strings: what the member of the body must have"])
        return nil
    }
}
