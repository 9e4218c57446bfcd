internal import Bytes
internal import HTTP
internal import JSON

/// Recognizes names that a lenient reader takes for a known field.
///
/// Some readers ignore case, some ignore `_` and `-`, some replace other signs with `_`, and some end a name at `[` or
/// at a zero byte. When ignoring case, some take letters outside ASCII for ASCII letters (the dotless i, the Kelvin
/// sign), and some skip invisible characters. A name that any of them may take for a known field must be spelled
/// exactly like that field.
enum FieldSpelling {
    /// Whether some reader takes `name` for one of `known` although it is spelled differently.
    static func isAnother(of known: [String], _ name: String) -> Bool {
        !known.contains { $0.hasSameBytes(as: name) } && known.contains { isRead(name.utf8.span, as: $0) }
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
            // Some servers also separate parameters at ";".
            case UInt8(ascii: "&"), UInt8(ascii: ";"):
                if known.contains(where: { isRead(name.span, as: $0) }) { return true }
                name.removeAll(keepingCapacity: true)
                isInName = true
            case UInt8(ascii: "="): isInName = false
            case _ where !isInName: break
            case UInt8(ascii: "%"):
                if index + 1 < query.count, let high = query[index].hexDigitValue,
                    let low = query[index + 1].hexDigitValue
                {
                    name.append(high << 4 | low)
                    index += 2
                } else {
                    name.append(byte)
                }
            default: name.append(byte)
            }
        }
        return known.contains { isRead(name.span, as: $0) }
    }

    /// Compares letters and digits without case, and skips other ASCII signs. A character outside ASCII may stand for
    /// none, one or two letters, but at least half of the letters must be there.
    ///
    /// The comparison stops at the first letter that does not match, so that a body with many names costs little.
    private static func isRead(_ name: Span<UInt8>, as known: String) -> Bool {
        let known = known.utf8.span
        var position = nextLetter(of: known, from: 0)
        guard position < known.count else { return false }
        for index in name.indices {
            let byte = name[index]
            if byte.isLetterOrDigit {
                guard position < known.count, known[position].lowercased == byte.lowercased else { return false }
                position = nextLetter(of: known, from: position + 1)
            } else if byte == UInt8(ascii: "[") || byte == 0 {
                if position == known.count { return true }
            } else if byte >= 0x80 {
                return isReadBeyondASCII(name, as: known)
            }
        }
        return position == known.count
    }

    private static func nextLetter(of known: Span<UInt8>, from start: Int) -> Int {
        var position = start
        while position < known.count, !known[position].isLetterOrDigit { position += 1 }
        return position
    }

    private static func isReadBeyondASCII(_ name: Span<UInt8>, as known: Span<UInt8>) -> Bool {
        var letters: [UInt8] = []
        for index in known.indices where known[index].isLetterOrDigit && letters.count < 60 {
            letters.append(known[index].lowercased)
        }
        let count = letters.count
        let all: UInt64 = 1 << UInt64(count + 1) - 1
        // Bit n is set if the first n letters may have been read.
        var reached: UInt64 = 1
        var plain = 0
        var isWhole: Bool { reached >> UInt64(count) == 1 && 2 * plain >= count }
        for index in name.indices {
            let byte = name[index]
            switch byte {
            case _ where byte.isLetterOrDigit:
                var next: UInt64 = 0
                for (index, letter) in letters.enumerated() where letter == byte.lowercased {
                    next |= (reached >> UInt64(index) & 1) << UInt64(index + 1)
                }
                guard next != 0 else { return false }
                reached = next
                plain += 1
            case UInt8(ascii: "["), 0: if isWhole { return true }
            case 0xC0...: reached = (reached | reached << 1 | reached << 2) & all
            default: break
            }
        }
        return isWhole
    }
}

extension RequestHead {
    /// Whether the body is unencoded JSON in UTF-8 according to the fields, so that the upstream reads what the gateway
    /// reads.
    ///
    /// A request without `Content-Type` counts as JSON, because many clients omit it.
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
    /// Whether the value is `application/json`, or another `application` type with the suffix `+json`, in UTF-8. A
    /// value that breaks the grammar is not: two readers may read different types from it.
    static func isJSON(_ value: Span<UInt8>) -> Bool {
        // The most common value needs no parsing.
        if isPlain(value) { return true }
        var index = 0
        guard let type = token(value, &index), value.spells("application", in: type) else { return false }
        guard index < value.count, value[index] == UInt8(ascii: "/") else { return false }
        index += 1
        guard let subtype = token(value, &index) else { return false }
        let isSuffixed = subtype.count > 5 && value.spells("+json", in: subtype.upperBound - 5..<subtype.upperBound)
        // Some readers compare only the start of the type, and would read such a JSON body as a form.
        guard !value.begins(with: "x-www-form", in: subtype) else { return false }
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
            // `charset*` is another spelling of the parameter (RFC 8187).
            if value.begins(with: "charset", in: name), name.count != 7 || !value.spells("utf-8", in: text) {
                return false
            }
        }
    }

    private static func isPlain(_ value: Span<UInt8>) -> Bool {
        guard value.count == plain.count else { return false }
        for index in value.indices where value[index] != plain[index] { return false }
        return true
    }

    private static let plain = Array("application/json".utf8)

    private static func token(_ value: Span<UInt8>, _ index: inout Int) -> Range<Int>? {
        let start = index
        while index < value.count, value[index].isTokenByte { index += 1 }
        return index > start ? start..<index : nil
    }

    /// A token, or a quoted string without escapes and without `;` and `,`. No JSON type needs such characters, and
    /// readers disagree about them.
    private static func parameter(_ value: Span<UInt8>, _ index: inout Int) -> Range<Int>? {
        guard index < value.count, value[index] == UInt8(ascii: "\"") else { return token(value, &index) }
        index += 1
        let start = index
        while index < value.count, !quotedEnds.contains(value[index]) { index += 1 }
        guard index < value.count, value[index] == UInt8(ascii: "\"") else { return nil }
        index += 1
        return start..<index - 1
    }

    private static let quotedEnds = Array("\"\\;,".utf8)

    private static func skipSpace(_ value: Span<UInt8>, _ index: inout Int) {
        while index < value.count, value[index] == 0x20 || value[index] == 0x09 { index += 1 }
    }
}

extension Span<UInt8> {
    fileprivate func begins(with prefix: String, in range: Range<Int>) -> Bool {
        let length = prefix.utf8.count
        return range.count >= length && spells(prefix, in: range.lowerBound..<range.lowerBound + length)
    }
}
