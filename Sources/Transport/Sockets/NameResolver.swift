internal import Synchronization

/// Looks up host names on threads of its own, because the system's function blocks and cannot be interrupted.
///
/// A waiting task gives up at its deadline; the thread continues. Threads and memory are bounded even if a name service
/// does not respond: there are few threads, one lookup per name, and a maximum of waiting names.
package final class NameResolver: Sendable {
    /// Returns addresses; their port is ignored.
    package typealias Lookup = @Sendable (_ host: String) -> HostAddresses

    private let lookup: Lookup
    private let maxThreads: Int
    private let state = Mutex(State())

    private struct State {
        /// The waiters of each name that waits for a thread or is being looked up.
        var waiting: [String: [Waiter]] = [:]
        /// Names that wait for a thread.
        var queue: [String] = []
        var threads = 0
    }

    /// One task that waits on its loop.
    ///
    /// `@unchecked Sendable`: `loop` never changes; only the loop's thread uses the rest.
    private final class Waiter: @unchecked Sendable {
        let loop: EventLoop
        let parking: Parker
        var outcome = HostAddresses.timedOut

        init(loop: EventLoop) {
            self.loop = loop
            parking = Parker(loop: loop)
        }

        func finish(_ outcome: HostAddresses) {
            loop.perform {
                self.outcome = outcome
                self.parking.wake()
            }
        }
    }

    /// The maximum of names that wait for a thread; further lookups fail at once.
    static let maxQueued = 64

    /// Runs `lookup` on at most `threads` threads at once, where it may block.
    package init(threads: Int = 2, lookup: @escaping Lookup = lookUpHost) {
        maxThreads = threads
        self.lookup = lookup
    }

    /// The addresses of `host`, at `deadline` at the latest. Called on `loop`, and resumes there.
    ///
    /// A numeric address is returned without waiting.
    package func resolve(
        _ host: String, port: UInt16, before deadline: Instant, on loop: EventLoop
    ) async -> HostAddresses {
        loop.preconditionOnLoop()
        let address = SocketAddress(host: host, port: port)
        guard address.family == nil else { return .found([address]) }
        // RFC 1035, section 2.3.4. A zero byte would end the name early.
        guard (1...254).contains(host.utf8.count), !host.utf8.contains(0) else { return .notFound }

        let name = host.lowercased()
        let waiter = Waiter(loop: loop)
        guard enqueue(waiter, name) else { return .temporaryFailure }
        guard await waiter.parking.wait(before: deadline) else {
            giveUp(waiter, name)
            return .timedOut
        }
        guard case .found(let addresses) = waiter.outcome else { return waiter.outcome }
        return .found(addresses.map { SocketAddress(host: $0.host, port: port) })
    }

    /// Returns `false` if too many names wait.
    private func enqueue(_ waiter: Waiter, _ name: String) -> Bool {
        enum Step { case waits, startsThread, isRefused }
        let step = state.withLock { state -> Step in
            if state.waiting[name] == nil {
                guard state.queue.count < NameResolver.maxQueued else { return .isRefused }
                state.queue.append(name)
            }
            state.waiting[name, default: []].append(waiter)
            guard !state.queue.isEmpty, state.threads < maxThreads else { return .waits }
            state.threads += 1
            return .startsThread
        }
        switch step {
        case .waits: return true
        case .isRefused: return false
        case .startsThread:
            if !WorkThread.detach(name: "resolver", { self.work() }) { threadFailed() }
            return true
        }
    }

    /// The body of a thread: looks names up until none is left.
    private func work() {
        while let name = takeName() {
            let outcome = lookup(name)
            let waiters = state.withLock { $0.waiting.removeValue(forKey: name) ?? [] }
            for waiter in waiters { waiter.finish(outcome) }
        }
    }

    private func takeName() -> String? {
        state.withLock { state in
            guard !state.queue.isEmpty else {
                state.threads -= 1
                return nil
            }
            return state.queue.removeFirst()
        }
    }

    /// Other threads take the names in the queue; without other threads, their waiters fail.
    private func threadFailed() {
        let stranded = state.withLock { state -> [Waiter] in
            state.threads -= 1
            guard state.threads == 0 else { return [] }
            let stranded = state.queue.flatMap { state.waiting.removeValue(forKey: $0) ?? [] }
            state.queue = []
            return stranded
        }
        for waiter in stranded { waiter.finish(.temporaryFailure) }
    }

    /// A name without waiters is removed from the queue; a lookup that runs continues.
    private func giveUp(_ waiter: Waiter, _ name: String) {
        state.withLock { state in
            guard var others = state.waiting[name] else { return }
            others.removeAll { $0 === waiter }
            state.waiting[name] = others
            guard others.isEmpty, let index = state.queue.firstIndex(of: name) else { return }
            state.queue.remove(at: index)
            state.waiting[name] = nil
        }
    }

    var threadsForTest: Int { state.withLock { $0.threads } }

    var namesForTest: Int { state.withLock { $0.waiting.count } }

    func waitersForTest(of name: String) -> Int { state.withLock { $0.waiting[name]?.count ?? 0 } }
}
