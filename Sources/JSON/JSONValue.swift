/// One value of a JSON or JSON5 text, and its position.
package struct JSONValue: Sendable {
    package let kind: Kind
    /// The bytes of the value, quotes and brackets included.
    package let range: SourceRange

    /// The kind of a value, with its content.
    package enum Kind: Sendable {
        case null
        case bool(Bool)
        case number(JSONNumber)
        case string(String)
        case array([JSONValue])
        case object([JSONMember])
    }

    package init(kind: Kind, range: SourceRange) {
        self.kind = kind
        self.range = range
    }
}

/// One name of an object with its value.
package struct JSONMember: Sendable {
    /// The name with its escapes decoded.
    package let name: String
    /// The bytes of the name, quotes included.
    package let nameRange: SourceRange
    package let value: JSONValue

    package init(name: String, nameRange: SourceRange, value: JSONValue) {
        self.name = name
        self.nameRange = nameRange
        self.value = value
    }
}

/// A number as written: `9007199254740993` and `1e400` survive a round trip.
package struct JSONNumber: Hashable, Sendable {
    /// The digits, sign and exponent of the text.
    package let text: String

    package init(text: String) { self.text = text }

    /// The value if it is written without fraction or exponent and fits.
    package var integer: Int64? {
        let unsigned = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+") ? 1 : 0
        let digits = text.dropFirst(unsigned)
        guard digits.hasPrefix("0x") || digits.hasPrefix("0X") else { return Int64(text) }
        guard let magnitude = UInt64(digits.dropFirst(2), radix: 16) else { return nil }
        guard text.hasPrefix("-") else { return Int64(exactly: magnitude) }
        return magnitude == UInt64(1) << 63 ? Int64.min : Int64(exactly: magnitude).map { -$0 }
    }

    /// The nearest double; infinite if the number is too large for one.
    package var double: Double {
        if let integer { return Double(integer) }
        return Double(text) ?? .nan
    }
}

extension JSONValue {
    /// The value of the member `name`, or `nil` if there is none or this is no object.
    package subscript(_ name: String) -> JSONValue? {
        guard case .object(let members) = kind else { return nil }
        for member in members where member.name.hasSameBytes(as: name) { return member.value }
        return nil
    }

    /// The text of a string, or `nil` for every other kind.
    package var string: String? { if case .string(let text) = kind { text } else { nil } }

    /// The value of a number written as an integer that fits, or `nil`.
    package var integer: Int64? { if case .number(let number) = kind { number.integer } else { nil } }

    /// The value of a number, or `nil` for every other kind.
    package var double: Double? { if case .number(let number) = kind { number.double } else { nil } }

    /// `true` or `false`, or `nil` for every other kind.
    package var bool: Bool? { if case .bool(let value) = kind { value } else { nil } }

    /// The elements of an array, or `nil` for every other kind.
    package var array: [JSONValue]? { if case .array(let elements) = kind { elements } else { nil } }

    /// The members of an object in the order of the text, or `nil` for every other kind.
    package var object: [JSONMember]? { if case .object(let members) = kind { members } else { nil } }

    /// Whether this is `null`.
    package var isNull: Bool { if case .null = kind { true } else { false } }
}

extension String {
    /// Compares byte for byte. `==` also accepts different spellings of an accented letter; for that it sorts combining
    /// marks, which takes minutes for a client's megabyte of them.
    package func hasSameBytes(as other: String) -> Bool {
        let (own, others) = (utf8.span, other.utf8.span)
        guard own.count == others.count else { return false }
        for index in own.indices where own[index] != others[index] { return false }
        return true
    }
}
