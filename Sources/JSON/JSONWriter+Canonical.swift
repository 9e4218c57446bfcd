extension JSONWriter {
    /// Writes a value in the one form that all its spellings share: members sorted by name, no spaces, one notation for each
    /// number and string.
    package mutating func canonical(_ value: JSONValue) {
        switch value.kind {
        case .null: null()
        case .bool(let flag): bool(flag)
        case .number(let written):
            if let whole = written.integer { integer(whole) } else { number(written.double) }
        case .string(let text): string(text)
        case .array(let elements):
            beginArray()
            for element in elements { canonical(element) }
            endArray()
        case .object(let members):
            beginObject()
            // By their bytes: Unicode's order takes minutes for a client's megabyte of combining marks.
            for member in members.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
                name(member.name)
                canonical(member.value)
            }
            endObject()
        }
    }
}
