/// One run over the bytes of a head, from where the last one had to stop.
struct HeadReader: ~Escapable {
    let input: Span<UInt8>
    let limits: HeadLimits
    var progress: HeadProgress

    /// Longer ones than this are not waited for. The longest registered method has 17 letters.
    private static let methodBytes = 32

    @_lifetime(copy input)
    init(input: Span<UInt8>, limits: HeadLimits, progress: HeadProgress) {
        self.input = input
        self.limits = limits
        self.progress = progress
    }

    /// `false` when the bytes end before the head does.
    mutating func read(into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase.rawValue < HeadProgress.Phase.line.rawValue {
            guard try readRequestLine(into: &head) else { return try runOut() }
        }
        while true {
            if progress.phase == .line {
                guard progress.index < input.count else { return try runOut() }
                if input[progress.index] == .carriageReturn {
                    progress.phase = .lastLineFeed
                    progress.index += 1
                } else {
                    progress.phase = .name
                    progress.mark = progress.index
                }
            }
            if progress.phase == .lastLineFeed {
                guard try readLineFeed() else { return try runOut() }
                head.end = progress.index
                try judge(&head)
                return true
            }
            guard try readField(into: &head) else { return try runOut() }
        }
    }

    /// The bytes ended; there may be more only while the head is below its limit.
    private func runOut() throws(HeadError) -> Bool {
        guard input.count >= limits.headBytes else { return false }
        throw progress.phase == .target
            ? .targetTooLong(limit: limits.targetBytes) : .headTooLong(limit: limits.headBytes)
    }

    private mutating func readRequestLine(into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase == .start {
            guard !input.isEmpty else { return false }
            // One empty line before a request line is forgiven (RFC 9112, section 2.2), for clients that end a body
            // with it.
            if input[0] == .carriageReturn {
                progress.index = 1
                guard try readLineFeed() else { return false }
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
            // White space in front would make the line a continuation of nothing.
            throw index == start && input[index].isOptionalWhiteSpace
                ? .foldedLine(at: index) : .invalidMethod(at: index)
        }
        progress.method = HTTPMethod(input, start..<index)
        progress.index = index + 1
        progress.mark = index + 1
        progress.phase = .target
        return true
    }

    /// `HTTP/1.x` and the line's end. A digit too many and another major version are told apart.
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
                case 0: byte == 0x48
                case 1, 2: byte == 0x54
                case 3: byte == 0x50
                case 4: byte == .slash
                case 5, 7: byte.isDigit
                case 6: byte == 0x2E
                case 8: byte == .carriageReturn
                default: byte == .lineFeed
                }
            guard isExpected else {
                throw index == start + 9 ? .invalidLineEnd(at: index - 1) : .invalidVersion(at: index)
            }
            progress.index = index + 1
        }
        guard input[start + 5] == 0x31 else { throw .unsupportedVersion }
        // A higher minor version is answered as the highest one we speak (RFC 9110, section 2.5).
        head.minorVersion = input[start + 7] == 0x30 ? 0 : 1
        return true
    }

    private static let http11: UInt64 = 0x312E_312F_5054_5448

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
                // An empty path is "/" (RFC 9110, section 4.2.3); the last slash of "://" stands for it.
                let slash = head.target.lowerBound + (input[head.target.lowerBound + 4] == .colon ? 6 : 7)
                head.path = slash..<slash + 1
                return
            }
            // With a query there is no such slash before it, and path and query must stand together as a target.
            guard input[start] == .slash else { throw .invalidTarget(at: start) }
        }
        if let mark = input.firstIndex(of: .questionMark, in: start..<end) {
            head.path = start..<mark
            head.query = mark + 1..<end
        } else {
            head.path = start..<end
        }
    }

    /// Takes the host out of an absolute-form target; returns where it ends.
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

    private mutating func readField(into head: inout RequestHead) throws(HeadError) -> Bool {
        if progress.phase == .name {
            guard try readName() else { return false }
        }
        if progress.phase == .spaceBeforeValue {
            var index = progress.index
            while index < input.count, input[index].isOptionalWhiteSpace { index += 1 }
            progress.index = index
            guard index < input.count else { return false }
            progress.mark = index
            progress.phase = .value
        }
        if progress.phase == .value {
            let index = input.endOfFieldValue(from: progress.index)
            progress.index = index
            guard index < input.count else { return false }
            guard input[index] == .carriageReturn else { throw .invalidFieldValue(at: index) }
            progress.index = index + 1
            progress.phase = .lineFeed
        }
        guard try readLineFeed() else { return false }
        progress.phase = .line
        var end = progress.index - 2
        while end > progress.mark, input[end - 1].isOptionalWhiteSpace { end -= 1 }
        guard head.fields.count < limits.fields else { throw .tooManyFields(limit: limits.fields) }
        let value = progress.mark..<end
        head.fields.append(.init(name: progress.name, nameRange: progress.nameRange, value: value))
        if progress.name != .other { try take(progress.name, value, into: &head) }
        return true
    }

    private mutating func readName() throws(HeadError) -> Bool {
        let start = progress.mark
        // A known name needs no test of its bytes; see `FieldName.recognizeStart`.
        if progress.index == start, let low = input.word(at: start), let high = input.word(at: start + 8),
            let (name, length) = FieldName.recognizeStart(low: low, high: high)
        {
            progress.name = name
            progress.nameRange = start..<start + length
            progress.index = start + length + 1
            progress.phase = .spaceBeforeValue
            return true
        }
        var index = progress.index
        while index < input.count, input[index].isTokenByte { index += 1 }
        progress.index = index
        guard index < input.count else { return false }
        guard index > start, input[index] == .colon else {
            // White space before the colon, or a folded line, or a line without a colon (RFC 9112, sections 5.1, 5.2).
            throw index == start && input[index].isOptionalWhiteSpace
                ? .foldedLine(at: index) : .invalidFieldName(at: index)
        }
        progress.name = FieldName.recognize(input, start..<index)
        progress.nameRange = start..<index
        progress.index = index + 1
        progress.phase = .spaceBeforeValue
        return true
    }

    /// The second half of a line's end; the first was just before `index`.
    private mutating func readLineFeed() throws(HeadError) -> Bool {
        guard progress.index < input.count else { return false }
        // A bare CR, like a bare LF, is a line's end to some and not to others (RFC 9112, section 2.2).
        guard input[progress.index] == .lineFeed else { throw .invalidLineEnd(at: progress.index - 1) }
        progress.index += 1
        return true
    }
}
