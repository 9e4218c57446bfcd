/// Text appended to a byte buffer without making a `String`, for heads, envelopes, log lines and metrics.
///
/// Pieces are written through an `OutputSpan`, which checks the array's uniqueness and capacity once per piece instead of once
/// per byte, so that the loop becomes a copy of memory.
extension [UInt8] {
    /// Appends UTF-8 text unchanged.
    @inlinable
    package mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends bytes unchanged.
    @inlinable
    package mutating func append(bytes: Span<UInt8>) {
        append(addingCapacity: bytes.count) { output in
            for index in bytes.indices { output.append(bytes[index]) }
        }
    }

    /// Appends the bytes of `span` in `range`.
    @inlinable
    package mutating func append(_ span: Span<UInt8>, _ range: Range<Int>) {
        append(bytes: span.extracting(range))
    }
}

extension Span<UInt8> {
    /// The bytes as text; anything that is not UTF-8 is replaced.
    package func text(_ range: Range<Int>) -> String {
        String(decoding: array(range), as: UTF8.self)
    }

    /// A copy of `range`.
    package func array(_ range: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(self, range)
        return bytes
    }
}
