internal import HTTP
internal import Transport

/// A request and its response, as the stages see them, independent of the protocol.
///
/// `ServerConnection` conforms for HTTP/1.1 (`Pipeline/HTTP1`). A second protocol adds its own conformance without a
/// change of any stage, because the stream frames the bodies.
protocol ClientStream: RequestStream, ~Copyable {
    /// After this time nothing of the response is sent.
    var responseEnd: Instant { get set }
    /// The number of bytes written so far, sent or not.
    var bytesWritten: Int { get }
    /// The number of bytes sent so far.
    var bytesSent: Int { get }

    /// Writes the head of a response of the gateway's own.
    mutating func writeHead(of response: borrowing Response, for exchange: borrowing Exchange, _ heads: ResponseHeads)
    /// Writes the head of the upstream's response. The framing of the body depends on whether its length is known.
    mutating func beginRelaying(
        _ upstream: UpstreamConnection, for exchange: borrowing Exchange, _ heads: ResponseHeads)
    /// Writes an interim response of the upstream (RFC 9110, section 15.2). Returns `false` if the client does not get it.
    mutating func writeInterim(of upstream: UpstreamConnection) -> Bool
    /// Writes the body of a response of the gateway's own, or a part of it.
    mutating func append(_ bytes: [UInt8])
    /// Writes a piece of the upstream's body.
    mutating func append(_ piece: Range<Int>, of upstream: UpstreamConnection)
    /// Whether each piece of the current body is written with framing around it, so that no piece can be sent without a
    /// copy.
    var framesPieces: Bool { get }
    /// Writes the end of the upstream's body.
    mutating func endRelaying(_ upstream: UpstreamConnection)
    /// Removes everything written since `bytesWritten` was `mark`. Returns `false`, without any effect, if a part has
    /// been sent.
    mutating func takeBack(to mark: Int) -> Bool

    /// Whether so much is written that it should be sent first.
    var isFull: Bool { get }
    /// Sends the written bytes. Returns `false` if the client has left or took too long.
    mutating func flush() async -> Bool
    /// Sends as many of the written bytes as fill whole TLS records.
    mutating func flushFullRecords() async -> Bool
    /// Sends the written bytes, and then `bytes`, or a range of them, without a copy.
    mutating func flush(then bytes: [UInt8], in range: Range<Int>?) async -> Bool
    /// The connection must not carry another request.
    mutating func mustClose()
    /// Ends a response that is incomplete, so that the client sees it.
    mutating func abort()
}

extension ClientStream where Self: ~Copyable {
    /// Whether written bytes are pending, such as responses to earlier requests or interim responses.
    var hasUnsentBytes: Bool { bytesWritten > bytesSent }
}
