internal import HTTP
internal import Transport

extension UpstreamConnection {
    /// Lends the head of the current response, and the bytes in which its ranges count. Good until the body is read, which
    /// overwrites the head.
    @inline(__always)
    func withHead<Result: ~Copyable, Problem: Error>(
        _ body: (borrowing ResponseHead, Span<UInt8>) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        let head = head
        let received = input
        return try body(head, received.span.extracting(headStart..<headStart + head.end))
    }
}
