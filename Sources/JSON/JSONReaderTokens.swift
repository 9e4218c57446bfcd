internal import Bytes

extension JSONReader {
    /// Reads the number that starts at `at`.
    mutating func number(_ input: Span<UInt8>) throws(JSONError) -> JSONNumber {
        let start = at
        if input[at] == UInt8(ascii: "-") || input[at] == UInt8(ascii: "+") { at += 1 }
        if syntax == .json5, takes("Infinity", input) || takes("NaN", input) {
            return JSONNumber(text: text(input, start..<at))
        }
        if syntax == .json5, hasHexPrefix(input) {
            at += 2
            guard skip(input, while: { $0.isHexDigit }) > 0 else { throw invalidNumber(input, start: start) }
        } else {
            try decimal(input, start: start)
        }
        if at < input.count, input[at].isWordByte || input[at] == .dot { throw invalidNumber(input, start: start) }
        return JSONNumber(text: text(input, start..<at))
    }

    private mutating func decimal(_ input: Span<UInt8>, start: Int) throws(JSONError) {
        let first = at
        let whole = skip(input, while: { $0.isDigit })
        if whole > 1, input[first] == UInt8(ascii: "0") { throw error(.leadingZero, start..<at) }
        guard whole > 0 || syntax == .json5 else { throw invalidNumber(input, start: start) }
        if takes(.dot, input) {
            let fraction = skip(input, while: { $0.isDigit })
            guard fraction > 0 || (syntax == .json5 && whole > 0) else { throw invalidNumber(input, start: start) }
        } else if whole == 0 {
            throw invalidNumber(input, start: start)
        }
        if takes(UInt8(ascii: "e"), input) || takes(UInt8(ascii: "E"), input) {
            if !takes(UInt8(ascii: "-"), input) { _ = takes(UInt8(ascii: "+"), input) }
            guard skip(input, while: { $0.isDigit }) > 0 else { throw invalidNumber(input, start: start) }
        }
    }

    private func hasHexPrefix(_ input: Span<UInt8>) -> Bool {
        at + 1 < input.count && input[at] == UInt8(ascii: "0") && input[at + 1] | 0x20 == UInt8(ascii: "x")
    }

    private mutating func skip(_ input: Span<UInt8>, while belongs: (UInt8) -> Bool) -> Int {
        let start = at
        while at < input.count, belongs(input[at]) { at += 1 }
        return at - start
    }

    /// The error for the whole run of characters that looks like one number.
    private func invalidNumber(_ input: Span<UInt8>, start: Int) -> JSONError {
        var upper = start + 1
        while upper < input.count, input[upper].isNumberByte { upper += 1 }
        return error(.invalidNumber, start..<upper)
    }
}

extension JSONReader {
    /// Steps over white space, and in JSON5 over comments.
    mutating func skipBlanks(_ input: Span<UInt8>) throws(JSONError) {
        while at < input.count {
            switch input[at] {
            case .space, .tab, .lineFeed, .carriageReturn: at += 1
            default:
                guard syntax == .json5, try skipBlank5(input) else { return }
            }
        }
    }

    private mutating func skipBlank5(_ input: Span<UInt8>) throws(JSONError) -> Bool {
        switch input[at] {
        case 0x0B, 0x0C:
            at += 1
            return true
        case .slash:
            return try skipComment(input)
        case 0x80...:
            switch scalar(input, at: at).value {
            case 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
                at += scalarLength(input, at: at)
                return true
            default: return false
            }
        default:
            return false
        }
    }

    private mutating func skipComment(_ input: Span<UInt8>) throws(JSONError) -> Bool {
        let start = at
        guard at + 1 < input.count else { return false }
        switch input[at + 1] {
        case .slash:
            at += 2
            while at < input.count, input[at] != .lineFeed, input[at] != .carriageReturn {
                if input[at] == 0xE2, 0x2028...0x2029 ~= scalar(input, at: at).value { break }
                at += 1
            }
            return true
        case .asterisk:
            at += 2
            while at + 1 < input.count {
                if input[at] == .asterisk, input[at + 1] == .slash {
                    at += 2
                    return true
                }
                at += 1
            }
            throw error(.unterminatedComment, start..<start + 2)
        default:
            return false
        }
    }
}

extension UInt8 {
    var isNumberByte: Bool { isWordByte || self == .dot || self == UInt8(ascii: "+") || self == .hyphen }

    /// The characters of a word: `true`, `connection_id`, `$ref`.
    var isWordByte: Bool { isLetterOrDigit || self == .underscore || self == UInt8(ascii: "$") }
}
