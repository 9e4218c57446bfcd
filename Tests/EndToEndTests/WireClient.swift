import Glibc
import TestSupport
import Testing

/// One connection of a test that sends any bytes, in any pieces, and reads any answer. Blocks, with a deadline.
protocol WireClient: AnyObject {
    /// Received and not yet taken.
    var received: [UInt8] { get set }
    func send(_ bytes: [UInt8]) throws
    /// Reads more; `false` at the end of what the server sends.
    func receive() throws -> Bool
    /// Says that nothing more will be sent, and goes on reading.
    func finishSending()
}

extension WireClient {
    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// The next response, `100 Continue` included. `hasBody` is false for the answer to a HEAD.
    func answer(hasBody: Bool = true) throws -> Answer {
        let emptyLine = Array("\r\n\r\n".utf8)
        var end = position(of: emptyLine)
        while end == nil {
            guard try receive() else { throw TLSClient.Broken(reason: "the connection ended before an answer") }
            end = position(of: emptyLine)
        }
        let headBytes = (end ?? 0) + emptyLine.count
        var answer = try Answer(head: String(decoding: received[..<headBytes], as: UTF8.self))
        received.removeFirst(headBytes)
        guard hasBody, answer.status >= 200, answer.status != 204, answer.status != 304 else { return answer }
        let length = try #require(answer["content-length"].flatMap(Int.init), "an answer has a length")
        while received.count < length {
            guard try receive() else { throw TLSClient.Broken(reason: "the connection ended inside a body") }
        }
        answer.body = Array(received[..<length])
        received.removeFirst(length)
        return answer
    }

    private func position(of pattern: [UInt8]) -> Int? {
        guard received.count >= pattern.count else { return nil }
        return (0...received.count - pattern.count).first { received[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }

    /// Expects the end of the connection, in order and not by a reset, with nothing before it.
    func expectEnd(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let isOpen = try receive()
        #expect(!isOpen, "\(String(decoding: received, as: UTF8.self))", sourceLocation: sourceLocation)
    }
}

/// A connection without TLS.
final class PlainClient: WireClient {
    private let socket: PlainSocket
    var received: [UInt8] = []

    init(port: UInt16) throws { socket = try PlainSocket(port: port) }

    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    func finishSending() { socket.finishSending() }

    func receive() throws -> Bool { try socket.receive(into: &received) }
}
