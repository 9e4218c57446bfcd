/// Why bytes are not a valid request head. `at` is an offset from the head's first byte.
package enum HeadError: Error, Equatable, Sendable {
    case invalidMethod(at: Int)
    case unknownMethod
    case invalidTarget(at: Int)
    case targetTooLong(limit: Int)
    case invalidVersion(at: Int)
    case unsupportedVersion
    case invalidLineEnd(at: Int)
    case invalidFieldName(at: Int)
    case invalidFieldValue(at: Int)
    /// A line that begins with white space: obs-fold (RFC 9112, section 5.2), or a field before the request line.
    case foldedLine(at: Int)
    case headTooLong(limit: Int)
    case tooManyFields(limit: Int)
    case missingHost
    case repeatedHost
    case invalidHost
    case invalidContentLength
    case differingContentLengths
    case contentLengthWithTransferEncoding
    case transferEncodingInHTTP10
    case repeatedField(FieldName)
    /// Other codings, with chunked as the last one.
    case unknownTransferCoding
    /// Transfer-Encoding does not end with chunked, or names it twice: the end of the body is unknown.
    case chunkedNotFinal
    case unknownExpectation
}

extension HeadError {
    init(_ error: FieldError) {
        switch error {
        case .invalidLineEnd(let offset): self = .invalidLineEnd(at: offset)
        case .invalidName(let offset): self = .invalidFieldName(at: offset)
        case .invalidValue(let offset): self = .invalidFieldValue(at: offset)
        case .foldedLine(let offset): self = .foldedLine(at: offset)
        case .tooMany(let limit): self = .tooManyFields(limit: limit)
        case .contradictoryFraming(let contradiction):
            switch contradiction {
            case .invalidContentLength: self = .invalidContentLength
            case .differingContentLengths: self = .differingContentLengths
            case .contentLengthWithTransferEncoding: self = .contentLengthWithTransferEncoding
            case .transferEncodingInHTTP10: self = .transferEncodingInHTTP10
            case .unknownTransferCoding: self = .unknownTransferCoding
            case .chunkedNotFinal: self = .chunkedNotFinal
            }
        }
    }
}

/// Why the bytes of a body do not fit its framing.
package enum FramingError: Error, Equatable, Sendable {
    case invalidChunkSize
    case chunkTooLarge
    case invalidChunkEnd
    case extensionTooLong
    case invalidTrailer
    case trailersTooLong
}

/// Where a message's body ends (RFC 9112, section 6.3).
package enum BodyFraming: Equatable, Sendable {
    case none
    case length(UInt64)
    case chunked
    /// At the end of the connection: a response without other framing. A request never has this.
    case untilClose

    /// Costs less than `==`, which goes through the conformance.
    package var isNone: Bool { if case .none = self { true } else { false } }

    /// Whether the length is known to be at most `limit`.
    package func isAtMost(_ limit: UInt64) -> Bool {
        if case .length(let length) = self { length <= limit } else { false }
    }
}

/// The limits of a head.
package struct HeadLimits: Equatable, Sendable {
    /// Of a request's target.
    package var targetBytes: Int
    /// From the first byte through the empty line.
    package var headBytes: Int
    /// Field lines, those of one name counted separately.
    package var fields: Int

    package init(targetBytes: Int = 8192, headBytes: Int = 16384, fields: Int = 100) {
        self.targetBytes = targetBytes
        self.headBytes = headBytes
        self.fields = fields
    }

    /// The limits for an upstream: higher than for a client, because the operator chose it.
    package static let upstream = HeadLimits(headBytes: 65536, fields: 200)
}
