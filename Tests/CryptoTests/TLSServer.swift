import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Crypto

/// Accepts one client after another on port 0, says `hello` to each line it gets over TLS, and ends.
final class TLSServer: Sendable {
    enum Outcome: Equatable {
        case served(version: String, isResumed: Bool)
        case failed(isPlainText: Bool)
    }

    let port: UInt16
    private let descriptor: Int32
    private let context: Mutex<TLSContext>
    private let outcomes = Mutex<[Outcome]>([])
    private let answer: [UInt8]

    init(_ context: TLSContext, answer: [UInt8] = Array("hello\n".utf8)) throws {
        self.context = Mutex(context)
        self.answer = answer
        (descriptor, port) = try listenOnLoopback()
        Thread.detachNewThread { [self] in accept() }
    }

    /// Sessions from now on are of this context.
    func use(_ other: TLSContext) { context.withLock { $0 = other } }

    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// How the last client fared; waits until there were `count`.
    func outcome(_ count: Int = 1) throws -> Outcome {
        try waitUntil("a client comes") { outcomes.withLock { $0.count >= count } }
        return outcomes.withLock { $0[count - 1] }
    }

    private func accept() {
        while true {
            let client = Glibc.accept(descriptor, nil, nil)
            guard client >= 0 else { break }
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            let outcome = serve(client)
            close(client)
            outcomes.withLock { $0.append(outcome) }
        }
        close(descriptor)
    }

    private func serve(_ client: Int32) -> Outcome {
        guard var session = try? TLSSession(context: context.withLock { $0 }, socket: client) else {
            return .failed(isPlainText: false)
        }
        do throws(TLSError) {
            guard try complete(client, &session, { (session) throws(TLSError) in try session.handshake() }) != nil
            else {
                return .failed(isPlainText: false)
            }
            var line = [UInt8](repeating: 0, count: 1000)
            var end = 0
            while !line[..<end].contains(10) {
                let read = try complete(client, &session) { (session) throws(TLSError) in
                    try session.read(into: &line, from: end)
                }
                guard let read else { return .failed(isPlainText: false) }
                end += read
            }
            var sent = 0
            while sent < answer.count {
                let written = try complete(client, &session) { (session) throws(TLSError) in
                    try session.write(answer, from: sent)
                }
                guard let written else { return .failed(isPlainText: false) }
                sent += written
            }
            let outcome = Outcome.served(version: session.version(), isResumed: session.isResumed())
            session.sendClose()
            return outcome
        } catch {
            return .failed(isPlainText: session.peerSentPlainHTTP())
        }
    }

    /// Repeats a step until it is done, waiting for the socket as it asks; `nil` when the client has closed.
    private func complete(
        _ client: Int32, _ session: inout TLSSession, _ step: (inout TLSSession) throws(TLSError) -> TLSProgress
    ) throws(TLSError) -> Int? {
        while true {
            var events: Int32
            switch try step(&session) {
            case .done(let bytes): return bytes
            case .closedByPeer: return nil
            case .wantsRead: events = POLLIN
            case .wantsWrite: events = POLLOUT
            }
            var wanted = pollfd(fd: client, events: Int16(events), revents: 0)
            // SAFETY: the kernel fills one structure on our stack.
            guard unsafe poll(&wanted, 1, 20_000) == 1 else { return nil }
            events = Int32(wanted.revents)
            session.socketBecameReadable(closing: events & POLLHUP != 0)
        }
    }
}

/// `openssl s_client` against a server of the test.
struct OpenSSLClient {
    let port: UInt16

    /// Sends a line, reads to the end, and returns what the program has to say about the connection.
    func connect(_ options: String...) throws -> Tool.Outcome {
        try Tool.openssl(
            [
                "s_client", "-connect", "127.0.0.1:\(port)", "-ign_eof", "-CAfile",
                try TestCertificates.file("ca.pem"),
            ]
                + options,
            input: "GET / HTTP/1.1\n")
    }
}

extension Tool {
    /// Runs `openssl`; `output` has what it wrote to both outputs.
    static func openssl(_ arguments: [String], input: String = "") throws -> Outcome {
        try run("openssl", arguments, input: input, joinsErrors: true)
    }
}

extension Tool.Outcome {
    /// The line of the session's summary, such as `New, TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256`.
    var session: String {
        text.split(separator: "\n").first { $0.hasPrefix("New, ") || $0.hasPrefix("Reused, ") }.map(String.init)
            ?? text
    }

    /// The common name of the certificate that was served.
    var commonName: String {
        text.split(separator: "\n").first { $0.hasPrefix("subject=") }?.split(separator: " ").last.map(String.init)
            ?? text
    }
}
