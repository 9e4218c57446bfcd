internal import Synchronization

/// Looks host names up on threads of its own, since the system's way blocks and cannot be interrupted.
///
/// Who waits gives up at a deadline; the thread goes on. So that a name service which does not answer costs neither
/// threads nor memory without end, there are few threads, lookups of the same name are one, and few names may wait.
package final class NameResolver: Sendable {
    /// Gives addresses; their port does not matter.
    package typealias Lookup = @Sendable (_ host: String) -> HostAddresses

    private let lookup: Lookup
    private let maxThreads: Int
    private let state = Mutex(State())

    private struct State {
        /// Who waits for each name that waits for a thread or is being looked up.
        var waiting: [String: [Waiter]] = [:]
        /// Names that wait for a thread.
        var queue: [String] = []
        var threads = 0
    }

    /// One task that waits on its loop.
    ///
    /// `@unchecked Sendable`: but for `loop`, which never changes, it is touched on that loop's thread only.
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

    /// Names that may wait for a thread; more fail at once.
    static let maxQueued = 64

    package init(threads: Int = 2, lookup: @escaping Lookup = lookUpHost) {
        maxThreads = threads
        self.lookup = lookup
    }

    /// The addresses of `host`, at the latest at `deadline`. On `loop`, to which it comes back.
    ///
    /// What is an address already is answered without waiting.
    package func resolve(
        _ host: String, port: UInt16, before deadline: Instant, on loop: EventLoop
    ) async -> HostAddresses {
        loop.preconditionOnLoop()
        let address = SocketAddress(host: host, port: port)
        guard address.family == nil else { return .found([address]) }
        // RFC 1035, section 2.3.4; and a zero would end the name early.
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

    /// `false` when too many names wait, or there is no thread to be had.
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

    /// A thread's life: looks names up until none is left.
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

    /// Other threads take what is in the queue; where there are none, nobody would.
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

    /// A name for which nobody waits any more is not looked up, unless it is already.
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
