/// Why bytes of an upstream are not a response head that may be forwarded. `at` counts from the head's first byte.
package enum ResponseHeadError: Error, Equatable, Sendable {
    /// Not `HTTP/1.x`, a status from 100 to 599, and a reason.
    case invalidStatusLine(at: Int)
    case unsupportedVersion
    /// A line that is no field, or a folded one, or one with a byte that may end a line for others.
    case invalidField(at: Int)
    case headTooLong(limit: Int)
    case tooManyFields(limit: Int)
    /// The fields do not tell where the body ends.
    case contradictoryFraming(FramingContradiction)
    /// The fields announce a body where the status allows none (RFC 9110, section 8.6, and RFC 9112, section 6.1):
    /// whether one follows is in doubt.
    case impossibleBody
    /// 101, which nobody asked for.
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
