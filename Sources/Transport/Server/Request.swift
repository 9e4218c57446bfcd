package import HTTP

/// The request that a client's connection is at: its head, and the received bytes in which the head's ranges count.
///
/// What the stages of a gateway look at, whatever protocol brought it. Noncopyable: it is lent, never copied.
package struct Request: ~Copyable {
    private let inPlace = AddressPin()
    package internal(set) var head = RequestHead()
    /// The address of the client or of the proxy before it.
    package let peer: String
    /// Whether the connection speaks TLS 1.3 and not 1.2; `nil` on a plain connection.
    package internal(set) var isTLS13: Bool?
    /// Received bytes: the head, and behind it what has come of the body.
    var input: [UInt8] = []
    /// Where the head begins in `input`.
    var headStart = 0

    init(peer: String) { self.peer = peer }

    package var method: HTTPMethod { head.method }

    /// The bytes of the head, in which its ranges count. Good until the body is read.
    package var headBytes: Span<UInt8> {
        @_lifetime(borrow self) get { input.span.extracting(headStart..<headStart + head.end) }
    }

    /// Appends a piece of the body, a range that the stream gave with it.
    package func appendBody(_ piece: Range<Int>, asChunk: Bool = false, to output: inout [UInt8]) {
        if asChunk {
            output.append(chunk: input.span, piece)
        } else {
            output += input[piece]
        }
    }

    /// A copy of a part of the head.
    package func bytes(_ range: Range<Int>) -> [UInt8] {
        Array(input[headStart + range.lowerBound..<headStart + range.upperBound])
    }

    /// A part of the head as text; what is not UTF-8 in it becomes U+FFFD.
    package func text(_ range: Range<Int>) -> String { String(decoding: bytes(range), as: UTF8.self) }
}
