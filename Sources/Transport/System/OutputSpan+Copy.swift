extension OutputSpan<UInt8> {
    /// Appends the bytes with one copy of memory. The caller must make sure that there is room for them.
    ///
    /// A loop over the bytes would need no unsafe code, but the compiler does not turn it into a copy of memory: it
    /// checks the room for each byte.
    @inlinable
    package mutating func append(copying bytes: [UInt8]) {
        precondition(bytes.count <= freeCapacity, "there is room for the appended bytes")
        // SAFETY: the array has `count` bytes, and the span has room for as many. The two do not overlap, because an
        // output span has exclusive access to its memory.
        unsafe bytes.withUnsafeBufferPointer { source in
            unsafe withUnsafeMutableBufferPointer { buffer, count in
                guard let from = source.baseAddress, let start = buffer.baseAddress else { return }
                unsafe (start + count).initialize(from: from, count: source.count)
                count += source.count
            }
        }
    }
}
