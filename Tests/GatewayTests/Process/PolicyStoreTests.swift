import Policy
import Synchronization
import Testing

@testable import Gateway

@Suite("The policies in force and what became of reloads")
struct PolicyStoreTests {
    @Test("PolicyStore: after a refused reload the old text is good again, and unchanged")
    func repaired() throws {
        let store = try store { .refused([]) }
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

    @Test("PolicyStore: what became of another part is kept until a good attempt")
    func parts() throws {
        let store = try store { .refused([]) }
        store.record(.certificates, .refused("no key"))
        store.record(.upstream, .replaced)
        #expect(store.snapshot().parts[.certificates]?.lastRefusal?.text == "no key")
        #expect(store.snapshot().parts[.certificates]?.refused == 1)
        #expect(store.snapshot().parts[.upstream]?.accepted == 1)
        #expect(store.snapshot().lastRefusal == nil)
        store.record(.certificates, .unchanged)
        #expect(store.snapshot().parts[.certificates]?.lastRefusal == nil)
        #expect(store.snapshot().parts[.certificates]?.refused == 1)
    }

    private func store(_ load: @escaping @Sendable () -> PolicyLoad) throws -> PolicyStore {
        let source =
            #"{ scopes: { "a": { description: "a" } }, routes: { r: { match: "GET /", public: true, respond: 204 } } }"#
        let loaded = PolicySet.load(
            files: [PolicyFile(name: "a.json5", bytes: Array(source.utf8))], sha256: { _ in [1, 2] }, now: 0)
        guard case .loaded(let set, _) = loaded else {
            Issue.record("the policies of the test have mistakes: \(loaded)")
            throw Unusable()
        }
        return PolicyStore(initial: set, now: { 1 }, read: { .files([]) }, load: { _ in load() })
    }

    private struct Unusable: Error {}
}
