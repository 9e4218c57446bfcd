import Foundation
import Glibc
import TestSupport
import Testing

@testable import Crypto

/// A client of the gateway's own, which waits where the gateway would suspend.
struct TLSClient {
    enum Outcome: Equatable {
        case served(String, version: String, isResumed: Bool)
        case failed(TLSError)
        case timedOut

        var error: TLSError? {
            if case .failed(let error) = self { error } else { nil }
        }

        var isResumed: Bool? {
            if case .served(_, _, let isResumed) = self { isResumed } else { nil }
        }

        var text: String? {
            if case .served(let text, _, _) = self { text } else { nil }
        }
    }

    let context: TLSClientContext

    init(_ options: TLSClientContext.Options) throws { context = try TLSClientContext(options) }

    /// A client that trusts the authority of the tests.
    init() throws { try self.init(.init(authorityFile: TestCertificates.file("ca.pem"))) }

    /// Sends a line and reads to the end.
    func connect(to port: UInt16, as name: String, line: String = "hello?\n") throws -> Outcome {
        let descriptor = try connectToLoopback(port: port)
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        do throws(TLSError) {
            var session = try TLSSession(client: context, socket: descriptor, serverName: name)
            return try talk(descriptor, &session, Array(line.utf8))
        } catch {
            return .failed(error)
        }
    }

    private func talk(
        _ descriptor: Int32, _ session: inout TLSSession, _ line: [UInt8]
    ) throws(TLSError) -> Outcome {
        var sent = -1
        var received: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 4096)
        while true {
            let progress: TLSProgress
            if sent < 0 {
                progress = try session.handshake()
            } else if sent < line.count {
                progress = try session.write(line, from: sent)
            } else {
                progress = try session.read(into: &room, from: 0)
            }
            var events = POLLIN
            switch progress {
            case .done(let bytes):
                if sent < 0 {
                    sent = 0
                } else if sent < line.count {
                    sent += bytes
                } else {
                    received += room[..<bytes]
                }
                continue
            case .closedByPeer:
                return .served(
                    String(decoding: received, as: UTF8.self), version: session.version(),
                    isResumed: session.isResumed())
            case .wantsRead: break
            case .wantsWrite: events = POLLOUT
            }
            var wanted = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            // SAFETY: the kernel fills one structure on our stack.
            guard unsafe poll(&wanted, 1, 20_000) == 1 else { return .timedOut }
            session.socketBecameReadable(closing: Int32(wanted.revents) & POLLHUP != 0)
        }
    }
}

/// `openssl s_server` on a port that it chose; it answers each line with the same one reversed.
final class OpenSSLServer {
    let port: UInt16
    private let process = Process()

    convenience init(_ options: String..., identity: String = "localhost") throws {
        try self.init(options, identity: identity)
    }

    init(_ options: [String], identity: String = "localhost") throws {
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments =
            [
                "openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert",
                try TestCertificates.file("\(identity).pem"), "-key", try TestCertificates.file("\(identity).key"),
            ] + options
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var said = ""
        var port: UInt16?
        while port == nil {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "s_server has ended: \(said)")
            said += String(decoding: data, as: UTF8.self)
            port = said.firstMatch(of: /ACCEPT 127.0.0.1:([0-9]+)\n/).flatMap { UInt16($0.1) }
        }
        self.port = try #require(port)
    }

    func stop() {
        // It inherits a mask that blocks SIGTERM from the test's thread.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// Reads a little, sends the same bytes to everybody, and closes.
final class RawServer: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init(answer: [UInt8]) throws {
        (descriptor, port) = try listenOnLoopback()
        Thread.detachNewThread { [descriptor] in
            while true {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { break }
                var hello = [UInt8](repeating: 0, count: 4096)
                // SAFETY: the kernel fills and reads our arrays.
                unsafe _ = recv(client, &hello, hello.count, 0)
                unsafe _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
                close(client)
            }
            close(descriptor)
        }
    }

    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}
