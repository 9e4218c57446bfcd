extension OutputSpan<UInt8> {
    /// Appends bytes as they are, as one copy of memory. There has to be room for them.
    ///
    /// A loop over the bytes is safe as well, but the compiler makes it no copy of memory here: it has to check the room for each
    /// byte.
    @inlinable
    package mutating func append(copying bytes: [UInt8]) {
        precondition(bytes.count <= freeCapacity, "bytes are appended where there is room")
        // SAFETY: the bytes come from an array of that count, and go to where there is room for as many; the two do not overlap,
        // because nobody else may look at what a span writes.
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe withUnsafeMutableBufferPointer { buffer, count in
                guard let from = source.baseAddress, let start = buffer.baseAddress else { return }
                unsafe (start + count).initialize(from: from, count: source.count)
                count += source.count
            }
        }
    }
}
