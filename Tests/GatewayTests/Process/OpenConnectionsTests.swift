import Policy
import Synchronization
import Testing
import Transport

@testable import Gateway

@Suite("The limit of open connections")
struct OpenConnectionsTests {
    private static func settings(open: Int, upstream: UpstreamSettings? = nil) -> GatewaySettings {
        var settings = GatewaySettings()
        settings.connections.open = open
        settings.upstream = upstream
        return settings
    }

    private static let upstream: UpstreamSettings = {
        var upstream = UpstreamSettings(endpoints: [])
        upstream.connections.inFlight = 1000
        upstream.connections.idle = 100
        return upstream
    }()

    @Test("OpenConnections: the limit is that of the settings if there are enough descriptors")
    func asked() {
        #expect(OpenConnections.limit(Self.settings(open: 20_000), descriptors: 100_000, workers: 8) == 20_000)
        #expect(OpenConnections.limit(Self.settings(open: 1), descriptors: 100_000, workers: 8) == 1)
    }

    @Test("OpenConnections: the admin address, files, workers and the upstream are subtracted first")
    func reserved() {
        let settings = Self.settings(open: 20_000)
        let alone = OpenConnections.limit(settings, descriptors: 10_000, workers: 2)
        #expect(alone == 10_000 - 48 - 16 - 1024 - 16)
        let remote = Self.settings(open: 20_000, upstream: Self.upstream)
        #expect(OpenConnections.limit(remote, descriptors: 10_000, workers: 2) == alone - 1000 - 200)
    }

    @Test(
        "OpenConnections: clients get a quarter of few descriptors, and at least one",
        arguments: [(400, 100), (4, 1), (1, 1), (0, 1)])
    func few(descriptors: Int, limit: Int) {
        let settings = Self.settings(open: 20_000, upstream: Self.upstream)
        #expect(OpenConnections.limit(settings, descriptors: descriptors, workers: 2) == limit)
    }

    @Test(
        "OpenConnections: the admin address has an eighth, within bounds",
        arguments: [(0, 8), (64, 8), (80, 10), (300, 37), (8192, 1024), (1_000_000, 1024)])
    func admin(descriptors: Int, limit: Int) {
        #expect(OpenConnections.adminLimit(descriptors: descriptors) == limit)
    }

    @Test("OpenConnections: a limit that the system does not permit is reported, at the start and when it changes")
    func told() {
        let lines = Mutex<[String]>([])
        let open = OpenConnections(Self.settings(open: 20_000), descriptors: 1000, workers: 2) { line in
            lines.withLock { $0.append(line) }
        }
        #expect(open.limiter.limit < 1000)
        #expect(lines.withLock { $0.count } == 1)
        open.adopt(Self.settings(open: 100))
        #expect(open.limiter.limit == 100)
        #expect(lines.withLock { $0.count } == 1)
        for _ in 0..<3 { open.limitReached() }
        #expect(lines.withLock { $0.count } == 2)
    }
}
