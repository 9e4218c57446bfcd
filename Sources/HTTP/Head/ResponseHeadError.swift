/// Why an upstream's bytes are not a response head that may be forwarded. `at` is an offset from the head's first byte.
package enum ResponseHeadError: Error, Equatable, Sendable {
    /// Not `HTTP/1.x`, a status from 100 to 599, and a reason.
    case invalidStatusLine(at: Int)
    case unsupportedVersion
    /// A line that is no field, or is folded, or has a byte that may end a line for other programs.
    case invalidField(at: Int)
    case headTooLong(limit: Int)
    case tooManyFields(limit: Int)
    /// The fields do not define where the body ends.
    case contradictoryFraming(FramingContradiction)
    /// The fields announce a body, but the status allows none (RFC 9110, section 8.6, and RFC 9112, section 6.1): it is
    /// unclear whether one follows.
    case impossibleBody
    /// An unexpected 101.
    case switchedProtocols
}

extension ResponseHeadError {
    init(_ error: FieldError) {
        switch error {
        case .invalidLineEnd(let offset), .invalidName(let offset), .invalidValue(let offset), .foldedLine(let offset):
            self = .invalidField(at: offset)
        case .tooMany(let limit): self = .tooManyFields(limit: limit)
        case .contradictoryFraming(let contradiction): self = .contradictoryFraming(contradiction)
        }
    }
}
