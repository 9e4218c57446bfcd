import Connectors
import Crypto
import Foundation
import Policy
import Synchronization
import TestSupport
import Testing
import Transport

@testable import Gateway
@testable import GatewayCommand

/// Every end-to-end test stands in here, one after the other: a test blocks its thread while it waits, and those are few.
@Suite("End to end", .serialized)
enum EndToEnd {}

/// What a test wants of its gateway.
struct GatewaySetup {
    /// What each job lasts at least: short where speed matters, long where something must happen meanwhile.
    var jobMilliseconds: Int64 = 1
    var limits = TestPolicies.roomyLimits
    /// Members of `gateway` in the policy.
    var settings = ""
    var admin = false
    /// The certificate is one that the policy names, and not the gateway's own.
    var namesCertificate = false
    /// With one, all clients share the connections to a remote upstream.
    var workers = 2
    /// Members of `gateway.upstream` in the policy; where there are none the connector service is in this process.
    var upstream = ""

    /// A job lasts longer than any test.
    static let longJobs = GatewaySetup(jobMilliseconds: 600_000)
}

/// A gateway in this process on a port of its own, joined from the same parts as `gateway serve`, over a fresh folder.
final class TestGateway {
    let server: GatewayServer
    /// `nil` where the upstream is remote.
    let connectors: ConnectorService?
    let folder: TestFolder
    let port: UInt16
    private let policies: PolicyStore
    private let state: StateFolder
    private let certificates: CertificateSource
    private let ticketKeys: TicketKeys
    private let collected: CollectedLog
    private let told: Told
    private var plan: UpstreamConfiguration?
    private var isStopped = false

    /// Starts over what the folder holds; a gateway that was stopped may have left its state there.
    static func start(_ setup: GatewaySetup, in folder: TestFolder) async throws -> TestGateway {
        var setup = setup
        if setup.namesCertificate {
            setup.settings += #"tls: { certificates: [{ certificate: "tls/server.pem", key: "tls/key.pem" }] },"#
            try LocalCertificate().write(to: folder, withAuthority: true)
        }
        try TestPolicies.write(setup, to: folder)
        let state = try StateFolder(path: folder.state)
        let source = PolicySource(folder: PolicyFolder(path: folder.policies), demoTokenFile: state.demoTokenFile)
        guard case .loaded(let set, _) = PolicySource.load(try source.read()) else {
            throw Unusable(reason: "the policies of the test have mistakes")
        }
        let certificates = CertificateSource(policyFolder: folder.policies, state: state)
        let ticketKeys = TicketKeys()
        let context = try certificates.load(set.settings.tls, keys: ticketKeys).context
        let plan = try set.settings.upstream.map { try UpstreamSource(policyFolder: folder.policies).load($0) }
        let connectors = plan == nil ? try startConnectors(setup, folder) : nil
        let policies = PolicyStore(
            initial: set, now: { Int64(Date().timeIntervalSince1970) },
            read: {
                do throws(PolicyFolder.Unreadable) { return .files(try source.readSettled()) } catch {
                    return .unreadable(error.message)
                }
            },
            load: PolicySource.load)
        let log = AccessLogQueue()
        let local = SocketAddress(host: "127.0.0.1", port: 0)
        let told = Told()
        let upstream: UpstreamMode? =
            if let plan { .remote(plan, journal: JournalFolder(path: state.path)) } else {
                connectors.map { .inProcess(ConnectorUpstream(service: $0)) }
            }
        let server = try await GatewayServer.start(
            .init(
                listen: [local], admin: setup.admin ? local : nil, workers: setup.workers,
                upstream: try #require(upstream), policies: policies, context: context, log: log,
                say: { line in told.lines.withLock { $0.append(line) } }))
        return TestGateway(server, connectors, folder, policies, state, certificates, ticketKeys, log, told, plan)
    }

    private static func startConnectors(_ setup: GatewaySetup, _ folder: TestFolder) throws -> ConnectorService {
        try TestConnections.write(to: folder)
        var options = ConnectorOptions(stateDirectory: folder.state)
        options.createsDemo = false
        options.minimumJobMilliseconds = setup.jobMilliseconds
        return try ConnectorService.start(options)
    }

    private init(
        _ server: GatewayServer, _ connectors: ConnectorService?, _ folder: TestFolder, _ policies: PolicyStore,
        _ state: StateFolder, _ certificates: CertificateSource, _ ticketKeys: TicketKeys, _ log: AccessLogQueue,
        _ told: Told, _ plan: UpstreamConfiguration?
    ) {
        self.told = told
        self.plan = plan
        self.server = server
        self.connectors = connectors
        self.folder = folder
        self.policies = policies
        self.state = state
        self.certificates = certificates
        self.ticketKeys = ticketKeys
        collected = CollectedLog(log)
        port = server.listening[0].port
    }

    struct Unusable: Error {
        let reason: String
    }

    /// Ends everything, whatever it does.
    func stop() async {
        if isStopped { return }
        isStopped = true
        server.stop()
        await connectors?.shutdown()
        state.release()
    }

    /// The access log so far, one line per request.
    var log: String { collected.text }

    /// What the gateway told its operator.
    var said: [String] { told.lines.withLock { $0 } }

    /// What a client needs, for another thread.
    var address: TLSClient.Address { TLSClient.Address(port: port, authorityFile: folder.authorityFile) }

    /// The version that new requests meet.
    var policyVersion: String { policies.current.shortVersion }

    /// What SIGHUP and a changed file do.
    @discardableResult
    func reload() throws -> PolicyStore.Reload {
        let outcome = policies.reload()
        switch outcome {
        case .replaced(let set): server.adopt(set)
        case .refused: server.refusedReload()
        case .unchanged: break
        }
        if let context = try certificates.reload(policies.current.settings.tls, keys: ticketKeys) {
            server.adopt(context)
        }
        return outcome
    }

    /// The same, with a remote upstream that may be another one.
    func reloadWithUpstream() async throws {
        try reload()
        let settings = try #require(policies.current.settings.upstream)
        let new = try UpstreamSource(policyFolder: folder.policies).load(settings)
        guard new != plan else { return }
        plan = new
        await server.adopt(new)
    }
}

/// What an operator would read.
private final class Told: Sendable {
    let lines = Mutex<[String]>([])
}

/// The access log, kept in memory.
private final class CollectedLog: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    init(_ queue: AccessLogQueue) {
        Task { await queue.writeAll { chunk in self.bytes.withLock { $0 += chunk } } }
    }

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }
}

/// Gives the test a gateway of its own, and leaves nothing of it behind.
func withGateway(_ setup: GatewaySetup = GatewaySetup(), _ body: (TestGateway) async throws -> Void) async throws {
    try await withTestFolder { folder in
        let gateway = try await TestGateway.start(setup, in: folder)
        do { try await body(gateway) } catch {
            await gateway.stop()
            throw error
        }
        await gateway.stop()
    }
}

/// Gives the test a folder of its own.
func withTestFolder(_ body: (TestFolder) async throws -> Void) async throws {
    let folder = try TestFolder()
    defer { folder.remove() }
    try await body(folder)
}

extension LocalCertificate {
    func write(to folder: TestFolder, withAuthority: Bool = false) throws {
        try folder.write(String(decoding: server.key, as: UTF8.self), to: "policies/tls/key.pem")
        try folder.write(
            String(decoding: server.certificate + authority.certificate, as: UTF8.self), to: "policies/tls/server.pem")
        if withAuthority {
            try folder.write(String(decoding: authority.certificate, as: UTF8.self), to: "policies/tls/ca.pem")
        }
    }
}

/// A folder for one test's policies and state.
struct TestFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "gateway-e2e-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: policies, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    }

    var policies: String { path + "/policies" }
    var state: String { path + "/state" }
    /// Who vouches for the gateway: the authority that came with the named certificate, or the gateway's own.
    var authorityFile: String {
        let named = policies + "/tls/ca.pem"
        return FileManager.default.fileExists(atPath: named) ? named : state + "/ca.pem"
    }

    func write(_ text: String, to file: String) throws {
        let url = URL(filePath: path + "/" + file)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    func read(_ file: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path + "/" + file)), as: UTF8.self)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
