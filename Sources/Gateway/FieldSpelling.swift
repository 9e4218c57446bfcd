internal import HTTP
internal import JSON

/// How lenient readers find a field by its name.
///
/// Some compare names without case, some leave out `_` and `-`, some turn other signs into `_`, and some end a name at `[` or
/// at a zero byte. What any of them may take for a field must be that field.
enum FieldSpelling {
    /// Whether some reader takes `name` for one of `known`, and it is none of them.
    static func isAnother(of known: [String], _ name: String) -> Bool {
        // A name much longer than those that matter is none of them, however it is read; nobody pays for looking at it.
        guard name.utf8.count <= longest, !known.contains(where: { $0.hasSameBytes(as: name) }) else { return false }
        return isRead(Array(name.utf8), as: known)
    }

    /// Whether a query has a parameter that some reader takes for one of `known`.
    static func isNamed(_ known: [String], inQuery query: Span<UInt8>) -> Bool {
        var name: [UInt8] = []
        var isInName = true
        var index = 0
        while index < query.count {
            let byte = query[index]
            index += 1
            switch byte {
            // Some servers still separate at ";".
            case UInt8(ascii: "&"), UInt8(ascii: ";"):
                if isRead(name, as: known) { return true }
                name.removeAll(keepingCapacity: true)
                isInName = true
            case UInt8(ascii: "="): isInName = false
            case _ where !isInName || name.count > longest: break
            case UInt8(ascii: "%"):
                if index + 1 < query.count, let high = query[index].hexValue, let low = query[index + 1].hexValue {
                    name.append(high << 4 | low)
                    index += 2
                } else {
                    name.append(byte)
                }
            default: name.append(byte)
            }
        }
        return isRead(name, as: known)
    }

    private static let longest = 256

    private static func isRead(_ name: [UInt8], as known: [String]) -> Bool {
        let whole = folded(name[...])
        let start = folded(name.prefix { $0 != UInt8(ascii: "[") && $0 != 0 })
        return known.contains { known in
            let known = folded(Array(known.utf8)[...])
            return !known.isEmpty && (known == whole || known == start)
        }
    }

    /// Letters and digits only, in lower case, with the two letters beyond ASCII that fold to one of it.
    private static func folded(_ name: ArraySlice<UInt8>) -> [UInt8] {
        var folded: [UInt8] = []
        var rest = name
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): folded.append(byte | 0x20)
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): folded.append(byte)
            // U+017F, the long s, and U+212A, the Kelvin sign.
            case 0xC5 where rest.first == 0xBF:
                folded.append(UInt8(ascii: "s"))
                rest = rest.dropFirst()
            case 0xE2 where rest.starts(with: [0x84, 0xAA]):
                folded.append(UInt8(ascii: "k"))
                rest = rest.dropFirst(2)
            case 0x80...: folded.append(byte)
            default: break
            }
        }
        return folded
    }
}

extension UInt8 {
    fileprivate var hexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension RequestHead {
    /// Whether the body is JSON in UTF-8, as it stands: a reader that goes by the fields then reads what the gateway reads.
    ///
    /// A request that does not say what its body is counts: many clients leave it out.
    func hasJSONBody(in bytes: Span<UInt8>) -> Bool {
        var types = 0
        for field in fields {
            switch field.name {
            case .contentType:
                types += 1
                guard types == 1, MediaType.isJSON(bytes.extracting(field.value)) else { return false }
            case .contentEncoding:
                guard field.value.count == 8, bytes.spells("identity", in: field.value) else { return false }
            default: break
            }
        }
        return true
    }
}

/// The value of a `Content-Type` (RFC 9110, section 8.3.1).
enum MediaType {
    /// Whether it is `application/json`, or another JSON of `application` by its suffix, in UTF-8. What is not written by the
    /// grammar is not: two readers may find two types in it.
    static func isJSON(_ value: Span<UInt8>) -> Bool {
        var index = 0
        guard let type = token(value, &index), value.spells("application", in: type) else { return false }
        guard index < value.count, value[index] == UInt8(ascii: "/") else { return false }
        index += 1
        guard let subtype = token(value, &index) else { return false }
        let isSuffixed = subtype.count > 5 && value.spells("+json", in: subtype.upperBound - 5..<subtype.upperBound)
        guard value.spells("json", in: subtype) || isSuffixed else { return false }
        while true {
            skipSpace(value, &index)
            guard index < value.count else { return true }
            guard value[index] == UInt8(ascii: ";") else { return false }
            index += 1
            skipSpace(value, &index)
            guard let name = token(value, &index), index < value.count, value[index] == UInt8(ascii: "=") else {
                return false
            }
            index += 1
            guard let text = parameter(value, &index) else { return false }
            if value.spells("charset", in: name), !value.spells("utf-8", in: text) { return false }
        }
    }

    private static func token(_ value: Span<UInt8>, _ index: inout Int) -> Range<Int>? {
        let start = index
        while index < value.count, value[index].isTokenByte { index += 1 }
        return index > start ? start..<index : nil
    }

    /// A token, or a quoted string without escapes: nobody needs one here, and readers differ in them.
    private static func parameter(_ value: Span<UInt8>, _ index: inout Int) -> Range<Int>? {
        guard index < value.count, value[index] == UInt8(ascii: "\"") else { return token(value, &index) }
        index += 1
        let start = index
        while index < value.count, value[index] != UInt8(ascii: "\""), value[index] != UInt8(ascii: "\\") { index += 1 }
        guard index < value.count, value[index] == UInt8(ascii: "\"") else { return nil }
        index += 1
        return start..<index - 1
    }

    private static func skipSpace(_ value: Span<UInt8>, _ index: inout Int) {
        while index < value.count, value[index] == 0x20 || value[index] == 0x09 { index += 1 }
    }
}
