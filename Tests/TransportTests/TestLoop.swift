import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Transport

/// An event loop on a thread of its own, until it is stopped.
final class TestLoop: Sendable {
    let loop: EventLoop
    private let hasEnded = Mutex(false)

    init(index: Int = 0) throws {
        loop = try EventLoop(index: index)
    }

    func start() {
        // SAFETY: the thread takes over the one retain that is made here.
        var thread = pthread_t()
        unsafe pthread_create(
            &thread, nil,
            {
                guard let pointer = unsafe $0 else { return nil }
                let own = unsafe Unmanaged<TestLoop>.fromOpaque(pointer).takeRetainedValue()
                own.loop.run()
                own.hasEnded.withLock { $0 = true }
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        pthread_detach(thread)
    }

    /// Runs `body` on the loop and returns what it gives.
    func run<R: Sendable>(_ body: @escaping @Sendable (EventLoop) async throws -> R) async throws -> R {
        let loop = loop
        return try await Task(executorPreference: loop) { try await body(loop) }.value
    }

    /// Ends the loop's thread.
    func stop() async throws {
        try await run { $0.stop() }
        try waitUntil { hasEnded.withLock { $0 } }
    }
}

/// Two connected sockets; closed when dropped.
final class SocketPair: Sendable {
    let ours: Int32
    let theirs: Int32

    init() throws {
        var pair: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        // SAFETY: the kernel writes two descriptors.
        let result = unsafe socketpair(AF_UNIX, kind, 0, &pair)
        try #require(result == 0)
        (ours, theirs) = (pair[0], pair[1])
    }

    func sendByte() {
        var byte: UInt8 = 1
        // SAFETY: one byte is read from our stack.
        _ = unsafe send(theirs, &byte, 1, 0)
    }

    func receiveByte() {
        var byte: UInt8 = 0
        // SAFETY: one byte is written to our stack.
        _ = unsafe recv(ours, &byte, 1, 0)
    }

    deinit {
        close(ours)
        close(theirs)
    }
}

/// The peer sees the end of what is sent.
func shutdownWriting(_ descriptor: Int32) { shutdown(descriptor, Int32(SHUT_WR)) }
