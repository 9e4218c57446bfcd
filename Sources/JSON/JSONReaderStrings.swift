internal import Bytes

extension JSONReader {
    /// Reads the string whose opening quote is at `at`.
    mutating func string(_ input: Span<UInt8>, closing: UInt8) throws(JSONError) -> String {
        let start = at
        at += 1
        let first = at
        // Most strings have no escape and are copied in one piece.
        while at < input.count, input[at] != closing, input[at] != .backslash, input[at] >= 0x20 { at += 1 }
        guard at < input.count else { throw error(.unterminatedString, start..<input.count) }
        if input[at] == closing {
            defer { at += 1 }
            return text(input, first..<at)
        }
        return try escapedString(input, start: start, closing: closing)
    }

    private mutating func escapedString(
        _ input: Span<UInt8>, start: Int, closing: UInt8
    ) throws(JSONError) -> String {
        var bytes: [UInt8] = []
        for index in start + 1..<at { bytes.append(input[index]) }
        while at < input.count {
            let byte = input[at]
            switch byte {
            case closing:
                at += 1
                return String(decoding: bytes, as: UTF8.self)
            case .backslash:
                try escape(input, into: &bytes)
            case .lineFeed, .carriageReturn:
                throw error(.unterminatedString, start..<at)
            case 0..<0x20 where syntax == .json:
                throw error(.controlCharacter, at..<at + 1)
            default:
                bytes.append(byte)
                at += 1
            }
        }
        throw error(.unterminatedString, start..<input.count)
    }

    /// Reads the escape sequence whose backslash is at `at`.
    private mutating func escape(_ input: Span<UInt8>, into bytes: inout [UInt8]) throws(JSONError) {
        let start = at
        guard at + 1 < input.count else { throw error(.unterminatedString, start..<input.count) }
        at += 2
        switch input[at - 1] {
        case .quote: bytes.append(.quote)
        case .backslash: bytes.append(.backslash)
        case .slash: bytes.append(.slash)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(.lineFeed)
        case UInt8(ascii: "r"): bytes.append(.carriageReturn)
        case UInt8(ascii: "t"): bytes.append(.tab)
        case UInt8(ascii: "u"): append(try unicodeEscape(input, start: start), to: &bytes)
        default:
            guard syntax == .json5 else { throw invalidEscape(input, start: start) }
            try escape5(input, start: start, into: &bytes)
        }
    }

    /// The escapes that JSON5 adds: more letters, `\xHH`, line continuations, and every other character as itself.
    private mutating func escape5(
        _ input: Span<UInt8>, start: Int, into bytes: inout [UInt8]
    ) throws(JSONError) {
        switch input[at - 1] {
        case UInt8(ascii: "v"): bytes.append(0x0B)
        case UInt8(ascii: "0"):
            if at < input.count, input[at].isDigit { throw invalidEscape(input, start: start) }
            bytes.append(0)
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            throw invalidEscape(input, start: start)
        case UInt8(ascii: "x"):
            guard let code = hex(input, digits: 2) else { throw invalidEscape(input, start: start) }
            append(Unicode.Scalar(UInt8(code)), to: &bytes)
        case .lineFeed: break
        case .carriageReturn: _ = takes(.lineFeed, input)
        default:
            let scalar = scalar(input, at: at - 1)
            at = start + 1 + scalarLength(input, at: start + 1)
            if scalar.value != 0x2028, scalar.value != 0x2029 { append(scalar, to: &bytes) }
        }
    }

    /// Reads the digits of `\uHHHH`, and a second escape if the first is half a surrogate pair.
    mutating func unicodeEscape(_ input: Span<UInt8>, start: Int) throws(JSONError) -> Unicode.Scalar {
        guard let first = hex(input, digits: 4) else { throw invalidEscape(input, start: start) }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, takes(.backslash, input), takes(UInt8(ascii: "u"), input),
            let second = hex(input, digits: 4), (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw error(.loneSurrogate, start..<start + 6) }
        return scalar
    }

    private mutating func hex(_ input: Span<UInt8>, digits: Int) -> UInt32? {
        guard at + digits <= input.count, let value = UInt64(hex: input.extracting(at..<at + digits)) else {
            return nil
        }
        at += digits
        return UInt32(truncatingIfNeeded: value)
    }

    private func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: scalar.utf8)
    }

    private func invalidEscape(_ input: Span<UInt8>, start: Int) -> JSONError {
        error(.invalidEscape, start..<min(start + 1 + scalarLength(input, at: start + 1), input.count))
    }
}

extension JSONReader {
    /// Reads an ECMAScript 5.1 identifier name.
    mutating func identifier(_ input: Span<UInt8>) throws(JSONError) -> String {
        let start = at
        var name = String.UnicodeScalarView()
        while at < input.count {
            let scalar: Unicode.Scalar
            let before = at
            if input[at] == .backslash {
                at += 1
                guard takes(UInt8(ascii: "u"), input) else { throw invalidEscape(input, start: before) }
                scalar = try unicodeEscape(input, start: before)
            } else {
                scalar = self.scalar(input, at: at)
                guard before == start ? scalar.startsIdentifier : scalar.continuesIdentifier else { break }
                at += scalarLength(input, at: at)
                name.append(scalar)
                continue
            }
            guard before == start ? scalar.startsIdentifier : scalar.continuesIdentifier else {
                throw error(.invalidEscape, before..<at)
            }
            name.append(scalar)
        }
        guard at > start else { throw unexpected(input, expected: "a name") }
        return String(name)
    }

    /// The number of bytes of the character at `index` of a validated input.
    func scalarLength(_ input: Span<UInt8>, at index: Int) -> Int {
        guard index < input.count else { return 0 }
        return switch input[index] {
        case 0..<0x80: 1
        case 0xC0..<0xE0: 2
        case 0xE0..<0xF0: 3
        default: 4
        }
    }

    /// The character at `index` of a validated input.
    func scalar(_ input: Span<UInt8>, at index: Int) -> Unicode.Scalar {
        let length = scalarLength(input, at: index)
        guard length > 1 else { return Unicode.Scalar(input[index]) }
        var value = UInt32(input[index]) & (0xFF >> UInt32(length + 1))
        for next in index + 1..<index + length { value = value << 6 | UInt32(input[next] & 0x3F) }
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }
}

extension Unicode.Scalar {
    fileprivate var startsIdentifier: Bool {
        if isASCII { return UInt8(value).isWordByte && !UInt8(value).isDigit }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .letterNumber:
            return true
        default: return false
        }
    }

    fileprivate var continuesIdentifier: Bool {
        if isASCII { return UInt8(value).isWordByte }
        if startsIdentifier || value == 0x200C || value == 0x200D { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
