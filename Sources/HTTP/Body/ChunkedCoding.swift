/// Puts the framing of a chunked body on (RFC 9112, section 7.1).
package enum ChunkedCoding {
    /// The last chunk; the trailers and an empty line follow it.
    package static let lastChunk = Array("0\r\n".utf8)
}

extension [UInt8] {
    /// Appends a part of `span`, which must not be empty, as one chunk.
    package mutating func append(chunk span: Span<UInt8>, _ range: Range<Int>) {
        precondition(!range.isEmpty, "an empty chunk would be the last one")
        var shift = (UInt64.bitWidth - UInt64(range.count).leadingZeroBitCount - 1) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: UInt64(range.count) >> UInt64(shift)) & 0xF
            append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
            shift -= 4
        }
        append(.carriageReturn)
        append(.lineFeed)
        append(span, range)
        append(.carriageReturn)
        append(.lineFeed)
    }
}
