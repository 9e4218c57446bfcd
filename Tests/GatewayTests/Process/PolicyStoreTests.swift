import Glibc
import Policy
import Synchronization
import TestSupport
import Testing

@testable import Gateway

@Suite("The effective policies and their reloads")
struct PolicyStoreTests {
    @Test("PolicyStore: after a refused reload the old text is accepted again, as unchanged")
    func repaired() throws {
        let store = try store { _ in .refused([]) }
        guard case .refused = store.reload() else { return try #require(Bool(false), "it has a mistake") }
        #expect(store.snapshot().lastRefusal != nil)
        let set = store.current
        let other = PolicyStore(
            initial: set, now: { 1 }, read: { .files([]) }, load: { _ in .loaded(set, warnings: []) })
        guard case .unchanged(isRepaired: false) = other.reload() else {
            return try #require(Bool(false), "nothing was wrong before")
        }
        let isBroken = Mutex(true)
        let third = PolicyStore(
            initial: set, now: { 1 },
            read: { isBroken.withLock { $0 } ? .unreadable("gone") : .files([]) },
            load: { _ in .loaded(set, warnings: []) })
        _ = third.reload()
        isBroken.withLock { $0 = false }
        guard case .unchanged(isRepaired: true) = third.reload() else {
            return try #require(Bool(false), "it was wrong before")
        }
        #expect(third.snapshot().lastRefusal == nil)
        guard case .unchanged(isRepaired: false) = third.reload() else {
            return try #require(Bool(false), "that is told once")
        }
    }

    @Test("PolicyStore: the result of reloading other files is kept until a good attempt")
    func otherFiles() throws {
        let store = try store { _ in .refused([]) }
        store.record(.certificates, .refused("no key"))
        store.record(.upstream, .replaced)
        #expect(store.snapshot().files[.certificates]?.lastRefusal?.text == "no key")
        #expect(store.snapshot().files[.certificates]?.refused == 1)
        #expect(store.snapshot().files[.upstream]?.accepted == 1)
        #expect(store.snapshot().lastRefusal == nil)
        store.record(.certificates, .unchanged)
        #expect(store.snapshot().files[.certificates]?.lastRefusal == nil)
        #expect(store.snapshot().files[.certificates]?.refused == 1)
    }

    @Test("PolicyStore: a reload reads and compiles on a thread of lowest priority")
    func priority() throws {
        let classes = Mutex<[Int32]>([])
        let store = try store { _ in
            classes.withLock { $0.append(sched_getscheduler(0)) }
            return .refused([])
        }
        _ = store.reload()
        let seen = classes.withLock { $0 }
        #expect(seen == [Self.lowestClass])
        #expect(sched_getscheduler(0) != Self.lowestClass)
    }

    @Test("PolicyStore: a reload takes effect in time even if the thread of lowest priority does not run")
    func starvation() throws {
        let new = try Self.set("GET /new")
        let mayGoOn = Atomic<Bool>(false)
        let hasGoneOn = Atomic<Bool>(false)
        let threads = Atomic<Int>(0)
        // The loop stands for a thread to which the kernel gives no processor.
        let store = try store(timeout: .milliseconds(20)) { _ in
            guard sched_getscheduler(0) == Self.lowestClass else { return .loaded(new, warnings: []) }
            threads.add(1, ordering: .relaxed)
            while !mayGoOn.load(ordering: .acquiring) { usleep(1000) }
            hasGoneOn.store(true, ordering: .releasing)
            return .refused([])
        }
        guard case .replaced(let set) = store.reload() else {
            return try #require(Bool(false), "the reload waited for the thread")
        }
        #expect(set === new)
        // While that thread has not ended, a reload starts no second one.
        guard case .unchanged = store.reload() else { return try #require(Bool(false), "nothing has changed") }
        mayGoOn.store(true, ordering: .releasing)
        try waitUntil("the thread has ended") { hasGoneOn.load(ordering: .acquiring) }
        let count = threads.load(ordering: .relaxed)
        #expect(count == 1)
        // Its late result is dropped.
        #expect(store.snapshot().lastRefusal == nil)
        #expect(store.current === new)
    }

    @Test("PolicyStore: a retired set is freed after its last user, and not before")
    func retired() throws {
        var user: PolicySet? = try Self.set("GET /old")
        weak let old = user
        let new = try Self.set("GET /new")
        let store = PolicyStore(
            initial: try #require(user), now: { 1 }, read: { .files([]) }, load: { _ in .loaded(new, warnings: []) })
        _ = store.reload()
        store.dropRetired()
        #expect(old != nil && old === user)
        user = nil
        try waitUntil("the set is freed") {
            store.dropRetired()
            return old == nil
        }
    }

    /// SCHED_IDLE of `sched(7)`.
    private static let lowestClass: Int32 = 5

    private static func set(_ route: String) throws -> PolicySet {
        let source =
            #"{ scopes: { "a": { description: "a" } }, routes: { r: { match: "\#(route)", public: true, respond: 204 } } }"#
        let loaded = PolicySet.load(
            files: [PolicyFile(name: "a.json5", bytes: Array(source.utf8))],
            sha256: { Array("\($0.count)\(route)".utf8) },
            now: 0)
        guard case .loaded(let set, _) = loaded else {
            Issue.record("the policies of the test have mistakes: \(loaded)")
            throw Unusable()
        }
        return set
    }

    private func store(
        timeout: Duration = .seconds(60), _ load: @escaping @Sendable ([PolicyFile]) -> PolicyLoad
    ) throws -> PolicyStore {
        PolicyStore(
            initial: try Self.set("GET /"), timeout: timeout, now: { 1 }, read: { .files([]) }, load: load)
    }

    private struct Unusable: Error {}
}
