internal import Bytes

/// Reading a response's head: the status line (RFC 9112, section 4), and the meaning of the fields.
extension HeadReader {
    /// `false` when the bytes end before the head does.
    mutating func read(
        into head: inout ResponseHead, answering method: HTTPMethod
    ) throws(ResponseHeadError) -> Bool {
        if progress.phase.rawValue < HeadProgress.Phase.line.rawValue {
            guard try readStatusLine(into: &head) else { return try runOut() }
        }
        while true {
            switch try readLine(into: &head) {
            case .field: if !progress.name.isOther { try record(progress.name, progress.value, into: &head) }
            case .end:
                head.end = progress.index
                try finish(&head, answering: method)
                return true
            case .needsMore: return try runOut()
            }
        }
    }

    private mutating func readLine(into head: inout ResponseHead) throws(ResponseHeadError) -> FieldLine {
        do throws(FieldError) { return try readFieldLine(into: &head.fields) } catch { throw ResponseHeadError(error) }
    }

    /// The bytes ended; more can follow only while the head is below its limit.
    private func runOut() throws(ResponseHeadError) -> Bool {
        guard input.count >= limits.headBytes else { return false }
        throw .headTooLong(limit: limits.headBytes)
    }

    private mutating func readStatusLine(into head: inout ResponseHead) throws(ResponseHeadError) -> Bool {
        if progress.phase == .start {
            if let word = input.word(at: 0), word == HeadReader.http11 { progress.index = 8 }
            progress.phase = .version
        }
        if progress.phase == .version {
            guard try readVersionAndStatus() else { return false }
            // A higher minor version is treated as the highest supported one (RFC 9110, section 2.5).
            head.minorVersion = input[7] == 0x30 ? 0 : 1
            head.status = (9..<12).reduce(0) { $0 * 10 + Int(input[$1] - 0x30) }
            progress.phase = .status
        }
        if progress.phase == .status {
            guard progress.index < input.count else { return false }
            // The space is required before an empty reason too, but many servers omit it.
            if input[progress.index] == .space { progress.index += 1 }
            progress.mark = progress.index
            progress.phase = .reason
            guard progress.mark == 13 || input[12] == .carriageReturn else { throw .invalidStatusLine(at: 12) }
        }
        if progress.phase == .reason {
            let index = input.endOfFieldValue(from: progress.index)
            progress.index = index
            guard index < input.count else { return false }
            guard input[index] == .carriageReturn else { throw .invalidStatusLine(at: index) }
            head.reason = progress.mark..<index
            progress.index = index + 1
            progress.phase = .reasonLineFeed
        }
        guard progress.index < input.count else { return false }
        guard input[progress.index] == .lineFeed else { throw .invalidStatusLine(at: progress.index - 1) }
        progress.index += 1
        progress.phase = .line
        return true
    }

    /// `HTTP/1.x`, a space and a status from 100 to 599.
    private mutating func readVersionAndStatus() throws(ResponseHeadError) -> Bool {
        while progress.index < 12 {
            let index = progress.index
            guard index < input.count else { return false }
            let byte = input[index]
            let isExpected =
                switch index {
                case 0..<8: HeadReader.isVersionByte(byte, at: index)
                case 8: byte == .space
                case 9: (0x31...0x35).contains(byte)
                default: byte.isDigit
                }
            guard isExpected else { throw .invalidStatusLine(at: index) }
            guard index != 5 || byte == 0x31 else { throw .unsupportedVersion }
            progress.index = index + 1
        }
        return true
    }

    private mutating func record(
        _ name: FieldName, _ value: Range<Int>, into head: inout ResponseHead
    ) throws(ResponseHeadError) {
        switch name {
        case .contentLength, .transferEncoding, .connection:
            do throws(FieldError) { try recordFraming() } catch { throw ResponseHeadError(error) }
        case .contentType: head.contentType = singletonValue(head.contentType, value)
        case .contentEncoding: head.contentEncoding = singletonValue(head.contentEncoding, value)
        case .retryAfter: head.retryAfter = singletonValue(head.retryAfter, value)
        case .location: head.location = singletonValue(head.location, value)
        default: break
        }
    }

    /// The value of a field whose value so far was `previous`; empty if it is repeated.
    private func singletonValue(_ previous: Range<Int>?, _ value: Range<Int>) -> Range<Int> {
        previous == nil ? value : value.lowerBound..<value.lowerBound
    }

    /// Checks what needs the whole head, and sets what follows from it (RFC 9112, sections 6.3, 9.3).
    private func finish(_ head: inout ResponseHead, answering method: HTTPMethod) throws(ResponseHeadError) {
        guard head.status != 101 else { throw .switchedProtocols }
        let announced: BodyFraming?
        do throws(FieldError) {
            announced = try framing(minorVersion: head.minorVersion)
        } catch { throw ResponseHeadError(error) }
        if head.isInterim || head.status == 204 {
            guard announced == nil || announced == BodyFraming.none else { throw .impossibleBody }
        } else {
            head.announcedLength = progress.contentLength
        }
        let hasBody = method != .head && !HTTPStatus.hasNoBody(head.status)
        head.framing = hasBody ? announced ?? .untilClose : .none
        head.keepsAlive = keepsAlive(minorVersion: head.minorVersion) && head.framing != .untilClose
        head.nominatesFields = progress.nominates
    }
}
