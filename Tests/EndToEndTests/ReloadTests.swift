import Crypto
import Foundation
import Gateway
import Synchronization
import Policy
import TestSupport
import Testing

extension EndToEnd {
    @Suite("Reloads under requests")
    struct ReloadTests {
        @Test("Reload: a good policy takes effect between two requests, and no request in progress fails")
        func goodPolicy() async throws {
            try await withGateway { gateway in
                let before = gateway.policyVersion
                let load = Load(gateway.address)
                defer { load.stop() }
                try load.waitForMore()
                try TestPolicies.writeLimits(
                    #"starts: { on: ["trigger"], per: "token", allow: "1/day" },"#, to: gateway.folder)
                let version = await gateway.reload().set.shortVersion
                #expect(version != before)
                try waitUntil("the new version is met") { load.versions.contains(version) }
                try load.waitForMore()
                load.stop()
                #expect(load.failures == [])
                #expect(load.versions == [before, version])
                let client = try TLSClient(gateway)
                _ = try client.startJob()
                try client.call("POST", Path.jobs, body: trigger()).expectError(429, "RATE_LIMIT_EXCEEDED")
            }
        }

        @Test("Reload: a policy with a mistake changes nothing, and is reported with its position")
        func badPolicy() async throws {
            try await withGateway { gateway in
                let before = gateway.policyVersion
                let load = Load(gateway.address)
                defer { load.stop() }
                try TestPolicies.writeLimits(
                    #"starts: { on: ["triger"], per: "token", allow: "1/day" },"#, to: gateway.folder)
                let text = try #require(await gateway.reload().lastRefusal?.text, "the set was not refused")
                try load.waitForMore()
                load.stop()
                #expect(text.contains("limits.json5:1:"), "\(text)")
                #expect(load.failures == [])
                #expect(load.versions == [before])
                // Put right, it is taken after all.
                try TestPolicies.writeLimits(TestPolicies.roomyLimits, to: gateway.folder)
                let status = await gateway.reload()
                #expect(status.lastRefusal == nil)
                #expect(status.set.shortVersion == before)
            }
        }

        @Test("Reload: a removed token is refused on an open connection")
        func revokedToken() async throws {
            try await withGateway { gateway in
                let client = try TLSClient(gateway)
                #expect(try client.call("GET", Path.state).status == 200)
                let file = "policies/organizations/both.json5"
                let lines = try gateway.folder.read(file).split(separator: "\n").filter { !$0.contains("full:") }
                try gateway.folder.write(lines.joined(separator: "\n"), to: file)
                await gateway.reload()
                try waitUntil("the token is refused") { try client.call("GET", Path.state).status == 401 }
            }
        }

        @Test("Reload: new connections get a new certificate while open ones continue")
        func certificate() async throws {
            var setup = GatewaySetup()
            setup.namesCertificate = true
            try await withGateway(setup) { gateway in
                let open = try TLSClient(gateway)
                let oldSerial = open.serial
                // Clients that trust both authorities must not notice anything.
                var address = gateway.address
                address.authorityFile = gateway.folder.path + "/both.pem"
                let certificate = try LocalCertificate()
                try gateway.folder.write(
                    try gateway.folder.read("policies/tls/ca.pem")
                        + String(decoding: certificate.authority.certificate, as: UTF8.self), to: "both.pem")
                let load = Load(address, reconnects: true)
                defer { load.stop() }
                try load.waitForMore()
                try certificate.write(to: gateway.folder)
                await gateway.reload()
                try waitUntil("the new certificate is met") { try TLSClient(address).serial != oldSerial }
                try load.waitForMore()
                load.stop()
                #expect(load.failures == [])
                #expect(try open.call("GET", Path.state).status == 200)
            }
        }

        @Test("Reload: a certificate that does not fit its key changes nothing")
        func badCertificate() async throws {
            var setup = GatewaySetup()
            setup.namesCertificate = true
            try await withGateway(setup) { gateway in
                let serial = try TLSClient(gateway).serial
                try gateway.folder.write(
                    String(decoding: try LocalCertificate().server.key, as: UTF8.self), to: "policies/tls/key.pem")
                #expect(await gateway.reload().files[.certificates]?.refused == 1)
                #expect(try TLSClient(gateway).serial == serial)
                #expect(try gateway.curl(Path.state).status == 200)
            }
        }
    }
}

/// Clients that read the state all the time, on threads of their own.
final class Load: Sendable {
    private struct Seen {
        var requests = 0
        var versions: Set<String> = []
        var failures: [String] = []
        var running = 0
        var mustStop = false
    }

    private let seen: Mutex<Seen>

    /// `reconnects` makes every request come on a connection of its own.
    init(_ address: TLSClient.Address, clients: Int = 3, reconnects: Bool = false) {
        seen = Mutex(Seen())
        seen.withLock { $0.running = clients }
        for _ in 0..<clients {
            Thread.detachNewThread { [self] in
                do {
                    var client = try TLSClient(address)
                    while seen.withLock({ !$0.mustStop }) {
                        if reconnects { client = try TLSClient(address) }
                        let answer = try client.call("GET", Path.state)
                        seen.withLock { seen in
                            seen.requests += 1
                            seen.versions.insert(answer["x-policy-version"] ?? "none")
                            if answer.status != 200 { seen.failures.append("\(answer.status) \(answer.text)") }
                        }
                    }
                } catch { seen.withLock { $0.failures.append("\(error)") } }
                seen.withLock { $0.running -= 1 }
            }
        }
    }

    var versions: Set<String> { seen.withLock { $0.versions } }
    var failures: [String] { seen.withLock { $0.failures } }

    /// Waits until every client has had its turn again, or one has failed.
    func waitForMore() throws {
        let before = seen.withLock { $0.requests }
        try waitUntil("there are more requests") {
            seen.withLock { $0.requests >= before + 30 || !$0.failures.isEmpty }
        }
    }

    /// Ends the threads.
    func stop() {
        seen.withLock { $0.mustStop = true }
        try? waitUntil("the clients have ended") { seen.withLock { $0.running == 0 } }
    }
}
