import Policy
import Synchronization
import Testing
import Transport

@testable import Gateway

private let sync = LeaseKind(index: 0, name: "sync", lifetime: .job, settleTime: .seconds(15))
private let other = LeaseKind(index: 1, name: "other", lifetime: .job)
/// Two of `other` may run side by side.
private let matrix = ConcurrencyMatrix(kinds: [sync, other], conflicts: [[0, 1], [0]])
private let key = LeaseKey(organization: "o", connection: "c")

private enum Found: Equatable { case granted, queued, conflict, other }

@Suite("Queue for a connection")
struct QueuePlaceTests {
    private let table = LeaseTable()
    private let loop: EventLoop

    init() throws { loop = try EventLoop(index: 0) }

    private func decide(_ place: QueuePlace?, kind: LeaseKind = sync) -> LeaseDecision {
        table.decide(LeaseClaim(key: key, kind: kind, matrix: matrix, onConflict: .wait), at: place, now: 0)
    }

    /// A lease that is granted ends at once.
    private func found(_ place: QueuePlace?, kind: LeaseKind = sync) -> Found {
        switch decide(place, kind: kind) {
        case .granted: .granted
        case .queued: .queued
        case .conflict: .conflict
        default: .other
        }
    }

    private func lease(at place: QueuePlace, kind: LeaseKind = sync) throws -> Lease {
        switch decide(place, kind: kind) {
        case .granted(let lease): return lease
        default: throw Unexpected()
        }
    }

    private func take(_ kind: LeaseKind = sync) throws -> Lease {
        try table.reserve(key, kind: kind, matrix: matrix, now: 0)
    }

    @Test("Queue: the requests get the connection in the order of their arrival, and nobody comes in between")
    func order() throws {
        let running = try take()
        let (first, second) = (table.place(on: key, for: loop), table.place(on: key, for: loop))
        #expect(found(first) == .queued)
        #expect(found(second) == .queued)
        running.release()
        // Not the second one, and not a request that does not wait.
        #expect(found(second) == .queued)
        #expect(found(nil) == .conflict)
        let next = try lease(at: first)
        #expect(found(second) == .queued)
        next.release()
        #expect(found(second) == .granted)
        #expect(table.usage().waiting == 0)
    }

    @Test("Queue: a request that leaves loses its place, and the next one has its turn")
    func leaves() throws {
        let running = try take()
        var first: QueuePlace? = table.place(on: key, for: loop)
        let second = table.place(on: key, for: loop)
        #expect(found(first) == .queued)
        #expect(found(second) == .queued)
        #expect(table.usage().waiting == 2)
        first = nil
        #expect(table.usage().waiting == 1)
        running.release()
        #expect(found(second) == .granted)
    }

    @Test("Queue: whoever may be next is woken, at an end, when a place is given up, and when the settle time is over")
    func wakes() async throws {
        let loop = loop
        let running = try take()
        var first: QueuePlace? = table.place(on: key, for: loop)
        let second = table.place(on: key, for: loop)
        _ = found(first)
        _ = found(second)
        let thread = WorkThread(name: "queue") { loop.run() }
        defer {
            loop.perform { loop.stop() }
            thread.join()
        }
        let isWoken: @Sendable (Waiter) async -> Bool = { waiter in
            await Task(executorPreference: loop) { await waiter.wait(before: .now() + .seconds(20)) }.value
        }
        running.release()
        #expect(await isWoken(second.waiter))
        first = nil
        #expect(await isWoken(second.waiter))
        try lease(at: second).bind(LeaseJob(id: "job_1", type: "sync", status: "running"), now: 0)
        let third = table.place(on: key, for: loop)
        #expect(found(third) == .queued)
        table.jobShown(key, LeaseJob(id: "job_1", type: "sync", status: "cancelled"), asOf: table.revision(), now: 0)
        table.removeSettled(now: Instant(nanoseconds: 15_000_000_000))
        #expect(await isWoken(third.waiter))
    }

    @Test("Queue: it is bounded")
    func bound() throws {
        let running = try take()
        let places = (0...QueuedClaim.maxPerConnection).map { _ in table.place(on: key, for: loop) }
        for place in places.dropLast() { #expect(found(place) == .queued) }
        #expect(places.last.map { found($0) } == .conflict)
        // A place that is in the queue stays there.
        #expect(places.first.map { found($0) } == .queued)
        running.release()
    }

    @Test("Queue: a request is not kept waiting by one that it may run beside")
    func sideBySide() throws {
        let running = try take(sync)
        let (first, second) = (table.place(on: key, for: loop), table.place(on: key, for: loop))
        #expect(found(first, kind: other) == .queued)
        #expect(found(second, kind: other) == .queued)
        running.release()
        let next = try lease(at: second, kind: other)
        #expect(found(first, kind: other) == .granted)
        next.release()
    }

    @Test("Queue: without room for a place, or when all places are gone, nothing is left in the table")
    func nothingLeft() throws {
        let running = try take()
        do {
            let place = table.place(on: key, for: loop)
            #expect(found(place) == .queued)
            running.release()
        }
        let isEmpty = table.shard(of: key).records.withLock { $0.leases.isEmpty }
        #expect(isEmpty)
    }

    private struct Unexpected: Error {}
}

@Suite("Waiting room")
struct WaitingRoomTests {
    @Test(
        "WaitingRoom: it is bounded, one organization leaves room for others, and a permit that is dropped is room again"
    )
    func shares() {
        let room = WaitingRoom(capacity: 16)
        let (one, two) = (ShareOwner(organization: "one"), ShareOwner(organization: "two"))
        var permits: [WaitingPermit] = []
        while let permit = room.enter(one) { permits.append(permit) }
        #expect(permits.count == 14)
        #expect(room.enter(two) != nil)
        permits.removeAll()
        #expect(room.enter(one) != nil)
    }
}
