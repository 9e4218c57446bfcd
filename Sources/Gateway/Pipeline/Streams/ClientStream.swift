internal import HTTP
internal import Transport

/// A request and the way to answer it: all that the stages see of a client, whatever protocol it speaks.
///
/// `ServerConnection` is this for HTTP/1.1 (`Pipeline/HTTP1`). A second protocol brings a conformance of its own, and no stage
/// changes: how a body is framed is the stream's business.
protocol ClientStream: RequestStream, ~Copyable {
    /// Nothing of the response is sent after this.
    var responseEnd: Instant { get set }
    /// Bytes that were written so far, sent or not.
    var bytesWritten: Int { get }
    /// Bytes that have left so far.
    var bytesSent: Int { get }

    /// Writes the head of a response of the gateway's own.
    mutating func writeHead(of response: borrowing Response, for exchange: borrowing Exchange, _ heads: ResponseHeads)
    /// Writes the head of the upstream's response, and frames the body that follows as its length is known or not.
    mutating func beginRelaying(
        _ upstream: UpstreamConnection, for exchange: borrowing Exchange, _ heads: ResponseHeads)
    /// Writes an interim response of the upstream (RFC 9110, section 15.2). `false` where the client does not get one.
    mutating func writeInterim(of upstream: UpstreamConnection) -> Bool
    /// Writes the body of a response of the gateway's own, or a part of it.
    mutating func append(_ bytes: [UInt8])
    /// Writes a piece of the upstream's body.
    mutating func append(_ piece: Range<Int>, of upstream: UpstreamConnection)
    /// Something is written around each piece of the body under way, so that none can be sent from where it is.
    var framesPieces: Bool { get }
    /// Writes what follows the last piece of the upstream's body.
    mutating func endRelaying(_ upstream: UpstreamConnection)
    /// Forgets what was written since `bytesWritten` was `mark`. `false`, and nothing is forgotten, where a part of it has left.
    mutating func takeBack(to mark: Int) -> Bool

    /// So much is written that it should be sent before more is.
    var isFull: Bool { get }
    /// Sends what was written. `false` when the client is gone or took too long.
    mutating func flush() async -> Bool
    /// Sends as much of what was written as fills TLS records.
    mutating func flushFullRecords() async -> Bool
    /// Sends what was written, and then `bytes`, or a part of them, without copying them.
    mutating func flush(then bytes: [UInt8], in range: Range<Int>?) async -> Bool
    /// The connection must not carry another request.
    mutating func mustClose()
    /// The response ended early, and the client must see that.
    mutating func cut()
}

extension ClientStream where Self: ~Copyable {
    /// Responses to earlier requests, or interim ones, wait to be sent.
    var hasUnsentBytes: Bool { bytesWritten > bytesSent }
}
