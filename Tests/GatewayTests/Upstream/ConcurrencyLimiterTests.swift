import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("Concurrency limiter")
struct ConcurrencyLimiterTests {
    private static func limiter(permits: Int, maxWaiting: Int) -> ConcurrencyLimiter {
        var settings = UpstreamSettings(endpoints: [])
        settings.connections.inFlight = permits
        settings.connections.queue = maxWaiting
        return ConcurrencyLimiter(settings)
    }

    /// Gives `body` loops that run, and ends them.
    private func withLoops(_ count: Int, _ body: ([EventLoop]) async throws -> Void) async throws {
        let loops = try (0..<count).map { try EventLoop(index: $0) }
        let threads = loops.map { loop in WorkThread(name: "loop") { loop.run() } }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(loops)) } catch { outcome = .failure(error) }
        for loop in loops { loop.perform { loop.stop() } }
        for thread in threads { thread.join() }
        try outcome.get()
    }

    /// A place that is held until it is dropped.
    private final class Holder: @unchecked Sendable {
        private var place: UpstreamPermit?

        init(_ place: consuming UpstreamPermit) { self.place = consume place }

        func drop() { place = nil }
    }

    /// Each of another organization, so that no share is in the way.
    private static func share(_ organization: Int) -> PermitShare {
        PermitShare(ShareOwner(organization: UInt64(organization), token: 0))
    }

    private func enter(
        _ limiter: ConcurrencyLimiter, on loop: EventLoop, as organization: Int = 0, within: Duration = .seconds(20)
    ) async throws -> Holder {
        try await Task(executorPreference: loop) {
            var share = Self.share(organization)
            return Holder(try await limiter.acquire(on: loop, before: .now() + within, &share))
        }.value
    }

    private final class Order: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    private final class Counts: Sendable {
        let inside = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        let admitted = Atomic<Int>(0)
        let sentAway = Atomic<Int>(0)
    }

    @Test("ConcurrencyLimiter: eight threads never hold more permits than the limit")
    func cap() async throws {
        let limiter = Self.limiter(permits: 5, maxWaiting: 1000)
        let counts = Counts()
        try await withLoops(8) { loops in
            let tasks = (0..<80).map { index in
                let loop = loops[index % loops.count]
                return Task(executorPreference: loop) {
                    var share = Self.share(index)
                    for _ in 0..<50 {
                        let place = try await limiter.acquire(on: loop, before: .now() + .seconds(20), &share)
                        let count = counts.inside.wrappingAdd(1, ordering: .relaxed).newValue
                        counts.most.max(count, ordering: .relaxed)
                        await Task.yield()
                        counts.inside.wrappingSubtract(1, ordering: .relaxed)
                        _ = consume place
                    }
                }
            }
            for task in tasks { try await task.value }
            #expect(counts.most.load(ordering: .relaxed) <= 5)
            // How many met in there depends on the machine; that there is room for all of them does not.
            var holders: [Holder] = []
            for index in 0..<5 { holders.append(try await enter(limiter, on: loops[index], as: 1000 + index)) }
            #expect(limiter.usage == (5, 0))
            for holder in holders { holder.drop() }
        }
        #expect(limiter.usage == (0, 0))
    }

    @Test("ConcurrencyLimiter: the longest waiter gets the next permit, and no request overtakes")
    func order() async throws {
        let limiter = Self.limiter(permits: 1, maxWaiting: 20)
        let order = Order()
        try await withLoops(2) { loops in
            let first = try await enter(limiter, on: loops[0])
            var waiting: [Task<Void, any Error>] = []
            for index in 0..<20 {
                let loop = loops[index % 2]
                waiting.append(
                    Task(executorPreference: loop) {
                        var share = Self.share(0)
                        let place = try await limiter.acquire(on: loop, before: .now() + .seconds(20), &share)
                        order.numbers.withLock { $0.append(index) }
                        _ = consume place
                    })
                try waitUntil("it waits") { limiter.usage.waiting == index + 1 }
            }
            await #expect(throws: UpstreamFailure.queueFull) { _ = try await enter(limiter, on: loops[0]) }
            first.drop()
            for task in waiting { try await task.value }
        }
        #expect(order.numbers.withLock { $0 } == Array(0..<20))
        #expect(limiter.usage == (0, 0))
    }

    @Test("ConcurrencyLimiter: a waiter that times out leaves the queue, and those after it move up")
    func deadline() async throws {
        let limiter = Self.limiter(permits: 1, maxWaiting: 2)
        try await withLoops(1) { loops in
            let first = try await enter(limiter, on: loops[0])
            await #expect(throws: UpstreamFailure.queueTimeout) {
                _ = try await enter(limiter, on: loops[0], within: .milliseconds(20))
            }
            await #expect(throws: UpstreamFailure.queueTimeout) {
                _ = try await enter(limiter, on: loops[0], within: .zero)
            }
            #expect(limiter.usage == (1, 0))
            async let second = enter(limiter, on: loops[0])
            try waitUntil("it waits") { limiter.usage == (1, 1) }
            first.drop()
            try await second.drop()
        }
        #expect(limiter.usage == (0, 0))
    }

    @Test("ConcurrencyLimiter: without a queue no request waits")
    func noSeats() async throws {
        let limiter = Self.limiter(permits: 2, maxWaiting: 0)
        try await withLoops(1) { loops in
            let holders = [
                try await enter(limiter, on: loops[0], as: 1), try await enter(limiter, on: loops[0], as: 2),
            ]
            await #expect(throws: UpstreamFailure.queueFull) { _ = try await enter(limiter, on: loops[0]) }
            holders[0].drop()
            try await enter(limiter, on: loops[0]).drop()
            holders[1].drop()
        }
        #expect(limiter.usage == (0, 0))
    }

    @Test("ConcurrencyLimiter: no permit is lost if a waiter gives up while it is handed one")
    func handOverAtDeadline() async throws {
        let limiter = Self.limiter(permits: 3, maxWaiting: 40)
        let counts = Counts()
        try await withLoops(4) { loops in
            let tasks = (0..<40).map { index in
                let loop = loops[index % loops.count]
                return Task(executorPreference: loop) {
                    var share = Self.share(index)
                    var random = UInt64(index + 1)
                    for _ in 0..<400 {
                        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                        // Most deadlines are over in the turn in which places are given back.
                        let responseTimeout = Duration.microseconds(Int64(random >> 33 % 300))
                        do throws(UpstreamFailure) {
                            let place = try await limiter.acquire(on: loop, before: .now() + responseTimeout, &share)
                            counts.admitted.wrappingAdd(1, ordering: .relaxed)
                            if random >> 50 & 3 == 0 { await Task.yield() }
                            _ = consume place
                        } catch { counts.sentAway.wrappingAdd(1, ordering: .relaxed) }
                    }
                }
            }
            for task in tasks { await task.value }
        }
        #expect(limiter.usage == (0, 0))
        let (admitted, sentAway) = (counts.admitted.load(ordering: .relaxed), counts.sentAway.load(ordering: .relaxed))
        #expect(admitted + sentAway == 16_000)
        #expect(admitted > 0 && sentAway > 0, "both ways were gone: \(admitted), \(sentAway)")
    }

    @Test(
        "ConcurrencyLimiter: a greedy organization leaves a permit free, and the next free one goes to the organization that has less"
    )
    func shares() async throws {
        let limiter = Self.limiter(permits: 4, maxWaiting: 3)
        let order = Order()
        try await withLoops(1) { loops in
            var hogs: [Holder] = []
            for _ in 0..<3 { hogs.append(try await enter(limiter, on: loops[0], as: 1)) }
            await #expect(throws: UpstreamFailure.queueTimeout) {
                _ = try await enter(limiter, on: loops[0], as: 1, within: .zero)
            }
            let quiet = try await enter(limiter, on: loops[0], as: 2)
            #expect(limiter.shares.count == 2)
            var waiting: [Task<Void, any Error>] = []
            for (index, organization) in [1, 3].enumerated() {
                waiting.append(
                    Task(executorPreference: loops[0]) {
                        var share = Self.share(organization)
                        let place = try await limiter.acquire(on: loops[0], before: .now() + .seconds(20), &share)
                        order.numbers.withLock { $0.append(organization) }
                        _ = consume place
                    })
                try waitUntil("it waits") { limiter.usage == (4, index + 1) }
            }
            for holder in hogs + [quiet] { holder.drop() }
            for task in waiting { try await task.value }
        }
        #expect(order.numbers.withLock { $0 } == [3, 1], "the one that came first has more")
        #expect(limiter.usage == (0, 0))
        #expect(limiter.shares.isEmpty)
    }

    @Test("ConcurrencyLimiter: the organization with most of a full queue is displaced at once")
    func displaced() async throws {
        let limiter = Self.limiter(permits: 1, maxWaiting: 2)
        let order = Order()
        try await withLoops(2) { loops in
            let hog = try await enter(limiter, on: loops[0], as: 1)
            let waiting = [1, 1, 2].map { organization in
                Task(executorPreference: loops[1]) {
                    var share = Self.share(organization)
                    do throws(UpstreamFailure) {
                        _ = try await limiter.acquire(on: loops[1], before: .now() + .seconds(20), &share)
                    } catch { order.numbers.withLock { $0.append(error == .queueFull ? organization : -1) } }
                }
            }
            try waitUntil("one has given way") { order.numbers.withLock { $0 } == [1] && limiter.usage == (1, 2) }
            hog.drop()
            for task in waiting { await task.value }
        }
        #expect(order.numbers.withLock { $0 } == [1])
        #expect(limiter.usage == (0, 0))
    }
}
