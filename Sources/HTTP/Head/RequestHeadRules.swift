/// What single fields mean for a request, and what its whole head must add up to.
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
        case .contentLength, .transferEncoding, .connection:
            do throws(FieldError) { try takeFraming() } catch { throw HeadError(error) }
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

    /// What only the whole head can tell (RFC 9112, sections 3.2, 6.1, 6.3, 9.3).
    func judge(_ head: inout RequestHead) throws(HeadError) {
        if !progress.hasHost, head.minorVersion > 0 { throw .missingHost }
        do throws(FieldError) {
            head.framing = try framing(minorVersion: head.minorVersion) ?? .none
        } catch { throw HeadError(error) }
        // Nobody waits to send what is not there, and HTTP/1.0 knows no interim answer (RFC 9110, section 10.1.1).
        if head.framing.isNone || head.isHTTP10 { head.expectsContinue = false }
        head.keepsAlive = keepsAlive(minorVersion: head.minorVersion)
        head.nominatesFields = progress.nominates
    }
}

extension PackedName {
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
