import HTTP
import Testing

@Suite("The life of a connection")
struct ServerConnectionStateTests {
    enum Event {
        case bytes
        case head(String)
        case headFailed, bodyFinished, responseStarted, responseStartedBeforeBody, mustClose, mustAbort
        case responseFinished, drain
    }

    enum Action: Equatable {
        case after(ServerConnectionState.AfterResponse)
        case drain(ServerConnectionState.AfterDrain)
    }

    private func actions(_ events: [Event], maximumRequests: Int = .max) -> [Action] {
        var state = ServerConnectionState(maximumRequests: maximumRequests)
        return events.compactMap { apply($0, to: &state) }
    }

    private func apply(_ event: Event, to state: inout ServerConnectionState) -> Action? {
        switch event {
        case .bytes: state.receivedBytes()
        case .head(let text):
            var parser = RequestHeadParser()
            var head = RequestHead()
            #expect((try? parser.parse(Array(text.utf8).span, into: &head)) == true)
            state.receivedHead(head)
        case .headFailed: state.headFailed()
        case .bodyFinished: state.bodyFinished()
        case .responseStarted: state.responseStarted()
        case .responseStartedBeforeBody: state.responseStarted(discardsBody: true)
        case .mustClose: state.mustClose()
        case .mustAbort: state.mustAbort()
        case .responseFinished: return .after(state.responseFinished())
        case .drain: return .drain(state.drainBegan())
        }
        return nil
    }

    private static let get = Event.head(headText())
    private static let closing = Event.head(headText(["Connection: close"]))
    private static let old = Event.head(headText(line: "GET / HTTP/1.0"))
    private static let post = Event.head(headText(["Content-Length: 5"], line: "POST / HTTP/1.1"))

    @Test("ServerConnectionState: events lead to these actions", arguments: tables)
    func follow(name: String, events: [Event], expected: [Action]) {
        #expect(actions(events) == expected, "\(name)")
    }

    static let tables: [(String, [Event], [Action])] = [
        (
            "a request is followed by another", [.bytes, get, .responseStarted, .responseFinished],
            [.after(.readNextRequest)]
        ),
        (
            "as often as the client likes",
            [.bytes, get, .responseStarted, .responseFinished, get, .responseStarted, .responseFinished],
            [.after(.readNextRequest), .after(.readNextRequest)]
        ),
        (
            "the client says it was the last", [.bytes, closing, .responseStarted, .responseFinished],
            [.after(.closeGracefully)]
        ),
        ("HTTP/1.0 has one request", [.bytes, old, .responseStarted, .responseFinished], [.after(.closeGracefully)]),
        (
            "a body that was read may be followed",
            [.bytes, post, .bodyFinished, .responseStarted, .responseFinished], [.after(.readNextRequest)]
        ),
        (
            "a body that was not read before the answer may not",
            [.bytes, post, .responseStarted, .bodyFinished, .responseFinished], [.after(.closeGracefully)]
        ),
        (
            "nor one that was never read", [.bytes, post, .responseStarted, .responseFinished],
            [.after(.closeGracefully)]
        ),
        (
            "not even when nobody said that the answer began", [.bytes, post, .responseFinished],
            [.after(.closeGracefully)]
        ),
        (
            "garbage is answered once", [.bytes, .headFailed, .responseStarted, .responseFinished],
            [.after(.closeGracefully)]
        ),
        (
            "a stage lost trust", [.bytes, get, .mustClose, .responseStarted, .responseFinished],
            [.after(.closeGracefully)]
        ),
        (
            "a response that ended early must not look complete",
            [.bytes, get, .responseStarted, .mustAbort, .responseFinished], [.after(.abort)]
        ),
        ("an idle connection drains at once", [.drain], [.drain(.closeNow)]),
        (
            "also after a request", [.bytes, get, .responseStarted, .responseFinished, .drain],
            [.after(.readNextRequest), .drain(.closeNow)]
        ),
        (
            "half a head is finished first", [.bytes, .drain, get, .responseStarted, .responseFinished],
            [.drain(.finishExchange), .after(.closeGracefully)]
        ),
        (
            "and so is an exchange", [.bytes, get, .drain, .responseStarted, .responseFinished],
            [.drain(.finishExchange), .after(.closeGracefully)]
        ),
        ("draining twice changes nothing", [.drain, .drain], [.drain(.closeNow), .drain(.closeNow)]),
        (
            "a closed connection has nothing to finish", [.bytes, closing, .responseFinished, .drain],
            [.after(.closeGracefully), .drain(.closeNow)]
        ),
        ("a body's end without a request means nothing", [.bodyFinished, .drain], [.drain(.closeNow)]),
    ]

    @Test("ServerConnectionState: after its last request a connection ends")
    func maximumRequests() {
        let events: [Event] = [Self.get, .responseFinished, Self.get, .responseFinished]
        #expect(actions(events, maximumRequests: 2) == [.after(.readNextRequest), .after(.closeGracefully)])
        #expect(actions(Array(events.prefix(2)), maximumRequests: 1) == [.after(.closeGracefully)])
    }

    @Test("ServerConnectionState: a response says that it is the last one exactly when it is", arguments: tables)
    func announcement(name: String, events: [Event], expected: [Action]) {
        var state = ServerConnectionState()
        for event in events {
            let announced = state.announcesClose
            guard case .after(let action) = apply(event, to: &state) else { continue }
            // Where nobody said that the answer began, nothing could be announced.
            guard events.contains(where: { if case .responseStarted = $0 { true } else { false } }) else { continue }
            #expect(announced == (action != .readNextRequest), "\(name)")
        }
    }

    @Test("ServerConnectionState: a connection is idle between requests only")
    func idle() {
        var state = ServerConnectionState()
        #expect(state.isIdle)
        state.receivedBytes()
        #expect(!state.isIdle)
        _ = apply(Self.get, to: &state)
        #expect(!state.isIdle)
        state.receivedBytes()
        _ = state.responseFinished()
        #expect(state.isIdle)
    }
}
