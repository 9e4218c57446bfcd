import Crypto
import Glibc
import TestSupport
import Testing

@testable import Transport

@Suite("Connecting")
struct SocketConnectTests {
    private func withLoop<R: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> R) async throws -> R {
        let loop = try TestLoop()
        loop.start()
        let result = try await loop.run(body)
        try await loop.stop()
        return result
    }

    /// How connecting to `address` ends.
    private func connect(_ address: SocketAddress) async throws -> SystemError? {
        try await withLoop { loop in
            do throws(SystemError) {
                let socket = try Socket.connecting(to: address)
                let watch = try loop.watch(socket.descriptor)
                let readiness = await watch.writable(before: loop.now + .seconds(20))
                loop.unwatch(watch)
                #expect(readiness == .ready)
                return socket.connectFailure()
            } catch {
                return error
            }
        }
    }

    @Test(
        "Socket: a listener is reached, without blocking, by a socket set up for requests",
        arguments: ["127.0.0.1", "::1"])
    func connected(host: String) async throws {
        let listener = try Socket.listening(on: SocketAddress(host: host, port: 0), sharingPort: false)
        let address = SocketAddress(host: host, port: listener.localPort)
        #expect(try await connect(address) == nil)

        let socket = try Socket.connecting(to: address)
        #expect(fcntl(socket.descriptor, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
        #expect(option(socket.descriptor, Int32(IPPROTO_TCP), TCP_NODELAY) == 1)
        #expect(option(socket.descriptor, SOL_SOCKET, SO_KEEPALIVE) == 1)
    }

    private func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        // SAFETY: the kernel writes one Int32.
        unsafe getsockopt(descriptor, level, name, &value, &length)
        return value
    }

    @Test("Socket: a port without a listener refuses the connection", arguments: ["127.0.0.1", "::1"])
    func refused(host: String) async throws {
        // A port that is taken but not listened on.
        let port = try Socket.listening(on: SocketAddress(host: host, port: 0), sharingPort: false).localPort
        let error = try #require(try await connect(SocketAddress(host: host, port: port)))
        #expect(error.number == ECONNREFUSED)
        #expect(!error.isUnreachable && !error.isTimedOut && !error.isOutOfResources)
    }

    @Test("Socket: kinds of errors are distinguished")
    func kinds() {
        func kinds(_ number: Int32) -> [Bool] {
            let error = SystemError("connect", number: number)
            return [error.isUnreachable, error.isTimedOut, error.isOutOfResources]
        }
        #expect(kinds(ECONNREFUSED) == [false, false, false])
        for number in [EHOSTUNREACH, ENETUNREACH] { #expect(kinds(number) == [true, false, false]) }
        #expect(kinds(ETIMEDOUT) == [false, true, false])
        for number in [EADDRNOTAVAIL, EMFILE] { #expect(kinds(number) == [false, false, true]) }
        #expect(kinds(ECONNRESET) == [false, false, false])
    }

    @Test("Socket: a name is no address to connect to")
    func name() async throws {
        let error = try await connect(SocketAddress(host: "localhost.", port: 1))
        #expect(error?.number == EAFNOSUPPORT)
    }

    @Test("Socket: a plain stream knows that its socket is empty after a short read, until the poller tells otherwise")
    func plainStream() async throws {
        let pair = try SocketPair()
        let seen = try await withLoop { [pair] loop in
            let watch = try loop.watch(pair.ours)
            var stream = try ByteStream(client: nil, socket: pair.ours, serverName: "")
            var room = [UInt8](repeating: 0, count: 4)
            var seen: [String] = ["\(stream.isKnownEmpty())"]
            func read() throws { seen.append("\(try stream.read(into: &room, from: 0)) \(stream.isKnownEmpty())") }
            func wait() async {
                _ = await watch.readable(before: loop.now + .seconds(20))
                stream.socketBecameReadable(closing: watch.isPeerClosing)
            }
            try read()
            for _ in 0..<5 { pair.sendByte() }
            await wait()
            try read()
            try read()
            // The peer's end comes with the last bytes, and again nothing tells of it a second time.
            pair.sendByte()
            shutdownWriting(pair.theirs)
            await wait()
            try read()
            try read()
            try read()
            loop.unwatch(watch)
            return seen
        }
        #expect(
            seen == [
                "true", "wantsRead true", "done(bytes: 4) false", "done(bytes: 1) true", "done(bytes: 1) false",
                "closedByPeer false", "closedByPeer false",
            ])
    }

    @Test("Socket: a plain stream whose peer resets the connection says so")
    func reset() async throws {
        let listener = try Socket.listening(on: SocketAddress(host: "127.0.0.1", port: 0), sharingPort: false)
        let port = listener.localPort
        let socket = try Socket.connecting(to: SocketAddress(host: "127.0.0.1", port: port))
        var accepted: Int32 = -1
        try waitUntil {
            if case .socket(let descriptor) = acceptConnection(on: listener.descriptor) { accepted = descriptor }
            return accepted >= 0
        }
        var stream = try ByteStream(client: nil, socket: socket.descriptor, serverName: "")
        // Closing with unread bytes resets.
        #expect(try stream.write([1, 2, 3], from: 0) == .done(bytes: 3))
        var byte: UInt8 = 0
        // SAFETY: the kernel writes one byte to our stack.
        try waitUntil { unsafe recv(accepted, &byte, 1, Int32(MSG_PEEK)) == 1 }
        close(accepted)
        var error: TLSError?
        try waitUntil {
            do throws(TLSError) {
                var room: [UInt8] = [0]
                _ = try stream.read(into: &room, from: 0)
                return false
            } catch let thrown {
                error = thrown
                return true
            }
        }
        #expect(error?.operation == .read)
        #expect(error?.cause == .disconnected)
    }
}
