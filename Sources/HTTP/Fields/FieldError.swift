/// What is wrong with a field line of a request or a response.
enum FieldError: Error, Equatable {
    case invalidLineEnd(at: Int)
    case invalidName(at: Int)
    case invalidValue(at: Int)
    case foldedLine(at: Int)
    case tooMany(limit: Int)
    case contradictoryFraming(FramingContradiction)
}

/// Why the fields of a head do not define where its body ends (RFC 9112, sections 6.1 to 6.3).
package enum FramingContradiction: Equatable, Sendable {
    case invalidContentLength
    case differingContentLengths
    case contentLengthWithTransferEncoding
    case transferEncodingInHTTP10
    /// Other codings, with chunked as the last one.
    case unknownTransferCoding
    /// Transfer-Encoding does not end with chunked, or names it twice.
    case chunkedNotFinal
}
