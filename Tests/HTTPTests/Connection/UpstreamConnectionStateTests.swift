import HTTP
import Testing

@Suite("The life of a connection to an upstream")
struct UpstreamConnectionStateTests {
    enum Event {
        case request(HTTPMethod)
        case lastRequest(HTTPMethod)
        case sentBytes, requestSent, bytes
        case head(String)
        case bodyFinished, mustClose, responseFinished, responseFinishedWithSurplus, failed, upstreamClosed
    }

    enum Action: Equatable {
        case bytes(UpstreamConnectionState.AfterBytes)
        case head(UpstreamConnectionState.AfterHead)
        case response(UpstreamConnectionState.AfterResponse)
        case retry(UpstreamConnectionState.Retry)
        case end(UpstreamConnectionState.AfterEnd)
    }

    private func apply(_ event: Event, to state: inout UpstreamConnectionState) -> Action? {
        switch event {
        case .request(let method): state.requestBegan(method)
        case .lastRequest(let method): state.requestBegan(method, keepsAlive: false)
        case .sentBytes: state.sentBytes()
        case .requestSent: state.requestSent()
        case .bytes: return .bytes(state.receivedBytes())
        case .head(let text):
            var parser = ResponseHeadParser()
            var head = ResponseHead()
            #expect((try? parser.parse(Array(text.utf8).span, answering: .get, into: &head)) == true)
            return .head(state.receivedHead(head))
        case .bodyFinished: state.bodyFinished()
        case .mustClose: state.mustClose()
        case .responseFinished: return .response(state.responseFinished(hasSurplus: false))
        case .responseFinishedWithSurplus: return .response(state.responseFinished(hasSurplus: true))
        case .failed: return .retry(state.failed())
        case .upstreamClosed: return .end(state.upstreamClosed())
        }
        return nil
    }

    private static let ok = Event.head(responseText(["Content-Length: 5"]))
    private static let empty = Event.head(responseText(line: "HTTP/1.1 204 No Content"))
    private static let closing = Event.head(responseText(["Content-Length: 5", "Connection: close"]))
    private static let endless = Event.head(responseText())
    private static let interim = Event.head(responseText(line: "HTTP/1.1 100 Continue"))
    /// A whole exchange, after which the connection may be used again.
    private static let whole: [Event] = [.request(.get), .requestSent, .bytes, ok, .bodyFinished, .responseFinished]
    private static let wholeActions: [Action] = [.bytes(.read), .head(.readBody), .response(.reuse)]

    @Test("UpstreamConnectionState: events lead to these actions", arguments: tables)
    func follow(name: String, events: [Event], expected: [Action], isIdle: Bool) {
        var state = UpstreamConnectionState()
        let actions = events.compactMap { apply($0, to: &state) }
        #expect(actions == expected, "\(name)")
        #expect(state.isIdle == isIdle, "\(name)")
    }

    static let tables: [(String, [Event], [Action], Bool)] = [
        ("a new connection takes a request", [], [], true),
        ("a busy one does not", [.request(.get)], [], false),
        ("after a whole response it takes the next", whole, wholeActions, true),
        ("as often as they like", whole + whole, wholeActions + wholeActions, true),
        (
            "a response without a body is over with its head",
            [.request(.delete), .requestSent, .bytes, empty, .responseFinished],
            [.bytes(.read), .head(.finish), .response(.reuse)], true
        ),
        (
            "the upstream says that it was the last",
            [.request(.get), .requestSent, .bytes, closing, .bodyFinished, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "the request said so",
            [.lastRequest(.get), .requestSent, .bytes, ok, .bodyFinished, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "the driver lost trust",
            [.request(.get), .requestSent, .bytes, ok, .mustClose, .bodyFinished, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "a response that nobody read to its end",
            [.request(.get), .requestSent, .bytes, ok, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "a response that was faster than the request",
            [.request(.post), .sentBytes, .bytes, ok, .bodyFinished, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "unless the request still came to its end",
            [.request(.post), .sentBytes, .bytes, ok, .requestSent, .bodyFinished, .responseFinished],
            [.bytes(.read), .head(.readBody), .response(.reuse)], true
        ),
        (
            "bytes behind the response",
            [.request(.get), .requestSent, .bytes, ok, .bodyFinished, .responseFinishedWithSurplus],
            [.bytes(.read), .head(.readBody), .response(.close)], false
        ),
        (
            "bytes that come when the response is over",
            [.request(.get), .requestSent, .bytes, ok, .bodyFinished, .bytes, .responseFinished],
            [.bytes(.read), .head(.readBody), .bytes(.close), .response(.close)], false
        ),
        ("bytes that nobody asked for", [.bytes], [.bytes(.close)], false),
        ("also between requests", whole + [.bytes], wholeActions + [.bytes(.close)], false),
        (
            "and before a request was sent, which then goes elsewhere", whole + [.request(.post), .bytes, .failed],
            wholeActions + [.bytes(.close), .retry(.nothingSent)], false
        ),
        (
            "interim heads come first",
            [
                .request(.post), .sentBytes, .bytes, interim, interim, .requestSent, ok, .bodyFinished,
                .responseFinished,
            ],
            [.bytes(.read), .head(.readNextHead), .head(.readNextHead), .head(.readBody), .response(.reuse)], true
        ),
        (
            "sixteen of them and no more",
            [.request(.get), .requestSent, .bytes] + Array(repeating: interim, count: 17),
            [.bytes(.read)] + Array(repeating: .head(.readNextHead), count: 16) + [.head(.giveUp)], false
        ),
        (
            "each request has its own sixteen",
            (0..<2).flatMap { _ in
                [.request(.get), .requestSent, .bytes] + Array(repeating: interim, count: 16)
                    + [ok, .bodyFinished, .responseFinished]
            },
            (0..<2).flatMap { _ in
                [.bytes(.read)] + Array(repeating: .head(.readNextHead), count: 16)
                    + [.head(.readBody), .response(.reuse)]
            }, true
        ),
        (
            "a body may end with the connection",
            [.request(.get), .requestSent, .bytes, endless, .upstreamClosed, .responseFinished],
            [.bytes(.read), .head(.readBody), .end(.finish), .response(.close)], false
        ),
        (
            "one that is counted may not", [.request(.get), .requestSent, .bytes, ok, .upstreamClosed],
            [.bytes(.read), .head(.readBody), .end(.failed(.no))], false
        ),
        (
            "a connection that ends with its last response",
            [.request(.get), .requestSent, .bytes, ok, .bodyFinished, .upstreamClosed, .responseFinished],
            [.bytes(.read), .head(.readBody), .end(.finish), .response(.close)], false
        ),
        ("one that lost trust when idle", whole + [.mustClose], wholeActions, false),
        ("one that ends when idle", whole + [.upstreamClosed], wholeActions + [.end(.close)], false),
        (
            "a failure when idle", whole + [.failed, .upstreamClosed], wholeActions + [.retry(.no), .end(.close)], false
        ),
        (
            "a body's end without a head means nothing", [.request(.get), .requestSent, .bodyFinished, .bytes],
            [.bytes(.read)], false
        ),
    ]

    /// How far an exchange came before the connection failed.
    enum Progress: CaseIterable {
        case nothing, someBytes, request, responseBytes, interimHead, head, body

        var events: [Event] {
            switch self {
            case .nothing: []
            case .someBytes: [.sentBytes]
            case .request: [.requestSent]
            case .responseBytes: [.requestSent, .bytes]
            case .interimHead: [.requestSent, .bytes, interim]
            case .head: [.requestSent, .bytes, ok]
            case .body: [.requestSent, .bytes, ok, .bodyFinished]
            }
        }
    }

    @Test(
        "UpstreamConnectionState: a request is sent again only where that can do no harm",
        arguments: HTTPMethod.allCases, Progress.allCases)
    func retry(method: HTTPMethod, progress: Progress) {
        for isReused in [false, true] {
            var state = UpstreamConnectionState()
            for event in (isReused ? Self.whole : []) + [.request(method)] + progress.events {
                _ = apply(event, to: &state)
            }
            let expected: UpstreamConnectionState.Retry =
                switch progress {
                case .nothing: .nothingSent
                case .someBytes, .request:
                    isReused && method != .post && method != .patch ? .reusedAndNoResponseByte : .no
                case .responseBytes, .interimHead, .head, .body: .no
                }
            var closed = state
            #expect(state.failed() == expected)
            #expect(!state.isIdle)
            if progress != .body { #expect(closed.upstreamClosed() == .failed(expected)) }
        }
    }

    @Test("UpstreamConnectionState: what is safe is idempotent, and so are PUT and DELETE")
    func idempotent() {
        #expect(HTTPMethod.allCases.filter(\.isIdempotent) == [.get, .head, .put, .delete, .options])
    }
}
