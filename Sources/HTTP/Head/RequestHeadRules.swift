internal import Bytes

/// The meaning of single fields for a request, and the checks of its whole head.
extension HeadReader {
    /// Records a field that frames the message or that a stage reads. A repeated singleton field is an error.
    mutating func record(
        _ name: FieldName, _ value: Range<Int>, into head: inout RequestHead
    ) throws(HeadError) {
        switch name {
        case .host:
            guard !progress.hasHost else { throw .repeatedHost }
            guard input.isHost(value) else { throw .invalidHost }
            progress.hasHost = true
            if !progress.hasTargetHost { head.host = value }
        case .contentLength, .transferEncoding, .connection:
            do throws(FieldError) { try recordFraming() } catch { throw HeadError(error) }
        case .expect:
            guard isText(value, .hundredContinue, length: 12) else { throw .unknownExpectation }
            head.expectsContinue = true
        case .authorization: try setSingleton(&head.authorization, to: value, name)
        case .apiKey: try setSingleton(&head.apiKey, to: value, name)
        case .organizationID: try setSingleton(&head.organizationID, to: value, name)
        case .contentType: try setSingleton(&head.contentType, to: value, name)
        // A repeated traceparent counts as none: the trace starts anew. An empty range marks this.
        case .traceparent: head.traceparent = head.traceparent == nil ? value : value.lowerBound..<value.lowerBound
        default: break
        }
    }

    private func setSingleton(
        _ field: inout Range<Int>?, to value: Range<Int>, _ name: FieldName
    ) throws(HeadError) {
        guard field == nil else { throw .repeatedField(name) }
        field = value
    }

    /// Checks what needs the whole head, and sets what follows from it (RFC 9112, sections 3.2, 6.1, 6.3, 9.3).
    func finish(_ head: inout RequestHead) throws(HeadError) {
        if !progress.hasHost, head.minorVersion > 0 { throw .missingHost }
        do throws(FieldError) {
            head.framing = try framing(minorVersion: head.minorVersion) ?? .none
        } catch { throw HeadError(error) }
        // Without a body there is nothing to wait for, and HTTP/1.0 has no interim response (RFC 9110, section 10.1.1).
        if head.framing.isNone || head.isHTTP10 { head.expectsContinue = false }
        head.keepsAlive = keepsAlive(minorVersion: head.minorVersion)
        head.nominatesFields = progress.nominates
    }
}

extension PackedName {
    fileprivate static let hundredContinue = PackedName(low: 0x746E_6F63_2D30_3031, high: 0x0000_0000_6575_6E69)
}

extension Span<UInt8> {
    /// A reg-name, IPv4 or bracketed IPv6 address with an optional port (RFC 3986, section 3.2.2). User information is
    /// not allowed, and http and https have no empty host (RFC 9110, section 4.2.1).
    func isHost(_ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        guard index < range.upperBound else { return false }
        if self[index] == .openBracket {
            index += 1
            var colons = 0
            while index < range.upperBound, self[index] != .closeBracket {
                if self[index] == .colon {
                    colons += 1
                } else if self[index] != .dot, !self[index].isHexDigit {
                    return false
                }
                index += 1
            }
            guard index < range.upperBound, (2...8).contains(colons) else { return false }
            index += 1
        } else {
            // RFC 3986 allows more characters than hosts have.
            while index < range.upperBound, self[index].isUnreserved { index += 1 }
            guard index > range.lowerBound else { return false }
        }
        guard index < range.upperBound else { return true }
        guard self[index] == .colon, range.upperBound - index <= 6 else { return false }
        // A colon without a port is allowed.
        guard index + 1 < range.upperBound else { return true }
        guard let port = Int(decimal: extracting(index + 1..<range.upperBound)) else { return false }
        return port <= 65535
    }
}
