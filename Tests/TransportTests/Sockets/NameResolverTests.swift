import Synchronization
import TestSupport
import Testing

@testable import Transport

@Suite("The name resolver")
struct NameResolverTests {
    /// A name service that answers when it is told to.
    private final class Service: Sendable {
        private let asked = Mutex<[String]>([])
        private let answers = Mutex<[String: HostAddresses]>([:])

        @Sendable func lookUp(_ host: String) -> HostAddresses {
            asked.withLock { $0.append(host) }
            // The thread that asks may be kept: that is what the resolver is for.
            try? waitUntil { answers.withLock { $0[host] != nil } }
            return answers.withLock { $0[host] } ?? .temporaryFailure
        }

        func answer(_ host: String, _ answer: HostAddresses) { answers.withLock { $0[host] = answer } }

        var names: [String] { asked.withLock { $0 } }
    }

    private func withLoop(_ body: (TestLoop) async throws -> Void) async throws {
        let loop = try TestLoop()
        loop.start()
        try await body(loop)
        try await loop.stop()
    }

    private let one = SocketAddress(host: "192.0.2.1", port: 0)
    private let two = SocketAddress(host: "2001:db8::2", port: 0)

    @Test(
        "NameResolver: addresses need no thread",
        arguments: ["127.0.0.1", "::1", "2001:db8::1", "255.255.255.255"])
    func numeric(host: String) async throws {
        try await withLoop { loop in
            let resolver = NameResolver { _ in .notFound }
            let found = try await loop.run {
                await resolver.resolve(host, port: 7, before: $0.now + .seconds(20), on: $0)
            }
            #expect(found == .found([SocketAddress(host: host, port: 7)]))
            #expect(resolver.threadsForTest == 0)
        }
    }

    @Test("NameResolver: the system knows localhost")
    func system() async throws {
        try await withLoop { loop in
            let resolver = NameResolver()
            let found = try await loop.run {
                await resolver.resolve("localhost", port: 443, before: $0.now + .seconds(20), on: $0)
            }
            guard case .found(let addresses) = found else {
                Issue.record("\(found)")
                return
            }
            #expect(addresses.allSatisfy { ["127.0.0.1", "::1"].contains($0.host) && $0.port == 443 })
            #expect(Set(addresses.map(\.host)).count == addresses.count)
            try waitUntil { resolver.threadsForTest == 0 }
        }
    }

    @Test("NameResolver: the result reaches the task, on its loop, with the port that it asked for")
    func outcomes() async throws {
        try await withLoop { loop in
            let cases: [(HostAddresses, HostAddresses)] = [
                (.notFound, .notFound), (.temporaryFailure, .temporaryFailure),
                (
                    .found([two, one]),
                    .found([SocketAddress(host: two.host, port: 80), SocketAddress(host: one.host, port: 80)])
                ),
            ]
            for (answer, expected) in cases {
                let resolver = NameResolver { _ in answer }
                let (outcome, isThere) = try await loop.run {
                    let outcome = await resolver.resolve("a.test", port: 80, before: $0.now + .seconds(20), on: $0)
                    return (outcome, $0.isOnLoop)
                }
                #expect(outcome == expected)
                #expect(isThere)
            }
        }
    }

    @Test("NameResolver: invalid names are not looked up")
    func impossible() async throws {
        try await withLoop { loop in
            let resolver = NameResolver { _ in .temporaryFailure }
            for host in ["", "a\0b", String(repeating: "a", count: 255)] {
                let outcome = try await loop.run {
                    await resolver.resolve(host, port: 80, before: $0.now + .seconds(20), on: $0)
                }
                #expect(outcome == .notFound)
            }
        }
    }

    /// Asks in vain, until a thread is kept by the name.
    private func give(
        _ resolver: NameResolver, _ name: String, of service: Service, on loop: TestLoop
    ) async throws {
        while !service.names.contains(name) {
            let outcome = try await loop.run { await resolver.resolve(name, port: 80, before: $0.now, on: $0) }
            #expect(outcome == .timedOut)
        }
    }

    @Test("NameResolver: a waiter gives up at its deadline; the lookup continues, and later ones of that name share it")
    func deadline() async throws {
        try await withLoop { loop in
            let service = Service()
            let resolver = NameResolver(lookup: service.lookUp)
            try await give(resolver, "a.test", of: service, on: loop)
            #expect(resolver.threadsForTest == 1)
            async let outcome = loop.run {
                await resolver.resolve("A.test", port: 80, before: $0.now + .seconds(20), on: $0)
            }
            try waitUntil { resolver.waitersForTest(of: "a.test") == 1 }
            service.answer("a.test", .found([one]))
            #expect(try await outcome == .found([SocketAddress(host: one.host, port: 80)]))
            #expect(service.names == ["a.test"])
            try waitUntil { resolver.threadsForTest == 0 && resolver.namesForTest == 0 }
        }
    }

    @Test("NameResolver: tasks of several loops that want the same name share one lookup")
    func shared() async throws {
        try await withLoop { first in
            try await withLoop { second in
                let service = Service()
                let resolver = NameResolver(lookup: service.lookUp)
                let outcomes = try await withThrowingTaskGroup(of: HostAddresses.self) { group in
                    for index in 0..<20 {
                        group.addTask {
                            try await (index % 2 == 0 ? first : second).run {
                                await resolver.resolve("a.test", port: 80, before: $0.now + .seconds(20), on: $0)
                            }
                        }
                    }
                    try waitUntil { resolver.waitersForTest(of: "a.test") == 20 }
                    service.answer("a.test", .notFound)
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes == Array(repeating: .notFound, count: 20))
                #expect(service.names == ["a.test"])
            }
        }
    }

    @Test(
        "NameResolver: a name service that hangs gets few threads, and of the names that wait for one only so many are kept"
    )
    func hanging() async throws {
        try await withLoop { loop in
            let service = Service()
            let resolver = NameResolver(threads: 2, lookup: service.lookUp)
            @Sendable func ask(_ name: String, seconds: Int) async throws -> HostAddresses {
                try await loop.run {
                    await resolver.resolve(name, port: 80, before: $0.now + .seconds(seconds), on: $0)
                }
            }
            for name in ["a.test", "b.test"] { try await give(resolver, name, of: service, on: loop) }
            #expect(try await ask("c.test", seconds: 0) == .timedOut)
            // Nobody waits for the third any more, and no thread has taken it.
            #expect(resolver.threadsForTest == 2)
            #expect(resolver.namesForTest == 2)
            #expect(Set(service.names) == ["a.test", "b.test"])

            let outcomes = try await withThrowingTaskGroup(of: HostAddresses.self) { group in
                for index in 0..<NameResolver.maxQueued + 5 {
                    group.addTask { try await ask("n\(index).test", seconds: 20) }
                }
                var outcomes: [HostAddresses] = []
                while outcomes.count < 5, let outcome = try await group.next() { outcomes.append(outcome) }
                for index in 0..<NameResolver.maxQueued + 5 { service.answer("n\(index).test", .notFound) }
                for name in ["a.test", "b.test"] { service.answer(name, .notFound) }
                while let outcome = try await group.next() { outcomes.append(outcome) }
                return outcomes
            }
            #expect(outcomes.prefix(5) == .init(repeating: .temporaryFailure, count: 5))
            #expect(outcomes.dropFirst(5) == .init(repeating: .notFound, count: NameResolver.maxQueued))
            try waitUntil { resolver.threadsForTest == 0 && resolver.namesForTest == 0 }
        }
    }
}
