import Bytes
import Crypto
import Glibc
import HTTP
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// A listener on port 0, over plain sockets unless it is given a TLS context, with a loop of its own, and what its connections have told so far.
final class TestServer: Sendable {
    typealias TryRespond = @Sendable (TestServer, inout ServerConnection) -> Bool
    typealias Respond = @Sendable (TestServer, inout ServerConnection) async -> Void

    let loop: TestLoop
    let port: UInt16
    private let events = Mutex<[String]>([])
    private let stopping = Atomic(false)

    /// `tryRespond` and `respond` answer a request, the one without a task, the other in one. Without them, every request is
    /// answered in a task with what it was.
    init(
        _ settings: Listener.Settings = .init(), context: TLSContext? = nil, limiter: ConnectionLimiter? = nil,
        tryRespond: @escaping TryRespond = { _, _ in false }, respond: @escaping Respond = { await $0.echo(&$1) }
    ) throws {
        loop = try TestLoop()
        let socket = try Socket.listening(on: SocketAddress(host: "127.0.0.1", port: 0), sharingPort: false)
        port = socket.localPort
        // The listener is made on its loop, and a socket cannot be captured: it gets a descriptor of its own.
        let descriptor = dup(socket.descriptor)
        let (loop, handover) = (loop.loop, Handover())
        Task(executorPreference: loop) {
            let listener = try Listener(
                loop: loop, socket: Socket(owning: descriptor), limiter: limiter, settings: { settings },
                context: { context })
            await listener.accept { OneConnection(handover.server.withLock { $0 }, tryRespond, respond) }
        }
        handover.server.withLock { $0 = self }
        self.loop.start()
    }

    /// Serves one connection, and tells how it went.
    private final class OneConnection: ConnectionHandler {
        private let server: TestServer?
        private let atHand: TryRespond
        private let inTask: Respond

        init(_ server: TestServer?, _ tryRespond: @escaping TryRespond, _ respond: @escaping Respond) {
            (self.server, atHand, inTask) = (server, tryRespond, respond)
        }

        deinit { server?.tell("over") }

        var isStopping: Bool { server?.isStopping ?? false }

        func handshakeEnded(_ outcome: ServerConnection.HandshakeOutcome, of connection: inout ServerConnection) {
            switch outcome {
            case .done: break
            case .plainText: connection.sendPlainText(Array("plain".utf8))
            case .failed: server?.tell("failed")
            case .timedOut: server?.tell("timed out")
            }
        }

        func tryRespond(on connection: inout ServerConnection) -> Bool {
            guard let server else { return false }
            return atHand(server, &connection)
        }

        func respond(on connection: inout ServerConnection) async {
            guard let server else { return }
            await inTask(server, &connection)
        }

        func refuse(_ reason: UnreadableRequest, on connection: inout ServerConnection) async {
            switch reason {
            case .malformed(let error): connection.respond(400, "\(error)")
            case .timedOut: connection.respond(408, "head")
            }
        }
    }

    private final class Handover: Sendable {
        let server = Mutex<TestServer?>(nil)
    }

    /// Ends the loop's thread some time soon.
    func stop() {
        let loop = loop.loop
        Task(executorPreference: loop) { loop.stop() }
    }

    /// No connection reads a request after the one at hand.
    var isStopping: Bool {
        get { stopping.load(ordering: .relaxed) }
        set { stopping.store(newValue, ordering: .relaxed) }
    }

    func tell(_ event: String) { events.withLock { $0.append(event) } }

    var told: [String] { events.withLock { $0 } }

    /// Waits until the connections have told at least these events.
    func wait(for event: String, count: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try waitUntil(sourceLocation: sourceLocation) { told.count { $0 == event } >= count }
    }

    /// Answers a request with its method, target and body.
    func echo(_ connection: inout ServerConnection) async {
        var text =
            connection.currentRequest.head.method.name + " "
            + connection.currentRequest.text(connection.currentRequest.head.target)
        while true {
            switch await connection.nextBodyPiece() {
            case .bytes(let range):
                let piece = String(decoding: connection.currentRequest.input[range], as: UTF8.self)
                tell("piece \(piece.prefix(20))")
                text += (text.contains("\n") ? "" : "\n") + piece
            case .end:
                tell("request")
                return connection.respond(200, text)
            case .malformed(let error): return connection.respond(400, "\(error)")
            case .timedOut: return connection.respond(408, "body")
            case .closed, .answered: return tell("closed in body")
            }
        }
    }
}

extension ServerConnection {
    mutating func respond(_ status: Int, _ text: String, discardsBody: Bool = false) {
        responseStarted(discardsBody: discardsBody)
        output += HTTPStatus.line(status)
        if state.announcesClose { output += Array("Connection: close\r\n".utf8) }
        output += Array("Content-Length: ".utf8)
        output.append(decimal: text.utf8.count)
        output += Array("\r\n\r\n\(text)".utf8)
    }
}

/// What a server answers with `respond`.
func response(_ status: Int, _ text: String, closes: Bool = false) -> String {
    "HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\n" + (closes ? "Connection: close\r\n" : "")
        + "Content-Length: \(text.utf8.count)\r\n\r\n\(text)"
}
