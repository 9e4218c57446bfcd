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
    let loop: TestLoop
    let port: UInt16
    private let events = Mutex<[String]>([])

    /// `serve` answers a connection; without one, every request is answered with what it was.
    init(
        _ settings: Listener.Settings = .init(), context: TLSContext? = nil, room: ConnectionRoom? = nil,
        serve: @escaping @Sendable (TestServer, inout ServerConnection) async -> Void = { await $0.echo(&$1) }
    ) throws {
        loop = try TestLoop()
        let socket = try Socket.listening(on: SocketAddress(host: "127.0.0.1", port: 0), sharingPort: false)
        port = socket.localPort
        // The listener is made on its loop, and a socket cannot be captured: it gets a descriptor of its own.
        let descriptor = dup(socket.descriptor)
        let (loop, handover) = (loop.loop, Handover())
        Task(executorPreference: loop) {
            let listener = try Listener(
                loop: loop, socket: Socket(owning: descriptor), room: room, settings: { settings },
                context: { context })
            await listener.accept { connection in
                guard let server = handover.server.withLock({ $0 }) else { return }
                await serve(server, &connection)
                server.tell("over")
            }
        }
        handover.server.withLock { $0 = self }
        self.loop.start()
    }

    private final class Handover: Sendable {
        let server = Mutex<TestServer?>(nil)
    }

    /// Ends the loop's thread some time soon.
    func stop() {
        let loop = loop.loop
        Task(executorPreference: loop) { loop.stop() }
    }

    func tell(_ event: String) { events.withLock { $0.append(event) } }

    var told: [String] { events.withLock { $0 } }

    /// Waits until the connections have told at least these events.
    func wait(for event: String, count: Int = 1, sourceLocation: SourceLocation = #_sourceLocation) throws {
        try waitUntil(sourceLocation: sourceLocation) { told.count { $0 == event } >= count }
    }

    /// Answers every request with its method, target and body.
    func echo(_ connection: inout ServerConnection) async {
        while true {
            let next = await connection.nextRequest()
            switch next {
            case .request:
                var text =
                    connection.currentRequest.head.method.name + " "
                    + connection.currentRequest.text(connection.currentRequest.head.target)
                reading: while true {
                    switch await connection.nextBodyPiece() {
                    case .bytes(let range):
                        let piece = String(decoding: connection.currentRequest.input[range], as: UTF8.self)
                        tell("piece \(piece.prefix(20))")
                        text += (text.contains("\n") ? "" : "\n") + piece
                    case .end: break reading
                    case .malformed(let error):
                        await finish(&connection, 400, "\(error)")
                        return
                    case .timedOut:
                        await finish(&connection, 408, "body")
                        return
                    case .closed, .answered:
                        tell("closed in body")
                        return
                    }
                }
                tell("request")
                connection.respond(200, text)
                guard connection.responseFinished() == .readNextRequest else {
                    await connection.closeGracefully()
                    return
                }
            case .malformed(let error):
                await finish(&connection, 400, "\(error)")
                return
            case .timedOut:
                await finish(&connection, 408, "head")
                return
            case .closed: return
            }
        }
    }

    func finish(_ connection: inout ServerConnection, _ status: Int, _ text: String) async {
        connection.respond(status, text)
        _ = connection.responseFinished()
        await connection.closeGracefully()
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
