import Synchronization
import TestSupport
import Testing

@testable import Gateway
@testable import Policy
@testable import Transport

@Suite("The endpoints of a remote upstream")
struct UpstreamClusterTests {
    private static let named = UpstreamURL(isTLS: false, host: "connectors.example", port: 8080)

    private static func address(_ last: Int) -> SocketAddress { SocketAddress(host: "192.0.2.\(last)", port: 8080) }

    @Test("UpstreamCluster: numeric addresses are there from the start, names once they are resolved")
    func numeric() {
        let numeric = UpstreamURL(isTLS: false, host: "::1", port: 1)
        let cluster = UpstreamCluster(
            UpstreamConfiguration(settings: UpstreamSettings(endpoints: [numeric, Self.named])))
        #expect(cluster.current.map(\.address) == [SocketAddress(host: "::1", port: 1)])
        #expect(cluster.names == [Self.named])
        cluster.resolved(Self.named, to: [Self.address(1)])
        #expect(cluster.current.map(\.address) == [SocketAddress(host: "::1", port: 1), Self.address(1)])
    }

    @Test("UpstreamCluster: endpoints that stay keep what is known of them, and the same addresses are no change")
    func resolved() throws {
        let cluster = UpstreamCluster(UpstreamConfiguration(settings: UpstreamSettings(endpoints: [Self.named])))
        cluster.resolved(Self.named, to: [Self.address(1), Self.address(2)])
        let (first, second) = (cluster.current[0], cluster.current[1])
        first.began()
        let version = cluster.version
        cluster.resolved(Self.named, to: [Self.address(1), Self.address(2)])
        #expect(cluster.version == version)
        cluster.resolved(Self.named, to: [Self.address(3), Self.address(1)])
        #expect(cluster.version != version)
        #expect(cluster.current.map(\.address) == [Self.address(3), Self.address(1)])
        #expect(cluster.current[1] === first)
        #expect(cluster.current[1].load == 1)
        // One that comes back is a new one.
        cluster.resolved(Self.named, to: [Self.address(2)])
        #expect(cluster.current[0] !== second)
    }

    @Test("UpstreamCluster: a name that no longer resolves keeps its addresses; one that never did has a reason")
    func unresolved() {
        let cluster = UpstreamCluster(UpstreamConfiguration(settings: UpstreamSettings(endpoints: [Self.named])))
        #expect(cluster.reasonForNone == .noEndpoint)
        cluster.unresolved(Self.named, .nameNotFound)
        #expect(cluster.reasonForNone == .nameNotFound)
        cluster.unresolved(Self.named, .nameTimeout)
        #expect(cluster.reasonForNone == .nameTimeout)
        cluster.resolved(Self.named, to: [Self.address(1)])
        cluster.unresolved(Self.named, .nameNotFound)
        #expect(cluster.current.map(\.address) == [Self.address(1)])
        #expect(cluster.reasonForNone == .noEndpoint)
    }

    /// A name service whose answers the test changes.
    private final class Service: Sendable {
        private let answer = Mutex(HostAddresses.notFound)
        private let asked = Atomic<Int>(0)

        @Sendable func lookUp(_ host: String) -> HostAddresses {
            asked.wrappingAdd(1, ordering: .relaxed)
            return answer.withLock { $0 }
        }

        func answers(_ answer: HostAddresses) { self.answer.withLock { $0 = answer } }
        var count: Int { asked.load(ordering: .relaxed) }
    }

    @Test("UpstreamMonitor: it follows a name that appears, changes and disappears, and reports each change once")
    func monitor() async throws {
        let service = Service()
        let said = Mutex<[String]>([])
        let worker = try TestPipeline.idleWorker()
        var settings = UpstreamSettings(endpoints: [Self.named])
        settings.dnsRefresh = .zero
        let cluster = UpstreamCluster(UpstreamConfiguration(settings: settings))
        worker.adopt(cluster, nil)
        let monitor = UpstreamMonitor(
            loop: worker.loop, client: { worker.pipeline.client }, resolver: NameResolver(lookup: service.lookUp),
            report: { line in said.withLock { $0.append(line) } })
        monitor.begin()
        let thread = WorkThread(name: "monitor") { worker.loop.run() }
        defer {
            worker.loop.perform { worker.loop.stop() }
            thread.join()
        }
        await monitor.resolveNames(of: cluster)
        // A tick may have asked, too.
        #expect(service.count >= 1)
        #expect(cluster.current.isEmpty)
        #expect(cluster.reasonForNone == .nameNotFound)
        service.answers(.found([SocketAddress(host: "192.0.2.1", port: 0)]))
        try waitUntil("the address is there") { cluster.current.map(\.address) == [Self.address(1)] }
        service.answers(.found([SocketAddress(host: "192.0.2.2", port: 0)]))
        try waitUntil("the address has changed") { cluster.current.map(\.address) == [Self.address(2)] }
        service.answers(.temporaryFailure)
        try waitUntil("that is told") { said.withLock { $0.contains { $0.contains("does not resolve") } } }
        #expect(cluster.current.map(\.address) == [Self.address(2)])
        service.answers(.found([SocketAddress(host: "192.0.2.2", port: 0)]))
        try waitUntil("that is told, too") { said.withLock { $0.contains { $0.contains("resolves again") } } }
        #expect(said.withLock { $0.count } <= 4)
    }
}

@Suite("Schedule of health checks")
struct HealthCheckScheduleTests {
    private static let url = UpstreamURL(isTLS: false, host: "connectors.example", port: 8080)
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    private static func endpoint(_ last: Int) -> Endpoint {
        let address = SocketAddress(host: "192.0.2.\(last)", port: 8080)
        return Endpoint(url: url, address: address, settings: UpstreamSettings(endpoints: [url]))
    }

    @Test(
        "HealthCheckSchedule: each endpoint is checked at once, and again when the result has come and the interval is over"
    )
    func due() {
        var rounds = HealthCheckSchedule()
        let (one, other) = (Self.endpoint(1), Self.endpoint(2))
        func due(_ seconds: Int, _ endpoints: [Endpoint]) -> [SocketAddress] {
            rounds.due(endpoints, every: .seconds(5), now: Self.start + .seconds(seconds)).map(\.address)
        }
        #expect(due(0, [one]) == [one.address])
        #expect(due(1, [one, other]) == [other.address])
        rounds.responded(one)
        #expect(due(4, [one, other]).isEmpty)
        // The other has not answered yet, however long that takes.
        #expect(due(100, [one, other]) == [one.address])
        rounds.responded(other)
        #expect(due(100, [one, other]) == [other.address])
    }

    @Test(
        "HealthCheckSchedule: nothing is kept of removed endpoints, and a late result of one does not count for a new one"
    )
    func gone() {
        var rounds = HealthCheckSchedule()
        for number in 0..<100 {
            let endpoint = Self.endpoint(number)
            let due = rounds.due([endpoint], every: .seconds(5), now: Self.start)
            #expect(due.first === endpoint)
            #expect(rounds.countForTest == 1)
            if number % 2 == 0 { rounds.responded(endpoint) }
        }
        let late = Self.endpoint(100)
        _ = rounds.due([late], every: .seconds(5), now: Self.start)
        #expect(rounds.due([], every: .seconds(5), now: Self.start).isEmpty)
        rounds.responded(late)
        #expect(rounds.countForTest == 0)
    }
}
