internal import Bytes

/// Encodes a chunked body (RFC 9112, section 7.1).
package enum ChunkedCoding {
    /// The last chunk; the trailers and an empty line follow it.
    package static let lastChunk = Array("0\r\n".utf8)
}

extension [UInt8] {
    /// Appends a part of `span`, which must not be empty, as one chunk.
    package mutating func append(chunk span: Span<UInt8>, _ range: Range<Int>) {
        precondition(!range.isEmpty, "an empty chunk would be the last one")
        append(hex: UInt64(range.count), digits: (Int.bitWidth - range.count.leadingZeroBitCount + 3) / 4)
        append(.carriageReturn)
        append(.lineFeed)
        append(span, range)
        append(.carriageReturn)
        append(.lineFeed)
    }
}
