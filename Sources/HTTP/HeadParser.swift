/// Reads request heads from the front of a connection's bytes (RFC 9112, sections 2 to 5).
///
/// Strict on purpose: two hops that disagree on where a line or a message ends can be made to disagree on what a
/// request is. A head that arrives whole, as nearly all do, is parsed in one pass; one that comes in pieces is not
/// parsed again before its end is there, so a byte is looked at a bounded number of times however slowly it arrives.
package struct HeadParser: Sendable {
    package let limits: HeadLimits
    /// How far the bytes of an incomplete head have been searched for its end.
    private var searched = 0

    package init(limits: HeadLimits = HeadLimits()) { self.limits = limits }

    /// Parses the head at the front of `input` into `head`; `false` when more bytes are needed.
    package mutating func parse(_ input: Span<UInt8>, into head: inout RequestHead) throws(HeadError) -> Bool {
        if searched > 0, !hasEnd(input) {
            searched = input.count
            try checkIncomplete(input)
            return false
        }
        head.reset()
        var lines = LineReader(input: input, limits: limits)
        guard try lines.readHead(into: &head) else {
            searched = input.count
            try checkIncomplete(input)
            return false
        }
        searched = 0
        return true
    }

    /// Forgets what was searched: the bytes in front are other ones now.
    package mutating func reset() { searched = 0 }

    private func hasEnd(_ input: Span<UInt8>) -> Bool {
        var index = max(0, searched - 3)
        while index < input.count {
            if input[index] == .lineFeed, index + 1 < input.count {
                let next = input[index + 1]
                if next == .lineFeed { return true }
                if next == .carriageReturn, index + 2 < input.count { return true }
            }
            index += 1
        }
        // A head at its limit is parsed once more, for its error.
        return input.count >= limits.headBytes
    }

    private func checkIncomplete(_ input: Span<UInt8>) throws(HeadError) {
        if input.count >= limits.targetBytes, input.firstIndex(of: .lineFeed, from: 0) == nil {
            throw .targetTooLong(limit: limits.targetBytes)
        }
        if input.count >= limits.headBytes { throw .headTooLong(limit: limits.headBytes) }
    }
}

extension Span<UInt8> {
    func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        var index = start
        while index < count {
            if self[index] == byte { return index }
            index += 1
        }
        return nil
    }
}

/// One pass over the lines of a head.
private struct LineReader: ~Escapable {
    let input: Span<UInt8>
    let limits: HeadLimits
    var index = 0
    var hosts = 0
    var contentLength: UInt64?
    var isChunked = false
    var hasTransferEncoding = false
    var closes = false
    var keepsAliveExplicitly = false

    @_lifetime(copy input)
    init(input: Span<UInt8>, limits: HeadLimits) {
        self.input = input
        self.limits = limits
    }

    /// `false` when the bytes end before the head does.
    mutating func readHead(into head: inout RequestHead) throws(HeadError) -> Bool {
        // One empty line before a request line is forgiven (RFC 9112, section 2.2), for clients that end a body with it.
        if input.count >= 2, input[0] == .carriageReturn, input[1] == .lineFeed { index = 2 }
        guard try readRequestLine(into: &head) else { return false }
        while true {
            guard index < input.count else { return false }
            let byte = input[index]
            if byte == .carriageReturn {
                guard index + 1 < input.count else { return false }
                guard input[index + 1] == .lineFeed else { throw .invalidLineEnd(at: index) }
                index += 2
                break
            }
            guard try readField(into: &head) else { return false }
            guard index <= limits.headBytes else { throw .headTooLong(limit: limits.headBytes) }
        }
        head.end = index
        try judge(&head)
        return true
    }

    private mutating func readRequestLine(into head: inout RequestHead) throws(HeadError) -> Bool {
        let start = index
        while index < input.count, input[index].isTokenByte { index += 1 }
        guard index < input.count else { return false }
        guard index > start, input[index] == .space else {
            // White space in front would make the line a continuation of nothing.
            throw input[index] == .space || input[index] == .tab ? .foldedLine(at: index) : .invalidMethod(at: index)
        }
        let method = start..<index
        index += 1
        let target = index
        while index < input.count, input[index].isTargetByte { index += 1 }
        guard index - target <= limits.targetBytes else { throw .targetTooLong(limit: limits.targetBytes) }
        guard index < input.count else { return false }
        guard index > target, input[index] == .space else { throw .invalidTarget(at: index) }
        head.target = target..<index
        index += 1
        guard try readVersion(into: &head) else { return false }
        guard let known = HTTPMethod(input, method) else { throw .unknownMethod }
        head.method = known
        try splitTarget(of: &head)
        return true
    }

    /// `HTTP/1.x` and the line's end. A digit too many or another major version is told apart.
    private mutating func readVersion(into head: inout RequestHead) throws(HeadError) -> Bool {
        let start = index
        guard start + 10 <= input.count else {
            // Decide early what can be decided, so that garbage does not wait for a deadline.
            if let end = input.firstIndex(of: .lineFeed, from: start) { throw .invalidVersion(at: end) }
            return false
        }
        guard input.spells("http/", in: start..<start + 5), input[start] == 0x48, input[start + 3] == 0x50,
            input[start + 1] == 0x54, input[start + 2] == 0x54,
            input[start + 5].isDigit, input[start + 6] == 0x2E, input[start + 7].isDigit
        else { throw .invalidVersion(at: start) }
        guard input[start + 8] == .carriageReturn else { throw .invalidVersion(at: start + 8) }
        guard input[start + 9] == .lineFeed else { throw .invalidLineEnd(at: start + 8) }
        guard input[start + 5] == 0x31 else { throw .unsupportedVersion }
        // A higher minor version is answered as the highest one we speak (RFC 9110, section 2.5).
        head.minorVersion = input[start + 7] == 0x30 ? 0 : 1
        index = start + 10
        return true
    }

    /// Origin-form, absolute-form (whose authority replaces Host, RFC 9112, section 3.2.2) or `OPTIONS *`.
    private func splitTarget(of head: inout RequestHead) throws(HeadError) {
        var start = head.target.lowerBound
        let end = head.target.upperBound
        if input[start] != .slash {
            if head.method == .options, head.target.count == 1, input[start] == 0x2A {
                head.path = head.target
                return
            }
            let scheme =
                head.target.count > 8 && input.spells("https://", in: start..<start + 8)
                ? 8 : head.target.count > 7 && input.spells("http://", in: start..<start + 7) ? 7 : 0
            guard scheme > 0 else { throw .invalidTarget(at: start) }
            start += scheme
            let authority = start
            while start < end, input[start] != .slash, input[start] != .questionMark { start += 1 }
            guard isValidHost(authority..<start), start > authority else { throw .invalidTarget(at: authority) }
            // An absolute-form target without a path has no raw path to match; a client must send "/".
            guard start < end, input[start] == .slash else { throw .invalidTarget(at: start) }
        }
        var index = start
        while index < end, input[index] != .questionMark { index += 1 }
        head.path = start..<index
        if index < end { head.query = index + 1..<end }
    }

    private mutating func readField(into head: inout RequestHead) throws(HeadError) -> Bool {
        let start = index
        while index < input.count, input[index].isTokenByte { index += 1 }
        guard index < input.count else { return false }
        guard index > start, input[index] == .colon else {
            // White space before the colon, or a folded line, or a line without a colon (RFC 9112, sections 5.1, 5.2).
            throw index == start && (input[index] == .space || input[index] == .tab)
                ? .foldedLine(at: index) : .invalidFieldName(at: index)
        }
        let name = start..<index
        index += 1
        while index < input.count, input[index] == .space || input[index] == .tab { index += 1 }
        let value = index
        while index < input.count, input[index].isFieldValueByte { index += 1 }
        guard index + 1 < input.count else {
            if index < input.count, input[index] != .carriageReturn { throw .invalidFieldValue(at: index) }
            return false
        }
        guard input[index] == .carriageReturn else { throw .invalidFieldValue(at: index) }
        guard input[index + 1] == .lineFeed else { throw .invalidLineEnd(at: index) }
        var end = index
        while end > value, input[end - 1] == .space || input[end - 1] == .tab { end -= 1 }
        index += 2
        guard head.fields.count < limits.fields else { throw .tooManyFields(limit: limits.fields) }
        let known = FieldName.recognize(input, name)
        head.fields.append(.init(name: known, nameRange: name, value: value..<end))
        if known != .other { try take(known, value..<end, into: &head) }
        return true
    }

    /// Notes a field that frames the message or that a stage will read. What may stand only once is refused twice.
    private mutating func take(
        _ name: FieldName, _ value: Range<Int>, into head: inout RequestHead
    ) throws(HeadError) {
        switch name {
        case .host:
            hosts += 1
            guard hosts == 1 else { throw .repeatedHost }
            guard isValidHost(value) else { throw .invalidHost }
            head.host = value
        case .contentLength:
            guard let length = number(value) else { throw .invalidContentLength }
            if let known = contentLength, known != length { throw .differingContentLengths }
            contentLength = length
        case .transferEncoding:
            guard !hasTransferEncoding, input.spells("chunked", in: value) else { throw .unknownTransferCoding }
            hasTransferEncoding = true
            isChunked = true
        case .connection: readConnectionOptions(value)
        case .expect:
            guard input.spells("100-continue", in: value) else { throw .unknownExpectation }
            head.expectsContinue = true
        case .authorization: try once(&head.authorization, value, name)
        case .apiKey: try once(&head.apiKey, value, name)
        case .organizationID: try once(&head.organizationID, value, name)
        case .contentType: try once(&head.contentType, value, name)
        // A repeated traceparent is no traceparent; the trace starts anew. The empty range stands for that.
        case .traceparent: head.traceparent = head.traceparent == nil ? value : value.lowerBound..<value.lowerBound
        default: break
        }
    }

    private func once(_ place: inout Range<Int>?, _ value: Range<Int>, _ name: FieldName) throws(HeadError) {
        guard place == nil else { throw .repeatedField(name) }
        place = value
    }

    private mutating func readConnectionOptions(_ value: Range<Int>) {
        var start = value.lowerBound
        while start <= value.upperBound {
            var end = start
            while end < value.upperBound, input[end] != .comma { end += 1 }
            let option = input.trimmed(start..<end)
            if input.spells("close", in: option) { closes = true }
            if input.spells("keep-alive", in: option) { keepsAliveExplicitly = true }
            start = end + 1
        }
    }

    /// Digits only: no sign, no space, no list; overflow is an error (RFC 9110, section 8.6).
    private func number(_ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty, range.count <= 18 else { return nil }
        var value: UInt64 = 0
        for index in range {
            guard input[index].isDigit else { return nil }
            value = value * 10 + UInt64(input[index] - 0x30)
        }
        return value
    }

    /// A reg-name, IPv4 or bracketed IPv6 address with an optional port (RFC 3986, section 3.2.2); user information
    /// has no place in it.
    private func isValidHost(_ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        guard index < range.upperBound else { return true }
        if input[index] == 0x5B {
            index += 1
            while index < range.upperBound, input[index].hexDigitValue != nil || input[index] == .colon || input[index] == 0x2E {
                index += 1
            }
            guard index < range.upperBound, input[index] == 0x5D else { return false }
            index += 1
        } else {
            while index < range.upperBound, input[index] != .colon {
                let byte = input[index]
                let isAllowed =
                    byte.isDigit || (byte | 0x20) &- 0x61 < 26 || byte == 0x2D || byte == 0x2E || byte == 0x5F
                    || byte == 0x7E
                guard isAllowed else { return false }
                index += 1
            }
        }
        guard index < range.upperBound else { return true }
        guard input[index] == .colon, range.upperBound - index <= 6 else { return false }
        for digit in index + 1..<range.upperBound where !input[digit].isDigit { return false }
        return true
    }

    /// What only the whole head can tell (RFC 9112, sections 3.2, 6.1, 6.3, 9.3).
    private func judge(_ head: inout RequestHead) throws(HeadError) {
        if hosts == 0, head.minorVersion > 0 { throw .missingHost }
        if hasTransferEncoding {
            guard head.minorVersion > 0 else { throw .transferEncodingInHTTP10 }
            guard contentLength == nil else { throw .contentLengthWithTransferEncoding }
            head.framing = .chunked
        } else if let contentLength {
            head.framing = contentLength == 0 ? .none : .length(contentLength)
        }
        if head.minorVersion == 0 {
            head.expectsContinue = false
            head.keepsAlive = keepsAliveExplicitly && !closes
        } else {
            head.keepsAlive = !closes
        }
    }
}
