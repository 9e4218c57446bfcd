package import HTTP

/// The request that a client's connection is at: its head, and the received bytes in which the head's ranges count.
///
/// The stages of a gateway look at this, whatever protocol brought it. It is noncopyable, because it is lent and never copied.
package struct Request: ~Copyable {
    private let inPlace = AddressPin()
    package internal(set) var head = RequestHead()
    /// The address of the client, or of the proxy in front of the gateway.
    package let peer: String
    /// Whether the connection speaks TLS 1.3 and not 1.2. This is `nil` on a plain connection.
    package internal(set) var isTLS13: Bool?
    /// The received bytes: the head, and behind it the part of the body that has come.
    var input: [UInt8] = []
    /// The place in `input` where the head begins.
    var headStart = 0

    init(peer: String) { self.peer = peer }

    package var method: HTTPMethod { head.method }

    /// The bytes of the head, in which its ranges count. They are good until the body is read.
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

    /// A part of the head as text. Bytes that are not UTF-8 become U+FFFD.
    package func text(_ range: Range<Int>) -> String { String(decoding: bytes(range), as: UTF8.self) }
}
