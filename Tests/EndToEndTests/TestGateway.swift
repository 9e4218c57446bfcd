import Connectors
import Crypto
import Foundation
import Journal
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
    /// Whether a request that is sent again gets its own job, as with the shipped routes, or a conflict.
    var hasResendWindow = false
    /// The caps of running jobs.
    var jobCaps = ""
    /// More fields of each route whose lease lasts for a job.
    var leaseFields = ""
    /// Changes the shipped routes.
    var changesRoutes: @Sendable (String) -> String = { $0 }
    /// Members of `gateway.upstream` in the policy; where there are none the connector service is in this process.
    var upstream = ""

    /// A job lasts longer than any test.
    static let longJobs = GatewaySetup(jobMilliseconds: 600_000)
}

/// A gateway in this process on a port of its own, started as by `gateway serve`, over a fresh folder.
final class TestGateway {
    let folder: TestFolder
    private let service: GatewayService
    private let accessLog: Lines
    private let reports: Lines
    private var isStopped = false

    /// Starts over what the folder holds; a gateway that was stopped may have left its state there.
    static func start(_ setup: GatewaySetup, in folder: TestFolder) async throws -> TestGateway {
        var setup = setup
        if setup.namesCertificate {
            setup.settings += #"tls: { certificates: [{ certificate: "tls/server.pem", key: "tls/key.pem" }] },"#
            try LocalCertificate().write(to: folder, withAuthority: true)
        }
        try TestPolicies.write(setup, to: folder)
        if setup.upstream.isEmpty { try TestConnections.write(to: folder) }
        let (log, reports) = (Lines(), Lines())
        let local = SocketAddress(host: "127.0.0.1", port: 0)
        var options = ServeOptions(policyFolder: folder.policies, stateFolder: folder.state)
        options.flags.listen = [local]
        options.flags.admin = .some(setup.admin ? local : nil)
        options.flags.workers = setup.workers
        options.pace.minimumJobMilliseconds = setup.jobMilliseconds
        options.writeLog = { log.add($0) }
        options.report = { _ = reports.add(Array("\($0)\n".utf8)) }
        options.showDiagnostics = { _ in }
        options.showWarning = { _ in }
        options.showToken = { _ in }
        return TestGateway(try await GatewayService.start(options), folder, log, reports)
    }

    private init(_ service: GatewayService, _ folder: TestFolder, _ log: Lines, _ reports: Lines) {
        self.service = service
        self.folder = folder
        accessLog = log
        self.reports = reports
    }

    /// Ends everything, whatever it does.
    func stop() async {
        if isStopped { return }
        isStopped = true
        await service.stop(logTimeout: .seconds(20))
        service.release()
    }

    var server: GatewayServer { service.server }
    var port: UInt16 { service.server.listening[0].port }

    /// The access log so far, one line per request.
    var log: String { accessLog.text }

    /// What the gateway told its operator.
    var said: [String] { reports.text.split(separator: "\n").map(String.init) }

    /// What a client needs, for another thread.
    var address: TLSClient.Address { TLSClient.Address(port: port, authorityFile: folder.authorityFile) }

    /// The version that new requests meet.
    var policyVersion: String { service.policies.current.shortVersion }

    /// Reloads as SIGHUP does, to the end; what the admin interface shows of it.
    @discardableResult
    func reload() async -> PolicyStore.Status {
        await service.reloader.reload(because: [.signal])
        return service.policies.snapshot()
    }
}

/// What a reader would have got.
private final class Lines: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    func add(_ more: [UInt8]) -> Int {
        bytes.withLock { $0 += more }
        return more.count
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
