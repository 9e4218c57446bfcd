internal import Bytes

/// What single fields tell about the framing of a message, and what they must add up to: the same for requests and
/// responses.
extension HeadReader {
    /// Notes the field that was just read if it frames the message or the connection.
    mutating func takeFraming() throws(FieldError) {
        let value = progress.value
        switch progress.name {
        case .contentLength:
            guard let length = number(value) else { throw .contradictoryFraming(.invalidContentLength) }
            if let known = progress.contentLength, known != length {
                throw .contradictoryFraming(.differingContentLengths)
            }
            progress.contentLength = length
        case .transferEncoding:
            // "chunked" alone and once: no other coding is offered, and a list is where hops begin to differ.
            guard !progress.isChunked, isText(value, .chunked, length: 7) else {
                throw .contradictoryFraming(endsChunked(value) ? .unknownTransferCoding : .chunkedNotFinal)
            }
            progress.isChunked = true
        case .connection: readConnectionOptions(value)
        default: break
        }
    }

    private mutating func readConnectionOptions(_ value: Range<Int>) {
        var start = value.lowerBound
        while let option = input.nextListItem(in: value, from: &start) {
            if isText(option, .keepAlive, length: 10) {
                progress.keepsAlive = true
            } else if isText(option, .close, length: 5) {
                progress.closes = true
            } else {
                progress.nominates = true
            }
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

    func isText(_ range: Range<Int>, _ text: PackedName, length: Int) -> Bool {
        range.count == length && PackedName(input, range) == text
    }

    /// Digits only: no sign, no space, no list; overflow is an error (RFC 9110, section 8.6).
    private func number(_ range: Range<Int>) -> UInt64? {
        Int(decimal: input.extracting(range)).map { UInt64($0) }
    }

    /// Where the fields say that the body ends; `nil` when they say nothing (RFC 9112, sections 6.1, 6.3).
    func framing(minorVersion: UInt8) throws(FieldError) -> BodyFraming? {
        guard progress.isChunked else {
            return progress.contentLength.map { $0 == 0 ? .none : .length($0) }
        }
        guard minorVersion > 0 else { throw .contradictoryFraming(.transferEncodingInHTTP10) }
        guard progress.contentLength == nil else { throw .contradictoryFraming(.contentLengthWithTransferEncoding) }
        return .chunked
    }

    /// The connection may carry another message after this one, as far as its sender is concerned (RFC 9112, section 9.3).
    func keepsAlive(minorVersion: UInt8) -> Bool { !progress.closes && (minorVersion > 0 || progress.keepsAlive) }
}

extension PackedName {
    fileprivate static let chunked = PackedName(low: 0x0064_656B_6E75_6863, high: 0)
    fileprivate static let close = PackedName(low: 0x0000_0065_736F_6C63, high: 0)
    fileprivate static let keepAlive = PackedName(low: 0x696C_612D_7065_656B, high: 0x0000_0000_0000_6576)
}

extension Span<UInt8> {
    /// The next item of the comma-separated list in `range` that is not empty (RFC 9110, section 5.6.1), without white
    /// space around it; `start` moves behind it. Quoted strings are not known: Connection has none.
    func nextListItem(in range: Range<Int>, from start: inout Int) -> Range<Int>? {
        while start < range.upperBound {
            let end = firstIndex(of: .comma, in: start..<range.upperBound) ?? range.upperBound
            let item = trimmed(start..<end)
            start = end + 1
            if !item.isEmpty { return item }
        }
        return nil
    }
}
