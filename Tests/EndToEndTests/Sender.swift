import Foundation
import Synchronization
import TestSupport
import Testing

/// Sends bytes over a client from a thread of its own, which may have to wait for the gateway to take them.
///
/// `@unchecked Sendable`: the client is the thread's until it has ended.
final class Sender: @unchecked Sendable {
    private let client: TLSClient
    private let sent = Atomic<Int>(0)
    private let hasEnded = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)
    private let isAbandoned = Atomic<Bool>(false)

    init(_ client: TLSClient, _ bytes: [UInt8]) {
        self.client = client
        Thread.detachNewThread { [self] in run(bytes) }
    }

    private func run(_ bytes: [UInt8]) {
        var start = 0
        while start < bytes.count, !isAbandoned.load(ordering: .acquiring) {
            let end = min(start + 16_384, bytes.count)
            guard (try? client.send(Array(bytes[start..<end]))) != nil else {
                hasFailed.store(true, ordering: .relaxed)
                break
            }
            start = end
            sent.store(start, ordering: .relaxed)
        }
        hasEnded.store(true, ordering: .releasing)
    }

    /// Waits until nothing has left for a while; returns how much had.
    func waitUntilStuck() throws -> Int {
        var last = -1
        var since = ContinuousClock.now
        try waitUntil("nothing is sent any more") {
            let now = sent.load(ordering: .relaxed)
            if now != last { (last, since) = (now, ContinuousClock.now) }
            return ContinuousClock.now - since > .milliseconds(300)
        }
        return last
    }

    /// Waits until everything has left; the client is the caller's again.
    func finish() throws -> TLSClient {
        try waitUntil("everything is sent") { hasEnded.load(ordering: .acquiring) }
        let isWhole = !hasFailed.load(ordering: .relaxed)
        #expect(isWhole, "the gateway does not read any more")
        return client
    }

    /// Sends no more than the piece it is at, whatever becomes of it.
    func abandon() throws -> TLSClient {
        isAbandoned.store(true, ordering: .releasing)
        try waitUntil("the sender has ended") { hasEnded.load(ordering: .acquiring) }
        return client
    }
}
