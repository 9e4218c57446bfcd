internal import Bytes

/// Reading a request's head: the request line (RFC 9112, section 3), and the lines after it.
extension HeadReader {
    /// The maximum length of a method. The longest registered one has 17 letters.
    private static let methodBytes = 32

    /// `false` when the bytes end before the head does.
    mutating func read(into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase.rawValue < HeadProgress.Phase.line.rawValue {
            guard try readRequestLine(into: &head) else { return try runOut() }
        }
        while true {
            switch try readLine(into: &head) {
            case .field: if !progress.name.isOther { try record(progress.name, progress.value, into: &head) }
            case .end:
                head.end = progress.index
                try finish(&head)
                return true
            case .needsMore: return try runOut()
            }
        }
    }

    private mutating func readLine(into head: inout RequestHead) throws(HeadError) -> FieldLine {
        do throws(FieldError) { return try readFieldLine(into: &head.fields) } catch { throw HeadError(error) }
    }

    /// The bytes ended; more can follow only while the head is below its limit.
    private func runOut() throws(HeadError) -> Bool {
        guard input.count >= limits.headBytes else { return false }
        throw progress.phase == .target
            ? .targetTooLong(limit: limits.targetBytes) : .headTooLong(limit: limits.headBytes)
    }

    private mutating func readRequestLine(into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase == .start {
            guard !input.isEmpty else { return false }
            // One empty line before a request line is ignored (RFC 9112, section 2.2): some clients end a body with it.
            if input[0] == .carriageReturn {
                guard input.count > 1 else { return false }
                guard input[1] == .lineFeed else { throw .invalidLineEnd(at: 0) }
                progress.index = 2
            }
            progress.mark = progress.index
            progress.phase = .method
        }
        if progress.phase == .method {
            guard try readMethod() else { return false }
        }
        if progress.phase == .target {
            let limit = progress.mark + limits.targetBytes
            let index = input.endOfTarget(from: progress.index, limit: limit)
            progress.index = index
            guard index < input.count else { return false }
            guard index > progress.mark, input[index] == .space else {
                throw index == limit && input[index].isTargetByte
                    ? .targetTooLong(limit: limits.targetBytes) : .invalidTarget(at: index)
            }
            head.target = progress.mark..<index
            progress.index = index + 1
            progress.mark = index + 1
            progress.phase = .version
        }
        guard try readVersion(into: &head) else { return false }
        guard let method = progress.method else { throw .unknownMethod }
        head.method = method
        try splitTarget(of: &head)
        progress.phase = .line
        return true
    }

    private mutating func readMethod() throws(HeadError) -> Bool {
        let start = progress.mark
        var index = progress.index
        while index < input.count, input[index].isTokenByte {
            index += 1
            guard index - start <= HeadReader.methodBytes else { throw .unknownMethod }
        }
        progress.index = index
        guard index < input.count else { return false }
        guard index > start, input[index] == .space else {
            // White space in front would continue a line that does not exist.
            throw index == start && input[index].isOptionalWhiteSpace
                ? .foldedLine(at: index) : .invalidMethod(at: index)
        }
        progress.method = HTTPMethod(input, start..<index)
        progress.index = index + 1
        progress.mark = index + 1
        progress.phase = .target
        return true
    }

    /// `HTTP/1.x` and the line's end. An extra digit and another major version are different errors.
    private mutating func readVersion(into head: inout RequestHead) throws(HeadError) -> Bool {
        let start = progress.mark
        if progress.index == start, let word = input.word(at: start), word == HeadReader.http11 {
            progress.index = start + 8
        }
        while progress.index < start + 10 {
            let index = progress.index
            guard index < input.count else { return false }
            let byte = input[index]
            let isExpected =
                switch index - start {
                case 8: byte == .carriageReturn
                case 9: byte == .lineFeed
                case let offset: HeadReader.isVersionByte(byte, at: offset)
                }
            guard isExpected else {
                throw index == start + 9 ? .invalidLineEnd(at: index - 1) : .invalidVersion(at: index)
            }
            progress.index = index + 1
        }
        guard input[start + 5] == 0x31 else { throw .unsupportedVersion }
        // A higher minor version is treated as the highest supported one (RFC 9110, section 2.5).
        head.minorVersion = input[start + 7] == 0x30 ? 0 : 1
        return true
    }

    /// Origin-form, absolute-form (RFC 9112, section 3.2.2) or `OPTIONS *`.
    private mutating func splitTarget(of head: inout RequestHead) throws(HeadError) {
        var start = head.target.lowerBound
        let end = head.target.upperBound
        if input[start] != .slash {
            if head.method == .options, head.target.count == 1, input[start] == 0x2A {
                head.path = head.target
                return
            }
            start = try readAuthority(of: &head)
            if start == end {
                // An empty path is "/" (RFC 9110, section 4.2.3); the last slash of "://" is used for it.
                let slash = head.target.lowerBound + (input[head.target.lowerBound + 4] == .colon ? 6 : 7)
                head.path = slash..<slash + 1
                return
            }
            // Before a query there is no such slash, and path and query must be adjacent to form a target.
            guard input[start] == .slash else { throw .invalidTarget(at: start) }
        }
        if let mark = input.firstIndex(of: .questionMark, in: start..<end) {
            head.path = start..<mark
            head.query = mark + 1..<end
        } else {
            head.path = start..<end
        }
    }

    /// Reads the host of an absolute-form target; returns the offset of its end.
    private mutating func readAuthority(of head: inout RequestHead) throws(HeadError) -> Int {
        let start = head.target.lowerBound
        let end = head.target.upperBound
        let scheme =
            head.target.count > 8 && input.spells("https://", in: start..<start + 8)
            ? 8 : head.target.count > 7 && input.spells("http://", in: start..<start + 7) ? 7 : 0
        guard scheme > 0 else { throw .invalidTarget(at: start) }
        let authority = start + scheme
        var index = authority
        while index < end, input[index] != .slash, input[index] != .questionMark { index += 1 }
        guard input.isHost(authority..<index) else { throw .invalidTarget(at: authority) }
        head.host = authority..<index
        progress.hasTargetHost = true
        return index
    }
}
