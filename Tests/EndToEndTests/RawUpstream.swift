import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// An upstream that does byte for byte what the test does: the test accepts its connections, and reads and writes them itself.
final class RawUpstream: Sendable {
    private let listener: LoopbackListener
    private let isAnswering = Atomic<Bool>(false)
    private let requests = Mutex<[RawRequest]>([])

    /// Port 0 lets the system choose.
    init(port: UInt16 = 0) throws { listener = try LoopbackListener(port: port) }

    var port: UInt16 { listener.port }

    /// Members of `gateway.upstream` for this one.
    func settings(_ more: String = "") -> String { #"url: "http://127.0.0.1:\#(port)", \#(more)"# }

    /// From now on connections are refused.
    func refuse() { listener.refuse() }

    /// The next connection; fails when none comes.
    func accept(sourceLocation: SourceLocation = #_sourceLocation) throws -> RawPeer {
        try RawPeer(
            #require(listener.accept(), "no connection came", sourceLocation: sourceLocation))
    }

    /// The first request on the next connection.
    func acceptRequest(sourceLocation: SourceLocation = #_sourceLocation) throws -> (peer: RawPeer, request: RawRequest)
    {
        let peer = try accept(sourceLocation: sourceLocation)
        return (peer, try peer.request())
    }

    /// Nobody connects, as far as that shows at once.
    var isLeftAlone: Bool { listener.accept(within: 0) == nil }

    /// No connection waits to be accepted.
    var isIdle: Bool { listener.isIdle }

    /// Answers whatever comes, on threads of its own, until `stopAnswering`; `nil` ends the connection without an answer, as the
    /// answer to a path that ends with `/last` does after it.
    func answer(_ script: @escaping @Sendable (RawRequest) -> String?) {
        isAnswering.store(true, ordering: .relaxed)
        Thread.detachNewThread { [self] in
            while isAnswering.load(ordering: .relaxed) {
                guard let socket = listener.accept(within: 20) else { continue }
                Thread.detachNewThread { [self] in serve(RawPeer(socket), script) }
            }
        }
    }

    private func serve(_ peer: RawPeer, _ script: (RawRequest) -> String?) {
        while isAnswering.load(ordering: .relaxed), let request = try? peer.request() {
            requests.withLock { $0.append(request) }
            guard let answer = script(request) else { return }
            guard (try? peer.send(answer)) != nil, !request.target.hasSuffix("/last") else { return }
        }
    }

    func stopAnswering() { isAnswering.store(false, ordering: .relaxed) }

    /// What was answered so far.
    var answered: [RawRequest] { requests.withLock { $0 } }
}

/// A request as the upstream got it.
struct RawRequest: Sendable {
    /// Its empty line included.
    let head: String
    var body: [UInt8] = []

    var line: String { String(head.prefix { $0 != "\r\n" }) }
    var method: Substring { head.prefix { $0 != " " } }
    var target: String { String(head.split(separator: " ", maxSplits: 2)[1]) }
    var text: String { String(decoding: body, as: UTF8.self) }

    /// The values of all fields of that name, in any case.
    func values(_ name: String) -> [String] {
        head.split(separator: "\r\n").dropFirst().compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            return parts[0].lowercased() == name ? String(parts[1].drop { $0 == " " }) : nil
        }
    }
}

/// The upstream's end of a connection of the gateway. Blocks, with a deadline.
final class RawPeer: WireClient {
    private let socket: PlainSocket
    var received: [UInt8] = []

    init(_ socket: PlainSocket) { self.socket = socket }

    func close() { socket.close() }

    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    /// Sends as much as the gateway takes until it has taken nothing for a while; returns how much that was.
    func sendUntilStuck(_ byte: UInt8, atMost limit: Int) -> Int {
        let piece = [UInt8](repeating: byte, count: 65_536)
        var sent = 0
        while sent < limit {
            var wanted = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
            // SAFETY: the kernel fills one structure on our stack.
            guard unsafe poll(&wanted, 1, 300) == 1 else { return sent }
            // SAFETY: the kernel reads the array.
            let count = unsafe piece.withUnsafeBytes {
                unsafe Glibc.send(
                    socket.descriptor, $0.baseAddress, min($0.count, limit - sent),
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            guard count > 0 else { return sent }
            sent += count
        }
        return sent
    }

    func finishSending() { socket.finishSending() }

    func receive() throws -> Bool { try socket.receive(into: &received, endsByReset: true) }

    /// Something has come that nobody has read, or the end.
    var isReadable: Bool {
        var wanted = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: the kernel fills one structure on our stack.
        return unsafe !received.isEmpty || poll(&wanted, 1, 0) == 1
    }

    /// Answers the next request.
    func respond(_ answer: String) throws {
        _ = try request()
        try send(answer)
    }

    /// The gateway closes, whatever it still sends before that.
    func expectClose(sourceLocation: SourceLocation = #_sourceLocation) throws {
        while try receive() { received = [] }
    }

    /// The head of the next request.
    func head() throws -> RawRequest {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let length = received.firstRange(of: end)?.upperBound {
                let head = String(decoding: received[..<length], as: UTF8.self)
                received.removeFirst(length)
                return RawRequest(head: head)
            }
            guard try receive() else { throw TLSClient.Broken(reason: "the connection ended before a request") }
        }
    }

    func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try receive() else { throw TLSClient.Broken(reason: "the connection ended inside a body") }
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    /// The next request with its body.
    func request() throws -> RawRequest {
        var request = try head()
        if request.values("transfer-encoding") == ["chunked"] {
            while true {
                let size = try line()
                let count = try #require(Int(size, radix: 16), "\(size)")
                request.body += try take(count)
                _ = try line()
                if count == 0 { return request }
            }
        }
        if let length = request.values("content-length").first.flatMap(Int.init) { request.body = try take(length) }
        return request
    }

    private func line() throws -> String {
        while true {
            if let end = received.firstRange(of: [13, 10]) {
                defer { received.removeFirst(end.upperBound) }
                return String(decoding: received[..<end.lowerBound], as: UTF8.self)
            }
            guard try receive() else { throw TLSClient.Broken(reason: "the connection ended inside a line") }
        }
    }
}

/// A truth value that threads share.
final class Flag: Sendable {
    private let flag: Atomic<Bool>

    init(_ value: Bool) { flag = Atomic(value) }

    var value: Bool {
        get { flag.load(ordering: .sequentiallyConsistent) }
        set { flag.store(newValue, ordering: .sequentiallyConsistent) }
    }
}

/// An answer of an upstream.
func answer(_ status: Int = 200, _ fields: String..., body: String = "{}") -> String {
    (["HTTP/1.1 \(status) Reason"] + fields + ["Content-Length: \(body.utf8.count)"]).joined(separator: "\r\n")
        + "\r\n\r\n" + body
}

extension WireClient {
    /// Reads up to and with `end`, and takes it.
    func text(upTo end: String) throws -> String {
        while true {
            if let range = received.firstRange(of: Array(end.utf8)) {
                defer { received.removeFirst(range.upperBound) }
                return String(decoding: received[..<range.upperBound], as: UTF8.self)
            }
            guard try receive() else {
                throw TLSClient.Broken(reason: "ended after: \(String(decoding: received, as: UTF8.self))")
            }
        }
    }
}

/// Gives the test a gateway in front of an upstream that it plays itself. One worker, so that all clients share its
/// connections.
func withRawUpstream(
    _ more: String = "", settings: String = "", hasResendWindow: Bool = false,
    leaseFields: String = "",
    _ body: (TestGateway, RawUpstream) async throws -> Void
) async throws {
    let upstream = try RawUpstream()
    defer { upstream.stopAnswering() }
    var setup = GatewaySetup()
    setup.workers = 1
    setup.upstream = upstream.settings(more)
    setup.settings = settings
    setup.hasResendWindow = hasResendWindow
    setup.leaseFields = leaseFields
    try await withGateway(setup) { try await body($0, upstream) }
}
