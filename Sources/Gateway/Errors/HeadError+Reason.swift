internal import HTTP

extension HeadError {
    /// The error in words, for `details.reason` and the log. It contains nothing that the client sent.
    var reason: String {
        switch self {
        case .invalidMethod: "the method is malformed"
        case .unknownMethod: "the method is not known"
        case .invalidTarget: "the target is malformed"
        case .targetTooLong: "the target is too long"
        case .invalidVersion: "the version is malformed"
        case .unsupportedVersion: "the version is not supported"
        case .invalidLineEnd: "a line does not end with CR LF"
        case .invalidFieldName: "a field name is malformed"
        case .invalidFieldValue: "a field value is malformed"
        case .foldedLine: "a line begins with white space"
        case .headTooLong: "the head is too long"
        case .tooManyFields: "there are too many fields"
        case .missingHost: "Host is missing"
        case .repeatedHost: "Host is repeated"
        case .invalidHost: "Host is malformed"
        case .invalidContentLength: "Content-Length is malformed"
        case .differingContentLengths: "Content-Length is repeated with different values"
        case .contentLengthWithTransferEncoding: "both Content-Length and Transfer-Encoding are given"
        case .transferEncodingInHTTP10: "Transfer-Encoding needs HTTP/1.1"
        case .repeatedField: "a field is repeated"
        case .chunkedNotFinal: "Transfer-Encoding does not end with one chunked"
        case .unknownTransferCoding: "the transfer coding is not known"
        case .unknownExpectation: "the expectation is not known"
        }
    }
}

extension FramingError {
    var reason: String {
        switch self {
        case .invalidChunkSize: "a chunk size is malformed"
        case .chunkTooLarge: "a chunk is too large"
        case .invalidChunkEnd: "a chunk does not end where its size says"
        case .extensionTooLong: "a chunk extension is too long"
        case .invalidTrailer: "a trailer is malformed"
        case .trailersTooLong: "the trailers are too long"
        }
    }
}
