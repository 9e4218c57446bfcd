import Synchronization

/// Asks for a reload from any thread. Those that are asked for while one runs become one.
final class ReloadRequests: Sendable {
    private let pending = Mutex<Set<ReloadReason>>([])
    private let (stream, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    func ask(because reason: ReloadReason) {
        _ = pending.withLock { $0.insert(reason) }
        wake.yield()
    }

    /// Calls `reload` for each request, until `end`.
    func serve(_ reload: (Set<ReloadReason>) async -> Void) async {
        for await _ in stream { await reload(take()) }
    }

    /// No request is served any more.
    func end() { wake.finish() }

    private func take() -> Set<ReloadReason> {
        pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
    }
}
