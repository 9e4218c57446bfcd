internal import Bytes

/// The fields that frame a message, and the checks of their combination: the same for requests and responses.
extension HeadReader {
    /// Records the field that was just read if it frames the message or the connection.
    mutating func recordFraming() throws(FieldError) {
        let value = progress.value
        switch progress.name {
        case .contentLength:
            guard let length = number(value) else { throw .contradictoryFraming(.invalidContentLength) }
            if let known = progress.contentLength, known != length {
                throw .contradictoryFraming(.differingContentLengths)
            }
            progress.contentLength = length
        case .transferEncoding:
            // "chunked" alone and once: no other coding is supported, and hops read lists differently.
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

    /// Whether a list of codings ends with its only "chunked" (RFC 9112, section 6.3). An earlier field line may
    /// already have had it.
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

    /// The framing that the fields announce; `nil` if they announce none (RFC 9112, sections 6.1, 6.3).
    func framing(minorVersion: UInt8) throws(FieldError) -> BodyFraming? {
        guard progress.isChunked else {
            return progress.contentLength.map { $0 == 0 ? .none : .length($0) }
        }
        guard minorVersion > 0 else { throw .contradictoryFraming(.transferEncodingInHTTP10) }
        guard progress.contentLength == nil else { throw .contradictoryFraming(.contentLengthWithTransferEncoding) }
        return .chunked
    }

    /// The sender keeps the connection open for another message (RFC 9112, section 9.3).
    func keepsAlive(minorVersion: UInt8) -> Bool { !progress.closes && (minorVersion > 0 || progress.keepsAlive) }
}

extension PackedName {
    fileprivate static let chunked = PackedName(low: 0x0064_656B_6E75_6863, high: 0)
    fileprivate static let close = PackedName(low: 0x0000_0065_736F_6C63, high: 0)
    fileprivate static let keepAlive = PackedName(low: 0x696C_612D_7065_656B, high: 0x0000_0000_0000_6576)
}

extension Span<UInt8> {
    /// The next non-empty item of the comma-separated list in `range` (RFC 9110, section 5.6.1), without white space
    /// around it; `start` moves past it. Quoted strings are not supported: Connection has none.
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
