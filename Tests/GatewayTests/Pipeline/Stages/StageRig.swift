import HTTP
import Policy

@testable import Gateway
@testable import Transport

// What stages need that are tested alone: no loop, no socket, no TLS.

extension Request {
    /// The request whose head `text` is, its lines ended by LF.
    static func parsed(_ text: String, from peer: String = "127.0.0.1") throws -> Request {
        var request = Request(peer: peer)
        request.input = Array(text.replacing("\n", with: "\r\n").utf8)
        var parser = RequestHeadParser(limits: HeadLimits())
        let input = request.input
        guard try parser.parse(input.span, into: &request.head) else { throw Unfinished() }
        return request
    }

    struct Unfinished: Error {}
}

extension TraceContext {
    static func fresh() -> TraceContext {
        var random = FastRandom()
        return TraceContext(random: &random)
    }
}

extension WallClock {
    /// A clock that stands still.
    static func fixed(milliseconds: UInt64) -> WallClock { WallClock { milliseconds * 1_000_000 } }
}
