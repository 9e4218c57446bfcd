internal import HTTP
internal import Transport

extension UpstreamConnection {
    /// Passes `body` the head of the current response and the bytes that its ranges refer to. Valid until the response
    /// body is read, which overwrites the head.
    @inline(__always)
    func withHead<Result: ~Copyable, Problem: Error>(
        _ body: (borrowing ResponseHead, Span<UInt8>) throws(Problem) -> Result
    ) throws(Problem) -> Result {
        let head = head
        let received = input
        return try body(head, received.span.extracting(headStart..<headStart + head.end))
    }
}
