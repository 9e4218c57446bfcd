internal import JSON

extension PolicyFiles {
    /// A form that is equal for equal policy sets: sections merged, names sorted, no comments, one spelling for each
    /// number and string.
    var canonicalForm: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for section in Self.sections.sorted() {
            writer.name(section)
            writer.beginObject()
            let entries = self[section]
            var start = entries.startIndex
            while start < entries.endIndex {
                let name = entries[start].name
                let end = entries[start...].firstIndex { $0.name != name } ?? entries.endIndex
                writer.name(name)
                if end - start == 1 {
                    let value = entries[start].value
                    if section == "organizations" {
                        writer.canonicalOrganization(value)
                    } else {
                        writer.canonical(value)
                    }
                } else {
                    writer.canonicalOrganization(Self.merge(entries[start..<end].map(\.value)))
                }
                start = end
            }
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes
    }

    /// Merges the parts of an organization: tokens and overrides are joined; any other field occurs once.
    private static func merge(_ parts: [JSONValue]) -> JSONValue {
        var plain: [JSONMember] = []
        var tokens: [JSONMember] = []
        var overrides: [JSONValue] = []
        for member in parts.flatMap({ $0.object ?? [] }) {
            switch member.name {
            case "tokens": tokens += member.value.object ?? []
            case "overrides": overrides += member.value.array ?? []
            default: plain.append(member)
            }
        }
        func member(_ name: String, _ kind: JSONValue.Kind) -> JSONMember {
            let range = SourceRange(lowerBound: 0, upperBound: 0)
            return JSONMember(name: name, nameRange: range, value: JSONValue(kind: kind, range: range))
        }
        if !tokens.isEmpty { plain.append(member("tokens", .object(tokens))) }
        if !overrides.isEmpty { plain.append(member("overrides", .array(overrides))) }
        return JSONValue(kind: .object(plain), range: SourceRange(lowerBound: 0, upperBound: 0))
    }
}

extension JSONWriter {
    /// The canonical form of an organization, without its empty lists: they mean the same as none.
    fileprivate mutating func canonicalOrganization(_ value: JSONValue) {
        guard let members = value.object else { return canonical(value) }
        beginObject()
        for member in members.sorted(by: { $0.name < $1.name }) {
            if member.name == "overrides" {
                overrides(member.value)
            } else if !member.value.isEmptyContainer {
                name(member.name)
                canonical(member.value)
            }
        }
        endObject()
    }

    /// Overrides are sorted by their bytes: the order of the files must not matter.
    private mutating func overrides(_ value: JSONValue) {
        let forms = (value.array ?? []).map { element in
            var writer = JSONWriter()
            writer.canonical(element)
            return writer.bytes
        }
        guard !forms.isEmpty else { return }
        name("overrides")
        beginArray()
        for form in forms.sorted(by: { $0.lexicographicallyPrecedes($1) }) { raw(form.span) }
        endArray()
    }
}

extension JSONValue {
    fileprivate var isEmptyContainer: Bool { array?.isEmpty ?? object?.isEmpty ?? false }
}
