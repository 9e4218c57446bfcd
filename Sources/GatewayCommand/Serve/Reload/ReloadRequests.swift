import Synchronization

/// Requests for a reload, from any thread. The requests that arrive during a reload become one request.
final class ReloadRequests: Sendable {
    private let pending = Mutex<Set<ReloadReason>>([])
    private let (stream, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    func add(_ reason: ReloadReason) {
        _ = pending.withLock { $0.insert(reason) }
        wake.yield()
    }

    /// Calls `reload` for the requests that have arrived, again and again until `end`.
    func serve(_ reload: (Set<ReloadReason>) async -> Void) async {
        for await _ in stream { await reload(take()) }
    }

    /// Ends `serve`.
    func end() { wake.finish() }

    private func take() -> Set<ReloadReason> {
        pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
    }
}
