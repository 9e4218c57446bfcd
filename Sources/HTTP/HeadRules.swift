/// What single fields mean for the message, and what the whole head must add up to.
extension HeadReader {
    /// Notes a field that frames the message or that a stage will read. What may stand only once is refused twice.
    mutating func take(
        _ name: FieldName, _ value: Range<Int>, into head: inout RequestHead
    ) throws(HeadError) {
        switch name {
        case .host:
            guard !progress.hasHost else { throw .repeatedHost }
            guard input.isHost(value) else { throw .invalidHost }
            progress.hasHost = true
            if !progress.hasTargetHost { head.host = value }
        case .contentLength:
            guard let length = number(value) else { throw .invalidContentLength }
            if let known = progress.contentLength, known != length { throw .differingContentLengths }
            progress.contentLength = length
        case .transferEncoding:
            // "chunked" alone and once: no other coding is offered, and a list is where hops begin to differ.
            guard !progress.isChunked, isText(value, .chunked, length: 7) else {
                throw endsChunked(value) ? .unknownTransferCoding : .chunkedNotFinal
            }
            progress.isChunked = true
        case .connection: readConnectionOptions(value)
        case .expect:
            guard isText(value, .hundredContinue, length: 12) else { throw .unknownExpectation }
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
            let end = input.firstIndex(of: .comma, in: start..<value.upperBound) ?? value.upperBound
            let option = input.trimmed(start..<end)
            if isText(option, .keepAlive, length: 10) {
                progress.keepsAlive = true
            } else if isText(option, .close, length: 5) {
                progress.closes = true
            }
            start = end + 1
        }
    }

    /// Whether a list of codings ends with its only "chunked" (RFC 9112, section 6.3). A field line before this one can
    /// have ended with it already.
    private func endsChunked(_ value: Range<Int>) -> Bool {
        guard !progress.isChunked, value.count > 8 else { return false }
        let last = value.upperBound - 7..<value.upperBound
        var index = last.lowerBound
        while index > value.lowerBound, input[index - 1].isOptionalWhiteSpace { index -= 1 }
        guard isText(last, .chunked, length: 7), input[index - 1] == .comma, index - 1 > value.lowerBound else {
            return false
        }
        var start = value.lowerBound
        while start + 7 < index {
            if isText(start..<start + 7, .chunked, length: 7) { return false }
            start += 1
        }
        return true
    }

    private func isText(_ range: Range<Int>, _ text: PackedName, length: Int) -> Bool {
        range.count == length && PackedName(input, range) == text
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

    /// What only the whole head can tell (RFC 9112, sections 3.2, 6.1, 6.3, 9.3).
    func judge(_ head: inout RequestHead) throws(HeadError) {
        if !progress.hasHost, head.minorVersion > 0 { throw .missingHost }
        if progress.isChunked {
            guard head.minorVersion > 0 else { throw .transferEncodingInHTTP10 }
            guard progress.contentLength == nil else { throw .contentLengthWithTransferEncoding }
            head.framing = .chunked
        } else if let contentLength = progress.contentLength {
            head.framing = contentLength == 0 ? .none : .length(contentLength)
        }
        // Nobody waits to send what is not there, and HTTP/1.0 knows no interim answer (RFC 9110, section 10.1.1).
        if head.framing == .none || head.isHTTP10 { head.expectsContinue = false }
        head.keepsAlive = !progress.closes && (!head.isHTTP10 || progress.keepsAlive)
    }
}

extension PackedName {
    fileprivate static let chunked = PackedName(low: 0x0064_656B_6E75_6863, high: 0)
    fileprivate static let close = PackedName(low: 0x0000_0065_736F_6C63, high: 0)
    fileprivate static let keepAlive = PackedName(low: 0x696C_612D_7065_656B, high: 0x0000_0000_0000_6576)
    fileprivate static let hundredContinue = PackedName(low: 0x746E_6F63_2D30_3031, high: 0x0000_0000_6575_6E69)
}

extension Span<UInt8> {
    /// A reg-name, IPv4 or bracketed IPv6 address with an optional port (RFC 3986, section 3.2.2). User information has
    /// no place in it, and http and https know no empty host (RFC 9110, section 4.2.1).
    func isHost(_ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        guard index < range.upperBound else { return false }
        if self[index] == 0x5B {
            index += 1
            var colons = 0
            while index < range.upperBound, self[index] != 0x5D {
                if self[index] == .colon {
                    colons += 1
                } else if self[index] != 0x2E, self[index].hexDigitValue == nil {
                    return false
                }
                index += 1
            }
            guard index < range.upperBound, (2...8).contains(colons) else { return false }
            index += 1
        } else {
            while index < range.upperBound, self[index].isHostByte { index += 1 }
            guard index > range.lowerBound else { return false }
        }
        guard index < range.upperBound else { return true }
        guard self[index] == .colon, range.upperBound - index <= 6 else { return false }
        var port = 0
        for digit in index + 1..<range.upperBound {
            guard self[digit].isDigit else { return false }
            port = port * 10 + Int(self[digit] - 0x30)
        }
        return port <= 65535
    }
}

extension UInt8 {
    /// Letters, digits, `-`, `.`, `_` and `~`: of the characters RFC 3986 allows those that hosts are made of.
    fileprivate var isHostByte: Bool {
        if self < 64 { return 0x03FF_6000_0000_0000 as UInt64 &>> UInt64(self) & 1 == 1 }
        if self < 128 { return 0x47FF_FFFE_87FF_FFFE as UInt64 &>> UInt64(self & 63) & 1 == 1 }
        return false
    }
}
