internal import Bytes

/// One pass over the bytes of a head, from the position where the last one stopped. This part is the same for requests
/// and responses; their first lines and the meaning of their fields are in `HeadReader+Request` and
/// `HeadReader+Response`.
struct HeadReader: ~Escapable {
    let input: Span<UInt8>
    let limits: HeadLimits
    var progress: HeadProgress

    @_lifetime(copy input)
    init(input: Span<UInt8>, limits: HeadLimits, progress: HeadProgress) {
        self.input = input
        self.limits = limits
        self.progress = progress
    }

    /// A line of a head after its first line.
    enum FieldLine {
        /// A field, described by `progress` and appended to the fields.
        case field
        /// The empty line after the last field.
        case end
        case needsMore
    }

    @inline(__always)
    mutating func readFieldLine(into fields: inout [HeadField]) throws(FieldError) -> FieldLine {
        if progress.phase == .line {
            guard progress.index < input.count else { return .needsMore }
            if input[progress.index] == .carriageReturn {
                progress.phase = .lastLineFeed
                progress.index += 1
            } else if let (field, next) = wholeLine(at: progress.index) {
                guard fields.count < limits.fields else { throw .tooMany(limit: limits.fields) }
                progress.name = field.name
                progress.value = field.value
                progress.index = next
                fields.append(field)
                return .field
            } else {
                progress.phase = .name
                progress.mark = progress.index
            }
        }
        if progress.phase == .lastLineFeed { return try readLineFeed() ? .end : .needsMore }
        if progress.phase == .name {
            guard try readName() else { return .needsMore }
        }
        if progress.phase == .spaceBeforeValue {
            var index = progress.index
            while index < input.count, input[index].isOptionalWhiteSpace { index += 1 }
            progress.index = index
            guard index < input.count else { return .needsMore }
            progress.mark = index
            progress.phase = .value
        }
        if progress.phase == .value {
            let index = input.endOfFieldValue(from: progress.index)
            progress.index = index
            guard index < input.count else { return .needsMore }
            guard input[index] == .carriageReturn else { throw .invalidValue(at: index) }
            progress.index = index + 1
            progress.phase = .lineFeed
        }
        guard try readLineFeed() else { return .needsMore }
        progress.phase = .line
        var end = progress.index - 2
        while end > progress.mark, input[end - 1].isOptionalWhiteSpace { end -= 1 }
        guard fields.count < limits.fields else { throw .tooMany(limit: limits.fields) }
        progress.value = progress.mark..<end
        fields.append(HeadField(name: progress.name, nameRange: progress.nameRange, value: progress.value))
        return .field
    }

    /// The field line at `start`, and the position after it, if it has the form that most have: a known name, one space, a
    /// value without white space at its ends, and all of it has arrived. `nil` for every other line: the phases read those.
    @inline(__always)
    private func wholeLine(at start: Int) -> (HeadField, next: Int)? {
        guard let low = input.word(at: start), let high = input.word(at: start &+ 8),
            let (name, length) = FieldName.recognizeStart(low: low, high: high)
        else { return nil }
        let value = start &+ length &+ 2
        guard value < input.count, input[value &- 1] == .space, !input[value].isOptionalWhiteSpace else { return nil }
        let end = input.endOfFieldValue(from: value)
        guard end > value, end &+ 1 < input.count, input[end] == .carriageReturn, input[end &+ 1] == .lineFeed,
            !input[end &- 1].isOptionalWhiteSpace
        else { return nil }
        return (HeadField(name: name, nameRange: start..<start &+ length, value: value..<end), end &+ 2)
    }

    @inline(__always)
    private mutating func readName() throws(FieldError) -> Bool {
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
            throw index == start && input[index].isOptionalWhiteSpace ? .foldedLine(at: index) : .invalidName(at: index)
        }
        progress.name = FieldName.recognize(input, start..<index)
        progress.nameRange = start..<index
        progress.index = index + 1
        progress.phase = .spaceBeforeValue
        return true
    }

    /// Reads the second byte of a line end; the first one is just before `index`.
    private mutating func readLineFeed() throws(FieldError) -> Bool {
        guard progress.index < input.count else { return false }
        // A bare CR, like a bare LF, ends a line for some programs and not for others (RFC 9112, section 2.2).
        guard input[progress.index] == .lineFeed else { throw .invalidLineEnd(at: progress.index - 1) }
        progress.index += 1
        return true
    }

    /// Whether `byte` may be at `offset` in the eight bytes of `HTTP/1.1`. The caller checks the digits.
    static func isVersionByte(_ byte: UInt8, at offset: Int) -> Bool {
        switch offset {
        case 0: byte == 0x48
        case 1, 2: byte == 0x54
        case 3: byte == 0x50
        case 4: byte == .slash
        case 6: byte == 0x2E
        default: byte.isDigit
        }
    }

    /// `HTTP/1.1`, the first byte lowest.
    static let http11: UInt64 = 0x312E_312F_5054_5448
}

/// The position in a head, and the meaning of its fields so far.
struct HeadProgress: Sendable {
    /// The part that the next byte belongs to, in wire order: a request begins with a method and a target; a response
    /// has a status and a reason after its version.
    enum Phase: UInt8, Sendable {
        case start
        case method
        case target
        case version
        case status
        case reason
        case reasonLineFeed
        case line
        case name
        case spaceBeforeValue
        case value
        case lineFeed
        case lastLineFeed
    }

    var phase = Phase.start
    /// The offset of the next byte.
    var index = 0
    /// The offset at which the token of this phase begins.
    var mark = 0
    var nameRange: Range<Int> = 0..<0
    var value: Range<Int> = 0..<0
    var name = FieldName.other
    /// `nil` for an unsupported one.
    var method: HTTPMethod?
    var hasHost = false
    /// The target names the host; the Host field is checked and then ignored (RFC 9112, section 3.2.2).
    var hasTargetHost = false
    var contentLength: UInt64?
    var isChunked = false
    var closes = false
    var keepsAlive = false
    /// Connection has options that are names of fields.
    var nominates = false
}
